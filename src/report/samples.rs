//! Single samples to look into: their text with its segments, and what each encoding made of them.
//!
//! Results hold the hash of a sample's text, not the text. The text is made again as the run made it, from
//! the data set and the model's tokenizer, and shown where its hash is the stored one.

use std::collections::{HashMap, HashSet};

use super::section;
use crate::dataset::Dataset;
use crate::error::Result;
use crate::hash::sha256;
use crate::model::Checkpoint;
use crate::run::sample_segments;
use crate::store::{Results, SampleLine};
use crate::structure::Unit;
use crate::task::{Group, Metric, Sample};

/// Most samples of a task and bucket, and of a report.
const OF_A_BUCKET: usize = 2;
const OF_A_REPORT: usize = 40;

/// Most bytes of a text that are shown.
const LONGEST: usize = 100_000;

/// A sample of a task under all models and encodings.
pub(super) struct Shown<'a> {
    /// Its first line; all have the same text.
    pub(super) line: &'a SampleLine,
    /// Every model and encoding, and the sample's own figures there: name and value.
    pub(super) results: Vec<(&'a SampleLine, Vec<(&'static str, f64)>)>,
    /// The text, or why it is not there.
    pub(super) text: std::result::Result<Text, String>,
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
pub(super) fn shown(results: &Results) -> (Vec<Shown<'_>>, usize) {
    let (chosen, all) = chosen(results);
    let unit = results.config.encodings.iter().flat_map(|encoding| encoding.spec.units()).next();
    let mut texts = Texts { results, unit: *unit.unwrap_or(&Unit::Function), made: HashMap::new() };
    let mut shown = Vec::new();
    for line in chosen {
        shown.push(Shown { line, results: of_sample(results, line), text: texts.text(line) });
    }
    (shown, all)
}

/// The samples of each model and task as the run made them, or why that fails now.
struct Texts<'a> {
    results: &'a Results,
    unit: Unit,
    made: HashMap<[&'a str; 2], std::result::Result<Vec<Sample>, String>>,
}

impl<'a> Texts<'a> {
    fn text(&mut self, line: &'a SampleLine) -> std::result::Result<Text, String> {
        let (model, task) = (&line.key.model, &line.key.task);
        let make = || samples(self.results, model, task).map_err(|e| e.what);
        let samples = self.made.entry([model, task]).or_insert_with(make).as_ref().map_err(Clone::clone)?;
        let same =
            |sample: &&Sample| sample.id == line.key.sample && sha256(sample.text.as_bytes()) == line.sha256;
        let found = samples.iter().find(same).map(|sample| Text::new(sample, self.unit));
        found.ok_or_else(|| "the data set has no such text any more".into())
    }
}

/// The first samples of every task and bucket in the order they were measured.
fn chosen(results: &Results) -> (Vec<&SampleLine>, usize) {
    let mut of_bucket: HashMap<[&str; 2], usize> = HashMap::new();
    let mut seen = HashSet::new();
    let mut chosen = Vec::new();
    for line in &results.samples {
        if !seen.insert([&line.key.task, &line.key.sample]) {
            continue;
        }
        let count = of_bucket.entry([&line.key.task, &line.bucket]).or_default();
        *count += 1;
        if *count <= OF_A_BUCKET {
            chosen.push((*count, line));
        }
    }
    // First one of every bucket, then a second one.
    chosen.sort_by_key(|(count, _)| *count);
    (chosen.into_iter().map(|(_, line)| line).take(OF_A_REPORT).collect(), seen.len())
}

/// The samples of a task as the run made them.
fn samples(results: &Results, model: &str, task: &str) -> Result<Vec<Sample>> {
    let config = &results.config;
    let model = config.models.iter().find(|entry| entry.name == model).expect("a result's model");
    let task = config.tasks.iter().find(|entry| entry.name == task).expect("a result's task");
    let checkpoint = Checkpoint::open(&config.find_model(model)?)?;
    let dataset = Dataset::open(&task.dataset, &config.search)?;
    Ok(task.task.samples(&dataset, &checkpoint, config.seed)?.samples)
}

/// The lines of a sample, with the figures over the whole sample.
fn of_sample<'a>(results: &'a Results, line: &SampleLine) -> Vec<(&'a SampleLine, Vec<(&'static str, f64)>)> {
    let task = results.config.tasks.iter().find(|task| task.name == line.key.task).expect("a result's task");
    let of = |other: &&SampleLine| (&other.key.task, &other.key.sample) == (&line.key.task, &line.key.sample);
    let figures = |line: &'a SampleLine| {
        let measures = task.task.measures(&line.outcome).unwrap_or_default();
        let of = |metric: &Metric| {
            let found = measures.iter().find(|m| m.group == Group::All && m.metric == metric.of)?;
            let ratio = found.numerator / found.denominator;
            Some((metric.name, if metric.exponential { ratio.exp() } else { ratio }))
        };
        (line, section::shown(task).filter_map(of).collect())
    };
    results.samples.iter().filter(of).map(figures).collect()
}

impl Text {
    /// A sample's text with the segments that its tokens have.
    fn new(sample: &Sample, unit: Unit) -> Text {
        let end = sample.text.floor_char_boundary(LONGEST);
        let segments = sample_segments(sample, unit);
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
