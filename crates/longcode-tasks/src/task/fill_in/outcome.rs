//! What is stored for a gap, and its figures.

use serde::{Deserialize, Serialize};

use super::OVER;
use super::layout::Change;
use super::score::{Scores, Scoring};
use crate::task::{Better, Generated, Group, Measure, Metric, Sample, Span, percent};
use longcode_text::Ended;

/// What a text is held to.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Reference {
    /// All that comes before the gap.
    pub before: String,
    /// What fills it.
    pub truth: String,
    /// Other files in the prompt.
    pub files: usize,
    /// Whether a part of the prompt was cut.
    pub is_cut: bool,
    /// What the other prompts of the sample leave out or move.
    pub changes: Vec<Change>,
}

/// What is stored for a gap.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    pub bucket: Span,
    is_cut: bool,
    truth: String,
    #[serde(flatten)]
    with: Answer,
    /// By what was changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changed: Vec<(Change, Answer)>,
}

/// The answer to a prompt.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    text: String,
    ended: Ended,
    #[serde(flatten)]
    scores: Scores,
    /// Summed over the target's tokens, nats; with their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_nll: Option<(f64, usize)>,
}

pub(super) const METRICS: &[Metric] = &[
    Metric::percent("exact_match", Better::Higher).titled("Exact match, percent", OVER),
    Metric::percent("edit_similarity", Better::Higher)
        .titled("Edit similarity (Levenshtein's ratio), percent", OVER),
    Metric::percent("repoeval_similarity", Better::Higher)
        .titled("Edit similarity as RepoEval has it, percent", OVER)
        .not_in_tables(),
    Metric::percent("identifier_exact_match", Better::Higher)
        .titled("Names that match exactly, percent", OVER),
    Metric::percent("identifier_f1", Better::Higher).titled("F1 of names, percent", OVER),
    Metric::mean("target_loss", Better::Lower).titled("Loss of what fills the gap, nats a token", OVER),
    Metric::percent_gain("exact_match_gain", Better::Higher)
        .titled("Exact match less that without the other files, percent points", OVER),
    Metric::percent_gain("edit_similarity_gain", Better::Higher)
        .titled("Edit similarity less that without the other files, percent points", OVER),
    Metric::mean("target_loss_gain", Better::Higher)
        .titled("Loss that the other files save, nats a token", OVER),
    Metric::percent_gain("exact_match_order_gain", Better::Higher)
        .titled("Exact match less that with the other files in another order, percent points", OVER),
    Metric::percent_gain("edit_similarity_order_gain", Better::Higher)
        .titled("Edit similarity less that with the other files in another order, percent points", OVER),
    Metric::mean("target_loss_order_gain", Better::Higher)
        .titled("Loss that the other files' order saves, nats a token", OVER),
    Metric::percent_gain("exact_match_right_gain", Better::Higher)
        .titled("Exact match less that without what comes after the gap, percent points", OVER),
    Metric::percent_gain("edit_similarity_right_gain", Better::Higher)
        .titled("Edit similarity less that without what comes after the gap, percent points", OVER),
    Metric::mean("target_loss_right_gain", Better::Higher)
        .titled("Loss that what comes after the gap saves, nats a token", OVER),
    Metric::percent("unparsed", Better::Lower).titled("Texts without a function that is read, percent", OVER),
    Metric::truncated(OVER),
];

impl Change {
    /// The metrics of what is lost with it: exact match, edit similarity, loss.
    fn gains(self) -> [&'static str; 3] {
        match self {
            Change::Alone => ["exact_match_gain", "edit_similarity_gain", "target_loss_gain"],
            Change::ShuffledFiles => {
                ["exact_match_order_gain", "edit_similarity_order_gain", "target_loss_order_gain"]
            }
            Change::WithoutRight => {
                ["exact_match_right_gain", "edit_similarity_right_gain", "target_loss_right_gain"]
            }
        }
    }
}

impl Answer {
    fn new(sample: &Sample, reference: &Reference, generated: Generated, scoring: Scoring) -> Answer {
        let text = generated.generation.text;
        let nll = generated.candidates.first();
        Answer {
            scores: scoring.score(&reference.before, &text, &reference.truth, sample.language),
            target_nll: nll.map(|nll| (nll.iter().sum(), nll.len())),
            ended: generated.generation.ended,
            text,
        }
    }
}

impl Outcome {
    pub(super) fn new(
        sample: &Sample,
        reference: Reference,
        mut generated: Generated,
        scoring: Scoring,
    ) -> Outcome {
        let others = std::mem::take(&mut generated.others);
        let answer = |generated: Generated| Answer::new(sample, &reference, generated, scoring);
        let with = answer(generated);
        let changed = reference.changes.iter().copied().zip(others.into_iter().map(answer)).collect();
        Outcome {
            bucket: sample.bucket,
            is_cut: reference.is_cut,
            truth: reference.truth.clone(),
            with,
            changed,
        }
    }

    /// Every sample weighs the same, in losses every token.
    pub(super) fn measures(&self, groups: &[Group]) -> Vec<Measure> {
        let mut measures = Measure::of_sample(groups, &self.figures());
        for &group in groups {
            let losses = self.losses().into_iter();
            measures.extend(losses.map(|(metric, numerator, tokens)| Measure {
                group,
                metric,
                numerator,
                denominator: tokens as f64,
            }));
        }
        measures
    }

    /// By metric, in percent.
    fn figures(&self) -> Vec<(&'static str, f64)> {
        let Scores { exact_match, edit_similarity, .. } = self.with.scores;
        let mut figures = vec![
            ("exact_match", 100.0 * exact_match),
            ("edit_similarity", 100.0 * edit_similarity),
            ("truncated", percent(self.is_cut)),
        ];
        let of = &self.with.scores;
        let some = [
            ("repoeval_similarity", of.repoeval_similarity),
            ("identifier_exact_match", of.identifier_exact_match),
            ("identifier_f1", of.identifier_f1),
            ("unparsed", of.unparsed.map(f64::from)),
        ];
        figures.extend(some.into_iter().filter_map(|(metric, value)| Some((metric, 100.0 * value?))));
        for (change, without) in &self.changed {
            let [exact, similar, _] = change.gains();
            figures.push((exact, 100.0 * (exact_match - without.scores.exact_match)));
            figures.push((similar, 100.0 * (edit_similarity - without.scores.edit_similarity)));
        }
        figures
    }

    /// Sums over the target's tokens, and their number.
    fn losses(&self) -> Vec<(&'static str, f64, usize)> {
        let Some((nll, tokens)) = self.with.target_nll.filter(|(_, tokens)| *tokens > 0) else {
            return Vec::new();
        };
        let mut losses = vec![("target_loss", nll, tokens)];
        for (change, without) in &self.changed {
            // A target has the same tokens after every prompt that ends in a marker.
            let without = without.target_nll.filter(|(_, count)| *count == tokens);
            losses.extend(without.map(|(without, _)| (change.gains()[2], without - nll, tokens)));
        }
        losses
    }
}
