//! Figures with intervals from stored samples, compared within their column.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use longcode_stats::{
    Among, Bootstrap, Comparison, Design, Estimate, FEWEST, Pair, Sensitivity, ratio, sensitivity, told_apart,
};
use rayon::prelude::*;

use super::seen::{self, SEEN};
use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::error::Result;
use crate::store::{Results, StoredSample};
use crate::task::{Better, Group, Measure, Metric};

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
    pub difference: Option<Comparison>,
    /// What that difference owes to single samples, where a verdict is taken from it.
    pub sensitivity: Option<Sensitivity>,
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

/// What each sample has in a figure, by the sample's number, ascending.
pub(super) type Pairs = [(usize, Pair)];

/// The measures of one model, encoding and task.
type Measures = BTreeMap<(Group, &'static str), Vec<(usize, Pair)>>;

/// A bucket and a sample of it; a bucket has a number of samples that the config fixes.
type SampleId<'a> = (&'a str, &'a str);

/// The measures of all stored samples.
#[derive(Debug)]
pub(super) struct Measurements<'a> {
    /// The samples of each task, a sample's number being its place: one order for all encodings and runs, bucket by
    /// bucket.
    samples: HashMap<&'a str, Vec<SampleId<'a>>>,
    /// By model, encoding and task.
    measures: HashMap<[&'a str; 3], Measures>,
}

impl<'a> Measurements<'a> {
    /// # Errors
    /// [`crate::error::ErrorKind::Results`] for a stored outcome that its task cannot read.
    pub(super) fn new(results: &'a Results) -> Result<Measurements<'a>> {
        let mut ids: HashMap<&str, BTreeSet<SampleId>> = HashMap::new();
        for one in &results.samples {
            ids.entry(&results.config.tasks[one.task].name).or_default().insert((&one.bucket, &one.sample));
        }
        let samples: HashMap<&str, Vec<SampleId>> =
            ids.into_iter().map(|(task, ids)| (task, ids.into_iter().collect())).collect();
        let mut measures: HashMap<[&str; 3], Measures> = HashMap::new();
        for some in results.samples.chunks(TOGETHER) {
            let read: Result<Vec<Vec<Measure>>> =
                some.par_iter().map(|one| of_sample(results, one)).collect();
            for (one, read) in some.iter().zip(read?) {
                let [model, encoding, task] = names(&results.config, one);
                let number = number(&samples[task], one);
                let here = measures.entry([model, encoding, task]).or_default();
                for measure in read {
                    let pairs = here.entry((measure.group, measure.metric)).or_default();
                    pairs.push((number, (measure.numerator, measure.denominator)));
                }
            }
        }
        for pairs in measures.values_mut().flat_map(BTreeMap::values_mut) {
            pairs.sort_unstable_by_key(|(number, _)| *number);
            pairs.shrink_to_fit();
        }
        Ok(Measurements { samples, measures })
    }

    /// What the samples have in the figures of one group.
    pub(super) fn pairs<'s>(&'s self, key: [&'s str; 3], group: Group, metric: &Metric) -> &'s Pairs {
        let found = self.measures.get(&key).and_then(|measures| measures.get(&(group, metric.of)));
        found.map_or(&[], Vec::as_slice)
    }

    /// What the samples of a row have from a position on, by the sample's number, ascending.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Results`] for a stored outcome that its task cannot read.
    pub(super) fn pairs_from(
        &self,
        results: &Results,
        key: [&str; 3],
        from: usize,
    ) -> Result<Vec<(usize, Pair)>> {
        let config = &results.config;
        let of_sample = |one: &&StoredSample| {
            let Some(outcome) = results.outcome(one)? else { return Ok(None) };
            let read = config.tasks[one.task].task.measure_from(&outcome, from);
            let read = read.map_err(|e| results.bad_sample(one, format!("not an outcome: {e}")))?;
            let number = self.number(config, one);
            Ok(read.map(|measure| (number, (measure.numerator, measure.denominator))))
        };
        let own: Vec<&StoredSample> =
            results.samples.iter().filter(|one| names(config, one) == key).collect();
        let read: Result<Vec<_>> = own.par_iter().map(of_sample).collect();
        let mut pairs: Vec<(usize, Pair)> = read?.into_iter().flatten().collect();
        pairs.sort_unstable_by_key(|(number, _)| *number);
        Ok(pairs)
    }

    /// Differences of pairs of rows by the draws that the rows' own are made of.
    pub(super) fn paired(&self, seed: u64) -> Paired<'_, 'a> {
        Paired { measured: self, bootstraps: Bootstraps { seed, made: Mutex::default() } }
    }

    /// How these samples of a task were drawn.
    pub(super) fn design(&self, task: &str, numbers: &[usize]) -> Design {
        design(&self.samples[task], numbers)
    }

    /// The id of a task's sample by its number.
    pub(super) fn id(&self, task: &str, number: usize) -> &'a str {
        self.samples[task][number].1
    }

    /// The number of a task's sample.
    pub(super) fn number(&self, config: &Config, one: &StoredSample) -> usize {
        number(&self.samples[&config.tasks[one.task].name[..]], one)
    }

    /// All figures, in the order of the config: model, task, encoding, group, metric. Differences are from
    /// the encoding named `baseline`.
    pub(super) fn rows(&self, config: &Config, baseline: &str) -> Vec<Row> {
        let columns = columns(config, self);
        let bootstraps = Bootstraps::new(config.seed);
        let rows = columns.par_iter().flat_map_iter(|column| column.rows(&bootstraps, baseline));
        let mut rows: Vec<([usize; 3], Row)> = rows.collect();
        rows.sort_by_key(|(order, row)| (*order, row.group));
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// The number of a sample among those of its task.
fn number(samples: &[SampleId], one: &StoredSample) -> usize {
    samples.binary_search(&(&one.bucket, &one.sample)).expect("every sample is among them")
}

/// Names of a result's model, encoding and task.
fn names<'a>(config: &'a Config, one: &StoredSample) -> [&'a str; 3] {
    [&config.models[one.model].name, &config.encodings[one.encoding].name, &config.tasks[one.task].name]
}

/// Samples whose outcomes are read beside each other: enough for all cores, and few enough that only their numbers take
/// room.
const TOGETHER: usize = 1024;

/// What a sample has in its task's figures; nothing of one that failed.
fn of_sample(results: &Results, one: &StoredSample) -> Result<Vec<Measure>> {
    let Some(outcome) = results.outcome(one)? else { return Ok(Vec::new()) };
    let task = &results.config.tasks[one.task].task;
    let mut measures =
        task.measures(&outcome).map_err(|e| results.bad_sample(one, format!("not an outcome: {e}")))?;
    measures.extend(seen::measures(one, &measures));
    Ok(measures)
}

/// The encodings that are held against each other.
struct Column<'a> {
    model: &'a str,
    task: &'a str,
    /// Numbers of the model and the task in the config.
    order: [usize; 2],
    group: Group,
    metric: Metric,
    /// Of the task.
    samples: &'a [SampleId<'a>],
    /// Number and name in the config, and what each sample has; not empty.
    encodings: Vec<(usize, &'a str, &'a Pairs)>,
}

fn columns<'a>(config: &'a Config, measured: &'a Measurements) -> Vec<Column<'a>> {
    let mut columns = Vec::new();
    for (m, model) in config.models.iter().enumerate() {
        for (t, task) in config.tasks.iter().enumerate() {
            let of = |(n, encoding): (usize, &'a EncodingEntry)| {
                let found = measured.measures.get(&[&model.name[..], &encoding.name, &task.name])?;
                Some((n, &encoding.name[..], found))
            };
            let encodings: Vec<(usize, &str, &Measures)> =
                config.encodings.iter().enumerate().filter_map(of).collect();
            for (group, metric) in figures(task, &encodings) {
                let pairs = |&(n, name, measures): &(usize, &'a str, &'a Measures)| {
                    Some((n, name, &measures.get(&(group, metric.of))?[..]))
                };
                let encodings = encodings.iter().filter_map(pairs).collect();
                columns.push(Column {
                    model: &model.name,
                    task: &task.name,
                    order: [m, t],
                    group,
                    metric,
                    samples: &measured.samples[&task.name[..]],
                    encodings,
                });
            }
        }
    }
    columns
}

/// Every group and metric that some encoding has.
fn figures(task: &TaskEntry, encodings: &[(usize, &str, &Measures)]) -> Vec<(Group, Metric)> {
    let found: BTreeSet<_> = encodings.iter().flat_map(|(.., measures)| measures.keys().copied()).collect();
    let groups: BTreeSet<Group> = found.iter().map(|(group, _)| *group).collect();
    let metrics = || task.task.metrics().iter().copied().chain([SEEN]);
    let all = groups.into_iter().flat_map(|group| metrics().map(move |metric| (group, metric)));
    all.filter(|(group, metric)| found.contains(&(*group, metric.of))).collect()
}

impl Column<'_> {
    fn rows(&self, bootstraps: &Bootstraps, baseline: &str) -> Vec<([usize; 3], Row)> {
        let base = self.encodings.iter().find(|(_, name, _)| *name == baseline).map(|(.., pairs)| *pairs);
        let marks = self.marks(bootstraps, baseline);
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
                sensitivity: other.and_then(|base| self.sensitivity(pairs, base)),
                mark: marks[n],
            }
        };
        let order = |n: usize| [self.order[0], self.order[1], self.encodings[n].0];
        (0..self.encodings.len()).map(|n| (order(n), row(n))).collect()
    }

    /// The figure and its interval; of a part of others, whose differences alone are asked for, as measured.
    fn estimate(&self, bootstraps: &Bootstraps, pairs: &Pairs) -> Estimate {
        let (numbers, pairs): (Vec<usize>, Vec<Pair>) = pairs.iter().copied().unzip();
        if self.metric.part {
            Estimate::as_measured(ratio(pairs.iter().copied()), pairs.len())
        } else {
            bootstraps.of(self.design(&numbers)).estimate(&pairs, self.metric.scale())
        }
    }

    fn design(&self, numbers: &[usize]) -> Design {
        design(self.samples, numbers)
    }

    /// One encoding's figure less another's over the samples that both have, in a table of all encodings; none
    /// where there are none.
    fn difference(&self, bootstraps: &Bootstraps, pairs: &Pairs, others: &Pairs) -> Option<Comparison> {
        let (numbers, both) = shared_by_all(&[pairs, others]);
        let bootstrap = (!numbers.is_empty()).then(|| bootstraps.of(self.design(&numbers)))?;
        Some(bootstrap.compare(&both[0], &both[1], self.metric.scale(), self.against_baseline()))
    }

    fn against_baseline(&self) -> Among {
        Among::Baseline(self.encodings.len())
    }

    /// What the difference owes to single samples, of the figure that verdicts are taken from.
    fn sensitivity(&self, pairs: &Pairs, others: &Pairs) -> Option<Sensitivity> {
        let (numbers, both) = shared_by_all(&[pairs, others]);
        let wanted = self.group.from().is_some() && self.metric.parts.is_some();
        wanted.then(|| sensitivity(&self.design(&numbers), &both[0], &both[1], self.against_baseline()))?
    }

    /// Bold only where the evidence is: see [`Mark`].
    fn marks(&self, bootstraps: &Bootstraps, baseline: &str) -> Vec<Mark> {
        let mut marks = vec![Mark::Plain; self.encodings.len()];
        let compared = self.well_measured();
        let all: Vec<&Pairs> = compared.iter().map(|&n| self.encodings[n].2).collect();
        let (numbers, figures) = shared_by_all(&all);
        if compared.len() < 2 || numbers.len() < FEWEST || self.metric.part {
            return marks;
        }
        let figures: Vec<&[Pair]> = figures.iter().map(Vec::as_slice).collect();
        let bootstrap = bootstraps.of(self.design(&numbers));
        let baseline = compared.iter().position(|&n| self.encodings[n].1 == baseline);
        let told = told_apart(&bootstrap, &figures, baseline, self.metric.scale(), self.sign());
        let Some((best, mut apart)) = told else { return marks };
        // A perplexity that no number holds is not near the best one.
        let is_finite = |pairs: &[Pair]| self.metric.scale().of(ratio(pairs.iter().copied())).is_finite();
        apart.iter_mut().zip(&figures).for_each(|(apart, pairs)| *apart |= !is_finite(pairs));
        let alone = apart.iter().filter(|apart| !**apart).count() == 1;
        for (place, &n) in compared.iter().enumerate() {
            marks[n] = match (place == best, apart[place]) {
                (true, _) if alone => Mark::Best,
                (_, true) => Mark::Plain,
                _ => Mark::Tie,
            };
        }
        marks
    }

    /// Numbers of the encodings that have at least half of the samples of the one that has most: who failed on most
    /// of them takes no mark, and takes none from the others.
    fn well_measured(&self) -> Vec<usize> {
        let most = self.encodings.iter().map(|(.., pairs)| pairs.len()).max().unwrap_or(0);
        (0..self.encodings.len()).filter(|&n| 2 * self.encodings[n].2.len() >= most).collect()
    }

    /// 1 where lower is better.
    fn sign(&self) -> f64 {
        match self.metric.better {
            Better::Lower => 1.0,
            Better::Higher => -1.0,
        }
    }
}

/// How some of a task's samples were drawn.
fn design(samples: &[SampleId], numbers: &[usize]) -> Design {
    let bucket = |number: &usize| samples[*number].0;
    Design::new(numbers.chunk_by(|a, b| bucket(a) == bucket(b)).map(<[_]>::len))
}

/// See [`Measurements::paired`].
pub(super) struct Paired<'m, 'a> {
    measured: &'m Measurements<'a>,
    bootstraps: Bootstraps,
}

/// One row's figure and another's over the samples that both have.
pub(super) struct Pairing {
    /// Numbers of these samples; not empty.
    pub(super) numbers: Vec<usize>,
    /// The figures as measured.
    pub(super) values: [f64; 2],
    /// The first one's figure less the second one's.
    pub(super) difference: Comparison,
}

impl Paired<'_, '_> {
    /// Two encodings' figures of a group on a task; none where no sample has both.
    pub(super) fn compare(
        &self,
        [model, task]: [&str; 2],
        encodings: [&str; 2],
        (group, metric): (Group, &Metric),
        among: Among,
    ) -> Option<Pairing> {
        let pairs = encodings.map(|encoding| self.measured.pairs([model, encoding, task], group, metric));
        let (numbers, both) = shared_by_all(&pairs);
        if numbers.is_empty() {
            return None;
        }
        let bootstrap = self.bootstraps.of(design(&self.measured.samples[task], &numbers));
        let value = |n: usize| metric.scale().of(ratio(both[n].iter().copied()));
        let difference = bootstrap.compare(&both[0], &both[1], metric.scale(), among);
        Some(Pairing { values: [value(0), value(1)], difference, numbers })
    }
}

/// The numbers of the samples that all have, and what each has of them.
pub(super) fn shared_by_all(all: &[&Pairs]) -> (Vec<usize>, Vec<Vec<Pair>>) {
    let Some((first, others)) = all.split_first() else { return Default::default() };
    let of = |pairs: &Pairs, number: usize| {
        let found = pairs.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(pairs[found].1)
    };
    let all_have = |number: &usize| others.iter().all(|pairs| of(pairs, *number).is_some());
    let numbers: Vec<usize> = first.iter().map(|(number, _)| *number).filter(all_have).collect();
    let pairs = |pairs: &&Pairs| numbers.iter().filter_map(|number| of(pairs, *number)).collect();
    let pairs = all.iter().map(pairs).collect();
    (numbers, pairs)
}

/// One bootstrap for each design.
pub(super) struct Bootstraps {
    seed: u64,
    made: Mutex<HashMap<Design, Arc<Bootstrap>>>,
}

impl Bootstraps {
    pub(super) fn new(seed: u64) -> Bootstraps {
        Bootstraps { seed, made: Mutex::default() }
    }

    pub(super) fn of(&self, design: Design) -> Arc<Bootstrap> {
        let mut made = self.made.lock().expect("making a bootstrap does not panic");
        let make = || Arc::new(Bootstrap::new(design.clone(), self.seed));
        made.entry(design.clone()).or_insert_with(make).clone()
    }
}
