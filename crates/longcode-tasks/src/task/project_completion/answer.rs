//! The part of a generated text that counts, and its outcome.

use serde::{Deserialize, Serialize};

use super::project::Class;
use crate::task::line::{Line, Lines};
use crate::task::similarity::indel_percent;
use crate::task::{Generated, percent, python};
use longcode_text::Generation;

/// The expected line.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Reference {
    pub(super) class: Class,
    pub truth: String,
    /// Whether the start of the prompt was left out.
    pub is_cut: bool,
}

/// What is stored for a line.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    #[serde(flatten)]
    reference: Reference,
    #[serde(flatten)]
    lines: Lines,
}

impl Outcome {
    /// The right answer, for people to read.
    pub(super) fn expected(&self) -> String {
        self.reference.truth.clone()
    }

    pub(super) fn new(reference: Reference, generated: Generated) -> Outcome {
        let lines = Lines::new(generated, |generation| judged(generation, &reference.truth));
        Outcome { lines, reference }
    }

    pub(super) fn class(&self) -> &'static str {
        self.reference.class.name()
    }

    /// Figures by metric, in percent.
    pub(super) fn figures(&self) -> Vec<(&'static str, f64)> {
        self.lines.figures(self.reference.is_cut)
    }
}

fn judged(generation: Generation, truth: &str) -> Line {
    let Generation { text, ended, .. } = generation;
    let line = line(&text).to_string();
    let [exact_match, edit_similarity] = scores(&line, truth);
    Line { exact_match, edit_similarity, indel_similarity: None, line, text, ended }
}

/// The first line that is not empty.
pub(super) fn line(text: &str) -> &str {
    text.trim_matches('\n').split('\n').next().unwrap_or_default()
}

/// Whether it is complete. Long Code Arena ends at the first newline after five tokens, which gives the same
/// line unless these are all newlines.
pub(super) fn has_line(text: &str) -> bool {
    text.trim_start_matches('\n').contains('\n')
}

/// In percent: equality apart from white space around the line, and `thefuzz.fuzz.ratio`.
pub(super) fn scores(line: &str, truth: &str) -> [f64; 2] {
    let exact = python::strip(line) == python::strip(truth);
    [percent(exact), indel_percent(line, truth)]
}
