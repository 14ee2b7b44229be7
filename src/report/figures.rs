//! Figures with intervals from stored samples, compared within their column.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::stats::{Bootstrap, Design, Estimate, FEWEST, Pair, Scale, ratio, told_apart};
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

/// How a figure stands among those of the other encodings: same model, task, group and metric, and the samples
/// that all of them have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Better than every other, each of which is told apart from it.
    Best,
    /// The best as measured, where not all others are told apart from it, and those that are not.
    Tie,
    /// Worse than the best, alone in its column, or of too few samples to tell.
    Plain,
}

/// `(numerator, denominator)` of each sample: one order for all encodings and runs, bucket by bucket.
type Pairs = BTreeMap<SampleId, Pair>;

/// A sample within its bucket; a bucket has a number of samples that the config fixes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SampleId {
    bucket: String,
    sample: String,
}

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
            let id = SampleId { bucket: line.bucket.clone(), sample: key.sample.clone() };
            pairs.insert(id, (measure.numerator, measure.denominator));
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
        let base = self.encodings.iter().find(|(_, name, _)| *name == baseline).map(|(.., pairs)| *pairs);
        let marks = self.marks(bootstraps);
        let row = |n: usize| {
            let (_, name, pairs) = self.encodings[n];
            let other = base.filter(|_| name != baseline);
            Row {
                model: self.model.into(),
                encoding: name.into(),
                task: self.task.into(),
                group: self.group,
                metric: self.metric,
                estimate: self.estimate(bootstraps, pairs),
                difference: other.and_then(|base| self.difference(bootstraps, pairs, base)),
                mark: marks[n],
            }
        };
        let order = |n: usize| [self.order[0], self.order[1], self.encodings[n].0];
        (0..self.encodings.len()).map(|n| (order(n), row(n))).collect()
    }

    /// The figure and its interval; of a part of others, whose differences alone are asked for, as measured.
    fn estimate(&self, bootstraps: &Bootstraps, pairs: &Pairs) -> Estimate {
        match self.metric.part {
            true => Estimate::as_measured(ratio(pairs.values().copied()), pairs.len()),
            false => bootstraps.of(pairs.keys()).estimate(&values(pairs), self.scale()),
        }
    }

    /// What the metric makes of a ratio of sums.
    fn scale(&self) -> Scale {
        if self.metric.exponential { Scale::Exponential } else { Scale::Plain }
    }

    /// One encoding's figure less another's over the samples that both have; none where there are none.
    fn difference(&self, bootstraps: &Bootstraps, pairs: &Pairs, others: &Pairs) -> Option<Estimate> {
        let (ids, [pairs, others]) = shared([pairs, others]);
        (!ids.is_empty()).then(|| bootstraps.of(ids).difference(&pairs, &others, self.scale()))
    }

    /// Bold only where the evidence is: see [`Mark`].
    fn marks(&self, bootstraps: &Bootstraps) -> Vec<Mark> {
        let count = self.encodings.len();
        let (ids, figures) = shared_by_all(self.encodings.iter().map(|(.., pairs)| *pairs));
        if count < 2 || ids.len() < FEWEST || self.metric.part {
            return vec![Mark::Plain; count];
        }
        let figures: Vec<&[Pair]> = figures.iter().map(Vec::as_slice).collect();
        let bootstrap = bootstraps.of(ids);
        // exp keeps the order, and differences of losses vary less than those of perplexities.
        let told = told_apart(&bootstrap, &figures, self.sign(), bootstraps.seed);
        let Some((best, apart)) = told else { return vec![Mark::Plain; count] };
        let alone = apart.iter().filter(|apart| !**apart).count() == 1;
        let mark = |n: usize| match (n == best, apart[n]) {
            (true, _) if alone => Mark::Best,
            (_, true) => Mark::Plain,
            _ => Mark::Tie,
        };
        (0..count).map(mark).collect()
    }

    /// 1 where lower is better.
    fn sign(&self) -> f64 {
        match self.metric.better {
            Better::Lower => 1.0,
            Better::Higher => -1.0,
        }
    }
}

fn values(pairs: &Pairs) -> Vec<Pair> {
    pairs.values().copied().collect()
}

/// The samples that both have, and what each has of them.
fn shared(both: [&Pairs; 2]) -> (Vec<&SampleId>, [Vec<Pair>; 2]) {
    let (ids, pairs) = shared_by_all(both.into_iter());
    (ids, pairs.try_into().expect("two went in"))
}

/// The samples that all have, and what each has of them.
fn shared_by_all<'a>(all: impl Iterator<Item = &'a Pairs>) -> (Vec<&'a SampleId>, Vec<Vec<Pair>>) {
    let all: Vec<&Pairs> = all.collect();
    let Some((first, others)) = all.split_first() else { return Default::default() };
    let ids: Vec<&SampleId> =
        first.keys().filter(|id| others.iter().all(|pairs| pairs.contains_key(id))).collect();
    let pairs = all.iter().map(|pairs| ids.iter().map(|id| pairs[*id]).collect()).collect();
    (ids, pairs)
}

/// One bootstrap for each design.
struct Bootstraps {
    seed: u64,
    made: Mutex<HashMap<Design, Arc<Bootstrap>>>,
}

impl Bootstraps {
    /// Of samples in their order.
    fn of<'a>(&self, ids: impl IntoIterator<Item = &'a SampleId>) -> Arc<Bootstrap> {
        let ids: Vec<&SampleId> = ids.into_iter().collect();
        let design = Design::new(ids.chunk_by(|a, b| a.bucket == b.bucket).map(<[_]>::len));
        let mut made = self.made.lock().expect("making a bootstrap does not panic");
        let make = || Arc::new(Bootstrap::new(design.clone(), self.seed));
        made.entry(design.clone()).or_insert_with(make).clone()
    }
}
