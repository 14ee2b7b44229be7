//! Single samples to look into: their text with its segments, and what each encoding made of them.
//!
//! A run keeps the texts of the first samples of every bucket (`texts.jsonl.gz`), which are those that are shown.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::section;
use crate::error::Result;
use crate::store::{Results, StoredSample, StoredText};
use crate::task::{Group, Metric};

/// A sample of a task under all models and encodings.
pub(super) struct Shown<'a> {
    /// Its first result; all have the same text.
    pub(super) first: &'a StoredSample,
    /// Of every model and encoding.
    pub(super) results: Vec<OfRow<'a>>,
    /// The text; none in results of an earlier longcode, which kept no texts.
    pub(super) text: Option<&'a StoredText>,
}

/// What came of a sample under one model and encoding.
pub(super) struct OfRow<'a> {
    pub(super) stored: &'a StoredSample,
    /// None where it failed.
    pub(super) outcome: Option<Value>,
    /// The sample's own figures: name and value.
    pub(super) figures: Vec<(&'static str, f64)>,
}

/// The first samples of every bucket, and how many there are in all.
///
/// # Errors
/// As [`Results::outcome`].
pub(super) fn shown(results: &Results) -> Result<(Vec<Shown<'_>>, usize)> {
    let (chosen, all) = chosen(results);
    let mut shown = Vec::new();
    for first in chosen {
        shown.push(Shown { first, results: of_sample(results, first)?, text: text(results, first) });
    }
    Ok((shown, all))
}

fn text<'a>(results: &'a Results, one: &StoredSample) -> Option<&'a StoredText> {
    let task = &results.config.tasks[one.task].name;
    results.texts.iter().find(|text| {
        (&text.task, text.sample.as_str(), text.sha256.as_str()) == (task, &one.sample, &one.sha256)
    })
}

/// The first samples of every task and bucket in the order they were measured.
fn chosen(results: &Results) -> (Vec<&StoredSample>, usize) {
    let mut of_bucket: HashMap<(usize, &str), usize> = HashMap::new();
    let mut seen: HashSet<(usize, &str)> = HashSet::new();
    let mut chosen = Vec::new();
    for one in &results.samples {
        if !seen.insert((one.task, &one.sample)) {
            continue;
        }
        let count = of_bucket.entry((one.task, &one.bucket)).or_default();
        *count += 1;
        if *count <= StoredText::OF_A_BUCKET {
            chosen.push((*count, one));
        }
    }
    // First one of every bucket, then a second one.
    chosen.sort_by_key(|(count, _)| *count);
    (chosen.into_iter().map(|(_, one)| one).take(StoredText::OF_A_REPORT).collect(), seen.len())
}

/// What came of a sample, with the figures over the whole sample.
fn of_sample<'a>(results: &'a Results, first: &StoredSample) -> Result<Vec<OfRow<'a>>> {
    let task = &results.config.tasks[first.task];
    let of = |other: &&StoredSample| (other.task, &other.sample) == (first.task, &first.sample);
    let row = |stored: &'a StoredSample| {
        let outcome = results.outcome(stored)?;
        let measures = outcome.as_ref().and_then(|outcome| task.task.measures(outcome).ok());
        let measures = measures.unwrap_or_default();
        let of = |metric: &Metric| {
            let found = measures.iter().find(|m| m.group == Group::All && m.metric == metric.of)?;
            let ratio = found.numerator / found.denominator;
            Some((metric.name, if metric.exponential { ratio.exp() } else { ratio }))
        };
        let figures = section::shown(task).filter_map(of).collect();
        Ok(OfRow { stored, outcome, figures })
    };
    results.samples.iter().filter(of).map(row).collect()
}
