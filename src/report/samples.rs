//! Single samples to look into: their text with its segments, what each encoding made of them, and what was expected.
//!
//! Shown are the first of every bucket; of each task those that are the worst under the middle row; and those on which a
//! row differs most from the baseline. A run keeps the texts of all of them (`texts.jsonl.gz`).

use std::collections::{HashMap, HashSet};

use longcode_stats::ratio;
use longcode_tasks::per_token::PerToken;
use serde_json::Value;

use super::figures::Measurements;
use super::{Report, section};
use crate::error::Result;
use crate::store::{Results, StoredSample, StoredText, TextOf};
use crate::task::{Better, Group, Metric};

/// Samples of a task that are shown for being the worst, and for differing most.
const OF_A_KIND: usize = 3;

/// Samples that are shown for the same reason.
pub(super) struct Chosen<'a> {
    /// Why, as a heading.
    pub(super) why: String,
    pub(super) samples: Vec<Shown<'a>>,
}

/// A sample of a task under all models and encodings.
pub(super) struct Shown<'a> {
    /// Its first result; all have the same text.
    pub(super) first: &'a StoredSample,
    /// Of every model and encoding.
    pub(super) results: Vec<OfRow<'a>>,
    /// The text; none in results of an earlier longcode, which kept no texts or those of the first samples alone.
    pub(super) text: Option<&'a StoredText>,
    /// The right answer, where the task has one.
    pub(super) expected: Option<String>,
    /// The tokens under the baseline and under the row that does best on it, by the rows' names; none where there is no
    /// text, or the results do not keep the scores of tokens.
    pub(super) tokens: Vec<(&'a str, PerToken)>,
}

/// What came of a sample under one model and encoding.
pub(super) struct OfRow<'a> {
    pub(super) stored: &'a StoredSample,
    /// None where it failed.
    pub(super) outcome: Option<Value>,
    /// The sample's own figures: name and value.
    pub(super) figures: Vec<(&'static str, f64)>,
}

/// The samples that a page shows, and how many there are in all.
///
/// # Errors
/// As [`Results::outcome`].
pub(super) fn chosen<'a>(report: &Report<'a>) -> Result<(Vec<Chosen<'a>>, usize)> {
    let results = report.results;
    let (first, all) = first_of_buckets(results);
    let mut chosen = vec![("The first of every bucket".to_string(), first)];
    chosen.extend(extremes(results, &report.measured, report.baseline));
    let shown = |first: &'a StoredSample| -> Result<Shown<'a>> {
        let rows = of_sample(results, first)?;
        let task = &results.config.tasks[first.task].task;
        let expected = rows.iter().find_map(|row| task.expected(row.outcome.as_ref()?));
        let text = text(results, first);
        let tokens = text.map_or(Ok(Vec::new()), |_| tokens(report, &rows))?;
        Ok(Shown { first, results: rows, text, expected, tokens })
    };
    let of_why = |(why, samples): (String, Vec<&'a StoredSample>)| -> Result<Chosen<'a>> {
        Ok(Chosen { why, samples: samples.into_iter().map(&shown).collect::<Result<_>>()? })
    };
    let chosen = chosen.into_iter().map(of_why);
    Ok((chosen.collect::<Result<_>>()?, all))
}

/// The samples that a page shows for their figures and whose texts the results do not hold, each once.
pub(super) fn without_text<'a>(
    results: &'a Results,
    measured: &Measurements<'a>,
    baseline: &str,
) -> Vec<TextOf<'a>> {
    let mut found = Vec::new();
    for one in extremes(results, measured, baseline).into_iter().flat_map(|(_, samples)| samples) {
        let wanted = text_of(results, one);
        if text(results, one).is_none() && !found.contains(&wanted) {
            found.push(wanted);
        }
    }
    found
}

fn text_of<'a>(results: &'a Results, one: &'a StoredSample) -> TextOf<'a> {
    TextOf { task: &results.config.tasks[one.task].name, sample: &one.sample, sha256: &one.sha256 }
}

/// Of every task the samples that are the worst, and those that differ most, with why.
fn extremes<'a>(
    results: &'a Results,
    measured: &Measurements<'a>,
    baseline: &str,
) -> Vec<(String, Vec<&'a StoredSample>)> {
    let tasks = 0..results.config.tasks.len();
    let of_tasks = tasks.filter_map(|task| OfTask::new(results, measured, baseline, task));
    of_tasks.flat_map(|task| task.extremes()).collect()
}

/// See [`Shown::tokens`].
fn tokens<'a>(report: &Report<'a>, rows: &[OfRow<'a>]) -> Result<Vec<(&'a str, PerToken)>> {
    let config = &report.results.config;
    let name = |row: &OfRow| &config.encodings[row.stored.encoding].name[..];
    let main = |row: &&OfRow| row.figures.first().map_or(f64::INFINITY, |(_, value)| *value);
    let model = rows.first().map(|row| row.stored.model);
    let own = || rows.iter().filter(|row| Some(row.stored.model) == model);
    let base = own().find(|row| name(row) == report.baseline);
    let best = own().filter(|row| name(row) != report.baseline).min_by(|a, b| main(a).total_cmp(&main(b)));
    let mut found = Vec::new();
    for row in base.into_iter().chain(best) {
        let Some(outcome) = &row.outcome else { continue };
        let tokens = config.tasks[row.stored.task].task.per_token(outcome);
        let tokens =
            tokens.map_err(|e| report.results.bad_sample(row.stored, format!("not an outcome: {e}")))?;
        found.extend(tokens.map(|tokens| (name(row), tokens)));
    }
    Ok(found)
}

fn text<'a>(results: &'a Results, one: &StoredSample) -> Option<&'a StoredText> {
    results.texts.iter().find(|text| text.of() == text_of(results, one))
}

/// The first samples of every task and bucket in the order they were measured, and how many there are in all.
fn first_of_buckets(results: &Results) -> (Vec<&StoredSample>, usize) {
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

/// The main figure of every sample of a task under one model.
struct OfTask<'a> {
    name: String,
    baseline: String,
    better: Better,
    /// Every row's figures by the sample's number, and the mean of all.
    rows: Vec<(&'a str, HashMap<usize, f64>, f64)>,
    /// The first result of each sample, by its number, ascending.
    samples: Vec<(usize, &'a StoredSample)>,
}

impl<'a> OfTask<'a> {
    /// Of the first model that has figures.
    fn new(
        results: &'a Results,
        measured: &Measurements<'a>,
        baseline: &str,
        task: usize,
    ) -> Option<OfTask<'a>> {
        let config = &results.config;
        let entry = &config.tasks[task];
        let metric = section::shown(entry).next()?;
        let mut rows = Vec::new();
        for model in &config.models {
            for encoding in &config.encodings {
                let key = [&model.name[..], &encoding.name, &entry.name];
                let pairs = measured.pairs(key, Group::All, metric);
                let figures: HashMap<usize, f64> =
                    pairs.iter().map(|(number, pair)| (*number, ratio([*pair].into_iter()))).collect();
                if !figures.is_empty() {
                    rows.push((&encoding.name[..], figures, ratio(pairs.iter().map(|(_, pair)| *pair))));
                }
            }
            if !rows.is_empty() {
                break;
            }
        }
        let of_task = results.samples.iter().filter(|one| one.task == task);
        let mut samples: Vec<(usize, &StoredSample)> =
            of_task.map(|one| (measured.number(config, one), one)).collect();
        samples.sort_by_key(|(number, _)| *number);
        samples.dedup_by_key(|(number, _)| *number);
        let (name, baseline) = (entry.name.clone(), baseline.to_string());
        (!rows.is_empty()).then_some(OfTask { name, baseline, better: metric.better, rows, samples })
    }

    /// The worst samples, and those on which the best row differs most from the baseline.
    fn extremes(&self) -> Vec<(String, Vec<&'a StoredSample>)> {
        let sign = if self.better == Better::Lower { 1.0 } else { -1.0 };
        let middle = |number: usize| {
            let mut values: Vec<f64> = self
                .rows
                .iter()
                .filter_map(|(_, figures, _)| figures.get(&number))
                .map(|v| sign * v)
                .collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let mut found = vec![(format!("{}: the worst under the middle row", self.name), self.most(middle))];
        let base = self.rows.iter().find(|(name, ..)| *name == self.baseline);
        let others = self.rows.iter().filter(|(name, ..)| *name != self.baseline);
        let best = others.min_by(|(.., a), (.., b)| (sign * a).total_cmp(&(sign * b)));
        if let Some(((_, base, _), (name, best, _))) = base.zip(best) {
            let off = |number: usize| {
                let off = best.get(&number)? - base.get(&number)?;
                (off != 0.0).then(|| off.abs())
            };
            let why = format!("{}: {name} differs most from {}", self.name, self.baseline);
            found.push((why, self.most(off)));
        }
        found.retain(|(_, samples)| !samples.is_empty());
        found
    }

    fn most(&self, of: impl Fn(usize) -> Option<f64>) -> Vec<&'a StoredSample> {
        let mut found: Vec<(f64, &StoredSample)> =
            self.samples.iter().filter_map(|(number, one)| Some((of(*number)?, *one))).collect();
        found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        found.into_iter().map(|(_, one)| one).take(OF_A_KIND).collect()
    }
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
