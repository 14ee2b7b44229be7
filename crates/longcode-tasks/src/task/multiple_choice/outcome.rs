//! The expected answer of a question, and its outcome.

use serde::{Deserialize, Serialize};

use super::benchmark::{Answered, Score};
use super::letter;
use crate::task::{Generated, Group, Measure, Sample, Span, percent};
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
    /// Which option stands at each letter: of this prompt, and of the sample's others.
    #[serde(default)]
    pub orders: Vec<Vec<usize>>,
}

/// What is stored for a question.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    bucket: Span,
    truncated_tokens: usize,
    text: String,
    ended: Ended,
    /// Number of the right option.
    answer: usize,
    /// The benchmark's own scores of the text, in its order.
    official: Vec<f64>,
    /// For each letter, nats.
    letter_log_likelihood: Vec<f64>,
    /// For each option's text, nats, if the texts are known.
    option_log_likelihood: Vec<f64>,
    option_bytes: Vec<usize>,
    /// In other orders of the options, if the question was asked in several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<Outcome>,
    /// Which option stands at each letter, then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    order: Vec<usize>,
}

impl Outcome {
    /// The right answer, for people to read.
    pub(super) fn expected(&self) -> String {
        super::benchmark::LETTERS.get(self.answer).map_or_else(String::new, ToString::to_string)
    }

    /// The outcome of a question, and of the same in other orders.
    pub(super) fn of_all(
        sample: &Sample,
        reference: Reference,
        mut generated: Generated,
        scores: &[Score],
    ) -> Outcome {
        let others = std::mem::take(&mut generated.others);
        let mut orders = reference.orders.clone().into_iter();
        let mut outcome = Outcome::new(sample.bucket, reference, generated, scores);
        if others.is_empty() {
            return outcome;
        }
        outcome.order = orders.next().unwrap_or_default();
        let asked = sample.others.iter().zip(others).zip(orders);
        outcome.others = asked
            .map(|((other, generated), order)| Outcome {
                order,
                ..Outcome::new(sample.bucket, other.reference(), generated, scores)
            })
            .collect();
        outcome
    }

    fn new(bucket: Span, reference: Reference, generated: Generated, scores: &[Score]) -> Outcome {
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
            others: Vec::new(),
            order: Vec::new(),
            text,
        }
    }

    /// The question in all its orders.
    fn all(&self) -> impl Iterator<Item = &Outcome> {
        [self].into_iter().chain(&self.others)
    }

    /// Means over the orders, each order by itself if there are several, and what they have in common.
    pub(super) fn measures(&self, scores: &[Score]) -> Vec<Measure> {
        let figures: Vec<Vec<(&'static str, f64)>> = self.all().map(|one| one.figures(scores)).collect();
        let count = figures.len() as f64;
        let mean = |n: usize| figures.iter().map(|of_order| of_order[n].1).sum::<f64>() / count;
        let mut means: Vec<_> =
            figures[0].iter().enumerate().map(|(n, (metric, _))| (*metric, mean(n))).collect();
        if !self.others.is_empty() {
            means.extend(self.alike());
            means.push(("published_order_gain", 100.0 * self.published_gain()));
        }
        let mut measures = Measure::of_sample(&[Group::Bucket(self.bucket), Group::All], &means);
        if !self.others.is_empty() {
            for (number, of_order) in figures.iter().enumerate() {
                measures.extend(Measure::of_sample(&[Group::Order(number as u8 + 1)], of_order));
            }
        }
        measures
    }

    /// By metric, in percent.
    fn figures(&self, scores: &[Score]) -> Vec<(&'static str, f64)> {
        let mut figures = self.likeliest();
        figures.push(("truncated", f64::from(self.truncated_tokens > 0)));
        figures.extend(scores.iter().map(|score| score.metric).zip(self.official.iter().copied()));
        figures.into_iter().map(|(metric, share)| (metric, 100.0 * share)).collect()
    }

    /// The benchmark's first score in the published order less its mean over the others.
    fn published_gain(&self) -> f64 {
        let score = |one: &Outcome| one.official.first().copied().unwrap_or(0.0);
        score(self) - self.others.iter().map(score).sum::<f64>() / self.others.len() as f64
    }

    /// What all orders have in common, in percent.
    fn alike(&self) -> [(&'static str, f64); 3] {
        let likeliest = |one: &Outcome| {
            let letters = &one.letter_log_likelihood;
            let best = (0..letters.len()).find(|&n| is_largest(letters, n))?;
            one.order.get(best).copied()
        };
        let first = likeliest(self);
        let is_right = |one: &Outcome| one.official.first() == Some(&1.0);
        [
            ("answered_alike", first.is_some() && self.all().all(|one| likeliest(one) == first)),
            ("right_in_all_orders", self.all().all(is_right)),
            ("right_in_some_order", self.all().any(is_right)),
        ]
        .map(|(metric, holds)| (metric, percent(holds)))
    }

    /// Refuses a right option that is not among the requested ones.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let asked_for = [self.letter_log_likelihood.len(), self.option_log_likelihood.len()];
        let is_there = asked_for.iter().all(|&count| count == 0 || self.answer < count);
        self.others.iter().try_for_each(Outcome::check)?;
        if is_there && self.option_log_likelihood.len() <= self.option_bytes.len() {
            Ok(())
        } else {
            Err("`answer` is not the number of an option")
        }
    }

    /// By metric, whether the right one is the likeliest; if two are equally likely, neither is.
    fn likeliest(&self) -> Vec<(&'static str, f64)> {
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
