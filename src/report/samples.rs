//! Single samples to look into: their text with its segments, and what each encoding made of them.
//!
//! Results hold the hash of a sample's text, not the text. The text is made again as the run made it, from
//! the data set and the model's tokenizer, and shown where its hash is the stored one.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::section;
use crate::checkpoint::Checkpoint;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::hash::sha256;
use crate::run::sample_segments;
use crate::store::{Results, StoredSample};
use crate::structure::{Draw, Unit};
use crate::task::{Group, Metric, Sample};

/// Most samples of a task and bucket, and of a report.
const OF_A_BUCKET: usize = 2;
const OF_A_REPORT: usize = 40;

/// Most bytes of a text that are shown.
const LONGEST: usize = 100_000;

/// A sample of a task under all models and encodings.
pub(super) struct Shown<'a> {
    /// Its first result; all have the same text.
    pub(super) first: &'a StoredSample,
    /// Of every model and encoding.
    pub(super) results: Vec<OfRow<'a>>,
    /// The text, or why it is not there.
    pub(super) text: std::result::Result<Text, String>,
}

/// What came of a sample under one model and encoding.
pub(super) struct OfRow<'a> {
    pub(super) stored: &'a StoredSample,
    /// None where it failed.
    pub(super) outcome: Option<Value>,
    /// The sample's own figures: name and value.
    pub(super) figures: Vec<(&'static str, f64)>,
}

/// A text and where its segments begin.
pub(super) struct Text {
    pub(super) text: String,
    /// Bytes of the text that are left out at its end.
    pub(super) cut: usize,
    pub(super) unit: Unit,
    /// Byte offsets, the first one 0.
    pub(super) starts: Vec<usize>,
}

/// The first samples of every bucket, and how many there are in all.
///
/// # Errors
/// As [`Results::outcome`].
pub(super) fn shown(results: &Results) -> Result<(Vec<Shown<'_>>, usize)> {
    let (chosen, all) = chosen(results);
    let unit = results.config.encodings.iter().flat_map(|encoding| encoding.spec.units()).next();
    let mut texts = Texts { results, unit: *unit.unwrap_or(&Unit::FUNCTION), made: HashMap::new() };
    let mut shown = Vec::new();
    for first in chosen {
        shown.push(Shown { first, results: of_sample(results, first)?, text: texts.text(first) });
    }
    Ok((shown, all))
}

/// The samples of each model and task, by their numbers in the config, as the run made them, or why that fails now.
struct Texts<'a> {
    results: &'a Results,
    unit: Unit,
    made: HashMap<[usize; 2], std::result::Result<Vec<Sample>, String>>,
}

impl Texts<'_> {
    fn text(&mut self, one: &StoredSample) -> std::result::Result<Text, String> {
        let place = [one.model, one.task];
        let make = || samples(self.results, place).map_err(|e| e.what);
        let samples = self.made.entry(place).or_insert_with(make).as_ref().map_err(Clone::clone)?;
        let same =
            |sample: &&Sample| sample.id == *one.sample && sha256(sample.text.as_bytes()) == *one.sha256;
        let draw = Draw { seed: self.results.config.seed, hash: &one.sha256 };
        let found = samples.iter().find(same).map(|sample| Text::new(sample, self.unit, draw));
        found.ok_or_else(|| "the data set has no such text any more".into())
    }
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
        if *count <= OF_A_BUCKET {
            chosen.push((*count, one));
        }
    }
    // First one of every bucket, then a second one.
    chosen.sort_by_key(|(count, _)| *count);
    (chosen.into_iter().map(|(_, one)| one).take(OF_A_REPORT).collect(), seen.len())
}

/// The samples of a model and task as the run made them.
fn samples(results: &Results, [model, task]: [usize; 2]) -> Result<Vec<Sample>> {
    let config = &results.config;
    let task = &config.tasks[task];
    let checkpoint = Checkpoint::open(&config.find_model(&config.models[model])?)?;
    let dataset = Dataset::open(&task.dataset, &config.search)?;
    Ok(task.task.samples(&dataset, &checkpoint, config.seed)?.samples)
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

impl Text {
    /// A sample's text with the segments that its tokens have.
    fn new(sample: &Sample, unit: Unit, draw: Draw) -> Text {
        let end = sample.text.floor_char_boundary(LONGEST);
        let segments = sample_segments(sample, unit, draw);
        let firsts = (1..segments.index.len()).filter(|&t| segments.index[t] != segments.index[t - 1]);
        let mut starts: Vec<usize> =
            firsts.map(|t| sample.text.floor_char_boundary(sample.tokens.offsets[t].0)).collect();
        starts.insert(0, 0);
        starts.sort_unstable();
        starts.dedup();
        starts.retain(|start| *start < end);
        Text { text: sample.text[..end].into(), cut: sample.text.len() - end, unit: segments.unit, starts }
    }

    /// The segments in order.
    pub(super) fn segments(&self) -> impl Iterator<Item = &str> {
        let ends = self.starts.iter().skip(1).copied().chain([self.text.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| &self.text[*start..end])
    }
}
