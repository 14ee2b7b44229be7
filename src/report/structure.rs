//! What the structure of segments is worth: rows that differ in `unit` alone, each real unit held against its controls.
//!
//! A control keeps the number or the lengths of a unit's segments and not their places, so what a unit gains over it is
//! due to structure. Sentence, table, picture and `structure.csv` are of the same comparisons.

mod controls;
mod shown;
mod words;

use std::collections::HashMap;

use longcode_stats::{Among, Comparison};

use super::Row;
use super::figures::{Measurements, Paired};
use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::store::{Results, StoredSample};
use crate::task::{Better, Group, Metric};
use controls::{Held, Replaced, held};

/// A unit against one of its controls on one task.
#[derive(Debug)]
struct Against<'a> {
    real: &'a EncodingEntry,
    control: &'a EncodingEntry,
    replaced: Replaced,
    /// The figure of the unit and of the control, over the samples that both have.
    values: [f64; 2],
    /// Tokens a segment of each, over the same samples; none of results without the number of segments.
    mean_lengths: [Option<f64>; 2],
    /// By what the unit is better: above 0 structure gains.
    worth: Comparison,
    /// By what the unit's row is better than the baseline, where it is told apart from it.
    gain: Option<f64>,
}

/// One model's comparisons on one task.
#[derive(Debug)]
pub(super) struct Structure<'a> {
    pub(super) model: &'a str,
    pub(super) task: &'a str,
    metric: Metric,
    group: Group,
    /// Not empty.
    against: Vec<Against<'a>>,
}

/// Every model on every task where some unit and a control of it have figures.
pub(super) fn structures<'a>(
    results: &'a Results,
    measured: &Measurements<'a>,
    rows: &[Row],
) -> Vec<Structure<'a>> {
    let held = held(&results.config.encodings);
    if held.is_empty() {
        return Vec::new();
    }
    let comparing = Comparing {
        config: &results.config,
        paired: measured.paired(results.config.seed),
        lengths: Lengths::new(results, measured),
        held,
    };
    let numbers = |model| (0..results.config.tasks.len()).map(move |task| [model, task]);
    let all = (0..results.config.models.len()).flat_map(numbers);
    all.filter_map(|[model, task]| comparing.structure(model, task, rows)).collect()
}

/// What comparisons are made from.
struct Comparing<'a, 'm> {
    config: &'a Config,
    paired: Paired<'m, 'a>,
    lengths: Lengths<'a>,
    held: Vec<Held>,
}

impl<'a> Comparing<'a, '_> {
    /// Of numbers of the config; none without figures.
    fn structure(&self, model: usize, task: usize, rows: &[Row]) -> Option<Structure<'a>> {
        let (names, entry) = (&self.config.models[model].name, &self.config.tasks[task]);
        let rows: Vec<&Row> =
            rows.iter().filter(|row| row.model == *names && row.task == entry.name).collect();
        let (group, metric) = figure(entry, &rows)?;
        let against: Vec<Against> = self
            .held
            .iter()
            .filter_map(|held| self.against([model, task], held, (group, metric), &rows))
            .collect();
        (!against.is_empty()).then_some(Structure { model: names, task: &entry.name, metric, group, against })
    }

    fn against(
        &self,
        [model, task]: [usize; 2],
        held: &Held,
        (group, metric): (Group, Metric),
        rows: &[&Row],
    ) -> Option<Against<'a>> {
        let encodings = &self.config.encodings;
        let (real, control) = (&encodings[held.real], &encodings[held.control]);
        let names = [&self.config.models[model].name[..], &self.config.tasks[task].name];
        let among = Among::Baseline(self.held.len() + 1);
        let found = self.paired.compare(names, [&real.name, &control.name], (group, &metric), among)?;
        let length =
            |encoding: usize| self.lengths.mean([model, encoding, task], held.replaced.level, &found.numbers);
        let row = rows
            .iter()
            .find(|row| row.encoding == real.name && row.group == group && row.metric.name == metric.name);
        let gained = row.and_then(|row| row.difference).map(|difference| better(difference, &metric));
        let gain = gained.filter(|gained| gained.told_apart()).map(|gained| gained.estimate.value);
        Some(Against {
            real,
            control,
            replaced: held.replaced,
            values: found.values,
            mean_lengths: [length(held.real), length(held.control)],
            worth: better(found.difference, &metric),
            gain: gain.filter(|&gain| gain > 0.0),
        })
    }
}

/// A difference as what is gained: above 0 the first figure is better.
fn better(difference: Comparison, metric: &Metric) -> Comparison {
    match metric.better {
        Better::Lower => difference.reversed(),
        Better::Higher => difference,
    }
}

/// What is compared: the figure that the verdict is taken from, else the main one over all samples. Of a perplexity it is
/// the loss.
fn figure(task: &TaskEntry, rows: &[&Row]) -> Option<(Group, Metric)> {
    let metrics = task.task.metrics();
    let first = metrics.first()?;
    let main = *metrics.iter().find(|metric| metric.name == first.of)?;
    let from = rows
        .iter()
        .find_map(|row| row.group.from().filter(|_| main.parts.is_some() && row.metric.name == main.name));
    Some((from.map_or(Group::All, Group::From), main))
}

/// Tokens and segments of the samples, by model, encoding and task, and by the sample's number.
struct Lengths<'a>(HashMap<[usize; 3], HashMap<usize, &'a StoredSample>>);

impl<'a> Lengths<'a> {
    fn new(results: &'a Results, measured: &Measurements) -> Lengths<'a> {
        let mut all: HashMap<[usize; 3], HashMap<usize, &StoredSample>> = HashMap::new();
        for one in &results.samples {
            let of = [one.model, one.encoding, one.task];
            all.entry(of).or_default().insert(measured.number(&results.config, one), one);
        }
        Lengths(all)
    }

    /// Tokens a segment of a level over these samples; none where one has no number of segments.
    fn mean(&self, of: [usize; 3], level: usize, numbers: &[usize]) -> Option<f64> {
        let samples = self.0.get(&of)?;
        let mut sums = (0.0, 0.0);
        for number in numbers {
            let one = samples.get(number)?;
            sums = (sums.0 + one.tokens as f64, sums.1 + *one.segments.get(level)? as f64);
        }
        (sums.1 > 0.0).then(|| sums.0 / sums.1)
    }
}

fn is_of_one_row(one: &Against, other: &Against) -> bool {
    one.real.name == other.real.name
}
