//! Figures with intervals from stored samples, compared within their column.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::stats::{Bootstrap, Estimate, Resampled, ratio};
use crate::store::{Results, SampleLine};
use crate::task::{Better, Group, Metric};

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
    /// This figure less the baseline's, over the samples that both have; none for the baseline itself
    /// and where it has no such figure.
    pub difference: Option<Estimate>,
    /// How it stands among the encodings.
    pub mark: Mark,
}

/// How a figure stands among those of the other encodings: same model, task, group and metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Better than every other: each paired difference excludes 0.
    Best,
    /// The best as measured, where not all differences from it exclude 0, and those whose do not.
    Tie,
    /// Worse than the best, or alone in its column.
    Plain,
}

/// `(numerator, denominator)` of each sample, by its id: one order for all encodings and runs.
type Pairs = BTreeMap<String, (f64, f64)>;

/// The measures of one model, encoding and task.
type Measured = BTreeMap<(Group, &'static str), Pairs>;

/// All figures, in the order of the config: model, task, encoding, group, metric. Differences are from
/// the encoding named `baseline`.
///
/// # Errors
/// [`ErrorKind::Results`] for a stored outcome that its task cannot read.
pub fn summarise(results: &Results, baseline: &str) -> Result<Vec<Row>> {
    let measured = collect(&results.config, &results.samples)?;
    let columns = columns(&results.config, &measured);
    let bootstraps = Bootstraps { seed: results.config.seed, made: Mutex::default() };
    let rows = columns.par_iter().flat_map_iter(|column| column.rows(&bootstraps, baseline));
    let mut rows: Vec<([usize; 3], Row)> = rows.collect();
    rows.sort_by_key(|(order, row)| (*order, row.group));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Measures of all stored samples, by model, encoding and task.
fn collect<'a>(config: &Config, samples: &'a [SampleLine]) -> Result<HashMap<[&'a str; 3], Measured>> {
    let mut measured: HashMap<[&str; 3], Measured> = HashMap::new();
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
        let here = measured.entry([&key.model, &key.encoding, &key.task]).or_default();
        for measure in measures {
            let pairs = here.entry((measure.group, measure.metric)).or_default();
            pairs.insert(key.sample.clone(), (measure.numerator, measure.denominator));
        }
    }
    Ok(measured)
}

/// The encodings that are held against each other.
struct Column<'a> {
    model: &'a str,
    task: &'a str,
    /// Numbers of the model and the task in the config.
    order: [usize; 2],
    group: Group,
    metric: Metric,
    /// Number and name in the config, and the samples; not empty.
    encodings: Vec<(usize, &'a str, &'a Pairs)>,
}

fn columns<'a>(config: &'a Config, measured: &'a HashMap<[&'a str; 3], Measured>) -> Vec<Column<'a>> {
    let mut columns = Vec::new();
    for (m, model) in config.models.iter().enumerate() {
        for (t, task) in config.tasks.iter().enumerate() {
            let of = |(n, encoding): (usize, &'a EncodingEntry)| {
                let found = measured.get(&[&model.name[..], &encoding.name, &task.name])?;
                Some((n, &encoding.name[..], found))
            };
            let encodings: Vec<(usize, &str, &Measured)> =
                config.encodings.iter().enumerate().filter_map(of).collect();
            for (group, metric) in figures(task, &encodings) {
                let pairs = |&(n, name, measured): &(usize, &'a str, &'a Measured)| {
                    Some((n, name, measured.get(&(group, metric.of))?))
                };
                let encodings = encodings.iter().filter_map(pairs).collect();
                columns.push(Column {
                    model: &model.name,
                    task: &task.name,
                    order: [m, t],
                    group,
                    metric,
                    encodings,
                });
            }
        }
    }
    columns
}

/// Every group and metric that some encoding has.
fn figures(task: &TaskEntry, encodings: &[(usize, &str, &Measured)]) -> Vec<(Group, Metric)> {
    let found: BTreeSet<_> = encodings.iter().flat_map(|(.., measured)| measured.keys().copied()).collect();
    let groups: BTreeSet<Group> = found.iter().map(|(group, _)| *group).collect();
    let all =
        groups.into_iter().flat_map(|group| task.task.metrics().iter().map(move |metric| (group, *metric)));
    all.filter(|(group, metric)| found.contains(&(*group, metric.of))).collect()
}

impl Column<'_> {
    fn rows(&self, bootstraps: &Bootstraps, baseline: &str) -> Vec<([usize; 3], Row)> {
        let resampled: Vec<Resampled> =
            self.encodings.iter().map(|(.., pairs)| bootstraps.resample(pairs.values())).collect();
        let difference = |a: usize, b: usize| self.difference(bootstraps, &resampled, a, b);
        let base = self.encodings.iter().position(|(_, name, _)| *name == baseline);
        let marks = self.marks(difference);
        let row = |n: usize| Row {
            model: self.model.into(),
            encoding: self.encodings[n].1.into(),
            task: self.task.into(),
            group: self.group,
            metric: self.metric,
            estimate: resampled[n].estimate(self.figure()),
            difference: base.filter(|&base| base != n).and_then(|base| difference(n, base)),
            mark: marks[n],
        };
        let order = |n: usize| [self.order[0], self.order[1], self.encodings[n].0];
        (0..self.encodings.len()).map(|n| (order(n), row(n))).collect()
    }

    /// The figure of a ratio of sums.
    fn figure(&self) -> fn(f64) -> f64 {
        if self.metric.exponential { f64::exp } else { |ratio| ratio }
    }

    /// One encoding's figure less another's over the samples that both have; none where there are none.
    fn difference(
        &self,
        bootstraps: &Bootstraps,
        resampled: &[Resampled],
        a: usize,
        b: usize,
    ) -> Option<Estimate> {
        let (first, second) = (self.encodings[a].2, self.encodings[b].2);
        if first.keys().eq(second.keys()) {
            return Some(resampled[a].difference(&resampled[b], self.figure()));
        }
        let both: Vec<_> = first.iter().filter_map(|(id, pair)| Some((pair, second.get(id)?))).collect();
        if both.is_empty() {
            return None;
        }
        let one = bootstraps.resample(both.iter().map(|(pair, _)| *pair));
        let other = bootstraps.resample(both.iter().map(|(_, pair)| *pair));
        Some(one.difference(&other, self.figure()))
    }

    /// Bold only where the evidence is: see [`Mark`].
    fn marks(&self, difference: impl Fn(usize, usize) -> Option<Estimate>) -> Vec<Mark> {
        let value = |n: usize| ratio(self.encodings[n].2.values().copied()) * self.sign();
        let count = self.encodings.len();
        let mut marks = vec![Mark::Plain; count];
        let Some(best) = (0..count).min_by(|&a, &b| value(a).total_cmp(&value(b))) else { return marks };
        // Also a difference for the worse on the samples that both have is none for the better.
        let beaten = |other: &usize| {
            difference(*other, best).is_some_and(|d| d.excludes_zero() && d.value * self.sign() > 0.0)
        };
        let ties: Vec<usize> = (0..count).filter(|&n| n != best).filter(|n| !beaten(n)).collect();
        marks[best] = match (count, ties.is_empty()) {
            (1, _) => Mark::Plain,
            (_, true) => Mark::Best,
            (_, false) => Mark::Tie,
        };
        ties.into_iter().for_each(|n| marks[n] = Mark::Tie);
        marks
    }

    /// 1 where lower is better.
    fn sign(&self) -> f64 {
        match self.metric.better {
            Better::Lower => 1.0,
            Better::Higher => -1.0,
        }
    }
}

/// One bootstrap for each number of samples.
struct Bootstraps {
    seed: u64,
    made: Mutex<HashMap<usize, Arc<Bootstrap>>>,
}

impl Bootstraps {
    fn resample<'a>(&self, pairs: impl Iterator<Item = &'a (f64, f64)>) -> Resampled {
        let pairs: Vec<(f64, f64)> = pairs.copied().collect();
        let bootstrap = {
            let mut made = self.made.lock().expect("making a bootstrap does not panic");
            let make = || Arc::new(Bootstrap::new(pairs.len(), self.seed));
            made.entry(pairs.len()).or_insert_with(make).clone()
        };
        bootstrap.resample(&pairs)
    }
}
