//! A generated line and the right one: with the other files of its repository, and without them.

use serde::{Deserialize, Serialize};

use super::{Generated, percent};
use longcode_text::{Ended, Generation};

/// The judgement of a generated text.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub text: String,
    pub ended: Ended,
    /// The line of the text that counts.
    pub line: String,
    /// In percent, like the next two: 100 if the line is equal apart from white space.
    pub exact_match: f64,
    pub edit_similarity: f64,
    /// None for a benchmark whose edit similarity is this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indel_similarity: Option<f64>,
}

/// With the other files, and without them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lines {
    #[serde(flatten)]
    with: Line,
    /// None if that was not asked.
    alone: Option<Line>,
}

impl Lines {
    /// `judge` makes a line of the generated text.
    pub(super) fn new(generated: Generated, judge: impl Fn(Generation) -> Line) -> Lines {
        let alone = generated.others.into_iter().next().map(|alone| judge(alone.generation));
        Lines { with: judge(generated.generation), alone }
    }

    /// Figures by metric, in percent. `is_cut` says whether the prompt was cut.
    pub(super) fn figures(&self, is_cut: bool) -> Vec<(&'static str, f64)> {
        let Line { exact_match, edit_similarity, indel_similarity, .. } = self.with;
        let mut figures = vec![("exact_match", exact_match), ("edit_similarity", edit_similarity)];
        figures.extend(indel_similarity.map(|similarity| ("indel_similarity", similarity)));
        figures.push(("truncated", percent(is_cut)));
        if let Some(alone) = &self.alone {
            figures.push(("exact_match_gain", exact_match - alone.exact_match));
            figures.push(("edit_similarity_gain", edit_similarity - alone.edit_similarity));
        }
        figures
    }
}
