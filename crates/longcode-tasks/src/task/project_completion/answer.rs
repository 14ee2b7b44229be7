//! What of a generated text counts, and its outcome.

use serde::{Deserialize, Serialize};

use super::project::Class;
use crate::task::similarity::indel_percent;
use crate::task::{Generated, python};
use longcode_text::{Ended, Generation};

/// What a line is held to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    pub class: Class,
    pub truth: String,
    /// Whether the beginning of the prompt was left out.
    pub is_cut: bool,
}

/// What is stored of a line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    #[serde(flatten)]
    reference: Reference,
    #[serde(flatten)]
    answer: Answer,
    /// Without the project's other files, where that was asked.
    alone: Option<Answer>,
}

/// What a generated text makes.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    text: String,
    ended: Ended,
    /// The line of the text that counts.
    line: String,
    /// Percent: 100 where the line is equal apart from white space around it.
    exact_match: f64,
    /// Percent.
    edit_similarity: f64,
}

impl Outcome {
    pub(super) fn new(reference: Reference, generated: Generated) -> Outcome {
        let answer = |generation| Answer::new(generation, &reference.truth);
        let (with, alone) = (answer(generated.generation), generated.alone.map(answer));
        Outcome { answer: with, alone, reference }
    }

    pub(super) fn class(&self) -> &'static str {
        self.reference.class.name()
    }

    /// By metric, in percent.
    pub(super) fn figures(&self) -> Vec<(&'static str, f64)> {
        let Answer { exact_match, edit_similarity, .. } = self.answer;
        let mut figures = vec![
            ("exact_match", exact_match),
            ("edit_similarity", edit_similarity),
            ("truncated", if self.reference.is_cut { 100.0 } else { 0.0 }),
        ];
        if let Some(alone) = &self.alone {
            figures.push(("exact_match_gain", exact_match - alone.exact_match));
            figures.push(("edit_similarity_gain", edit_similarity - alone.edit_similarity));
        }
        figures
    }
}

impl Answer {
    fn new(generation: Generation, truth: &str) -> Answer {
        let Generation { text, ended, .. } = generation;
        let line = line(&text).to_string();
        let [exact_match, edit_similarity] = scores(&line, truth);
        Answer { exact_match, edit_similarity, line, text, ended }
    }
}

/// The first line that is not empty.
pub(super) fn line(text: &str) -> &str {
    text.trim_matches('\n').split('\n').next().unwrap_or_default()
}

/// Whether it is there to its end. Long Code Arena ends at the first newline after five tokens, which is the same line but
/// where these are all newlines.
pub(super) fn has_line(text: &str) -> bool {
    text.trim_start_matches('\n').contains('\n')
}

/// In percent: equality apart from white space around the line, and `thefuzz.fuzz.ratio`.
pub(super) fn scores(line: &str, truth: &str) -> [f64; 2] {
    let exact = python::strip(line) == python::strip(truth);
    [if exact { 100.0 } else { 0.0 }, indel_percent(line, truth)]
}
