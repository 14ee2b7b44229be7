//! The expected answer of a question, and its outcome.

use serde::{Deserialize, Serialize};

use super::benchmark::{Answered, Score};
use super::letter;
use crate::task::{Generated, Span};
use longcode_text::Ended;

/// The expected answer.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Reference {
    /// Number of the right option.
    pub answer: usize,
    /// Its text; empty if unknown.
    pub answer_text: String,
    /// How many options there are; their letters are the first candidates.
    pub letters: usize,
    /// Bytes of each option's text; these are the candidates after the letters.
    pub option_bytes: Vec<usize>,
    /// Tokens at the start of a text that do not belong to the option.
    pub started: usize,
    /// Tokens left out from the middle of the prompt.
    pub truncated_tokens: usize,
}

/// What is stored for a question.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    pub bucket: Span,
    pub truncated_tokens: usize,
    text: String,
    ended: Ended,
    /// Number of the right option.
    answer: usize,
    /// The benchmark's own scores of the text, in its order.
    pub official: Vec<f64>,
    /// For each letter, nats.
    letter_log_likelihood: Vec<f64>,
    /// For each option's text, nats, if the texts are known.
    option_log_likelihood: Vec<f64>,
    option_bytes: Vec<usize>,
}

impl Outcome {
    /// The right answer, for people to read.
    pub(super) fn expected(&self) -> String {
        super::benchmark::LETTERS.get(self.answer).map_or_else(String::new, ToString::to_string)
    }

    pub(super) fn new(bucket: Span, reference: Reference, generated: Generated, scores: &[Score]) -> Outcome {
        let (letters, options) = generated.candidates.split_at(reference.letters);
        let text = generated.generation.text;
        let answered =
            Answered { text: &text, letter: letter(reference.answer), option: &reference.answer_text };
        let sum = |nll: &[f64]| -nll.iter().sum::<f64>();
        Outcome {
            bucket,
            truncated_tokens: reference.truncated_tokens,
            official: scores.iter().map(|score| (score.of)(&answered)).collect(),
            ended: generated.generation.ended,
            answer: reference.answer,
            letter_log_likelihood: letters.iter().map(|nll| sum(nll)).collect(),
            option_log_likelihood: options.iter().map(|nll| sum(&nll[reference.started..])).collect(),
            option_bytes: reference.option_bytes,
            text,
        }
    }

    /// Refuses a right option that is not among the requested ones.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let asked_for = [self.letter_log_likelihood.len(), self.option_log_likelihood.len()];
        let is_there = asked_for.iter().all(|&count| count == 0 || self.answer < count);
        if is_there && self.option_log_likelihood.len() <= self.option_bytes.len() {
            Ok(())
        } else {
            Err("`answer` is not the number of an option")
        }
    }

    /// By metric, whether the right one is the likeliest; if two are equally likely, neither is.
    pub(super) fn likeliest(&self) -> Vec<(&'static str, f64)> {
        let per_byte = self.option_log_likelihood.iter().zip(&self.option_bytes);
        let per_byte: Vec<f64> = per_byte.map(|(sum, &bytes)| sum / bytes.max(1) as f64).collect();
        let of = [
            ("letter_likeliest", &self.letter_log_likelihood),
            ("option_likeliest", &self.option_log_likelihood),
            ("option_likeliest_per_byte", &per_byte),
        ];
        let known = of.into_iter().filter(|(_, values)| !values.is_empty());
        known.map(|(metric, values)| (metric, f64::from(is_largest(values, self.answer)))).collect()
    }
}

fn is_largest(values: &[f64], number: usize) -> bool {
    let largest = values[number];
    values.iter().enumerate().all(|(other, &value)| other == number || value < largest)
}
