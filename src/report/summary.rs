//! Figures with intervals from stored samples, and summary.csv.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::Serialize;

use crate::config::{Config, TaskEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::stats::{Bootstrap, Estimate};
use crate::store::{Results, SampleLine};
use crate::task::{Group, Metric};

/// A figure: one line of summary.csv.
#[derive(Debug, Clone)]
pub struct Row {
    /// The model's name.
    pub model: String,
    /// The encoding's name.
    pub encoding: String,
    /// The task's name.
    pub task: String,
    /// Over which samples or positions.
    pub group: Group,
    /// What it is.
    pub metric: Metric,
    /// The figure.
    pub estimate: Estimate,
}

/// `(numerator, denominator)` of each sample, by its id: one order for all encodings and runs.
type Pairs = BTreeMap<String, (f64, f64)>;

/// The measures of one model, encoding and task.
type Cell = BTreeMap<(Group, &'static str), Pairs>;

/// All figures, in the order of the config: model, task, encoding, group, metric.
///
/// # Errors
/// [`ErrorKind::Results`] for a stored outcome that its task cannot read.
pub fn summarise(results: &Results) -> Result<Vec<Row>> {
    let config = &results.config;
    let cells = collect(config, &results.samples)?;
    let mut plan = Vec::new();
    for (model, task) in
        config.models.iter().flat_map(|model| config.tasks.iter().map(move |task| (model, task)))
    {
        for encoding in &config.encodings {
            if let Some(cell) = cells.get(&[&model.name[..], &encoding.name, &task.name]) {
                plan.extend(figures(task, cell).map(|(group, metric, pairs)| {
                    let names = [model.name.clone(), encoding.name.clone(), task.name.clone()];
                    (names, group, metric, pairs)
                }));
            }
        }
    }
    let bootstraps = bootstraps(plan.iter().map(|(.., pairs)| pairs.len()), config.seed);
    let row = |([model, encoding, task], group, metric, pairs): ([String; 3], Group, Metric, &Pairs)| {
        let values: Vec<_> = pairs.values().copied().collect();
        let estimate = bootstraps[&values.len()].estimate(&values);
        let estimate = if metric.exponential { estimate.map(f64::exp) } else { estimate };
        Row { model, encoding, task, group, metric, estimate }
    };
    Ok(plan.into_par_iter().map(row).collect())
}

/// Measures of all stored samples, by model, encoding and task.
fn collect<'a>(config: &Config, samples: &'a [SampleLine]) -> Result<HashMap<[&'a str; 3], Cell>> {
    let mut cells: HashMap<[&str; 3], Cell> = HashMap::new();
    for line in samples {
        let key = &line.key;
        let bad = |what: String| {
            Error::new(ErrorKind::Results, what)
                .at(format_args!("samples.jsonl: task \"{}\", sample \"{}\"", key.task, key.sample))
                .fix("remove the line, which is then computed again, or start over with --fresh")
        };
        let task = config.tasks.iter().find(|task| task.name == key.task);
        let task = task.ok_or_else(|| bad("the config has no such task".into()))?;
        let measures = task.task.measures(&line.outcome).map_err(|e| bad(format!("not an outcome: {e}")))?;
        let cell = cells.entry([&key.model, &key.encoding, &key.task]).or_default();
        for measure in measures {
            let pairs = cell.entry((measure.group, measure.metric)).or_default();
            pairs.insert(key.sample.clone(), (measure.numerator, measure.denominator));
        }
    }
    Ok(cells)
}

/// Every group and metric of a cell, groups in their order, metrics in the task's.
fn figures<'a>(task: &TaskEntry, cell: &'a Cell) -> impl Iterator<Item = (Group, Metric, &'a Pairs)> {
    let mut groups: Vec<Group> = cell.keys().map(|(group, _)| *group).collect();
    groups.dedup();
    let metrics = task.task.metrics();
    groups.into_iter().flat_map(move |group| {
        let found = move |metric: &Metric| Some((group, *metric, cell.get(&(group, metric.of))?));
        metrics.iter().filter_map(found)
    })
}

/// One bootstrap for each number of samples.
fn bootstraps(counts: impl Iterator<Item = usize>, seed: u64) -> HashMap<usize, Bootstrap> {
    let mut counts: Vec<usize> = counts.collect();
    counts.sort_unstable();
    counts.dedup();
    counts.into_par_iter().map(|n| (n, Bootstrap::new(n, seed))).collect()
}

/// summary.csv: tidy, one figure a line.
pub(super) fn csv(rows: &[Row]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a> {
        model: &'a str,
        encoding: &'a str,
        task: &'a str,
        bucket: String,
        metric: &'a str,
        value: f64,
        ci_low: f64,
        ci_high: f64,
        n: usize,
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        let line = Line {
            model: &row.model,
            encoding: &row.encoding,
            task: &row.task,
            bucket: row.group.to_string(),
            metric: row.metric.name,
            value: row.estimate.value,
            ci_low: row.estimate.low,
            ci_high: row.estimate.high,
            n: row.estimate.n,
        };
        writer.serialize(line).expect("writing to memory");
    }
    writer.into_inner().expect("writing to memory")
}
