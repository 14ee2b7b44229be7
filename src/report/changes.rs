//! The same row under two models, or before and after a change: what the later one has less than the first.
//!
//! Paired over the samples that both have, with the same text and tokens; where they share fewer than [`FEWEST`], the
//! difference is of the two rows' own samples, and said to be.

use std::collections::{HashMap, HashSet};

use longcode_stats::{Among, Comparison, FEWEST, unpaired};
use serde::Serialize;

use super::figures::{Bootstraps, Measurements};
use super::section::shown;
use super::table::{Cell, Column, Content, Table};
use crate::config::{Config, TaskEntry};
use crate::draw::number::{difference_and_interval, number};
use crate::store::{Results, StoredSample};
use crate::task::{Better, Group, Metric};

/// Of texts in other tokens, what compares over vocabularies.
const OVER_VOCABULARIES: &str = "bits_per_byte";

/// What changed on one task.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) task: String,
    metric: Metric,
    /// Not empty.
    changes: Vec<Change>,
}

/// One row less another that is called the same.
#[derive(Debug)]
struct Change {
    /// Model and encoding of the first.
    from: [String; 2],
    /// Of the later one.
    to: [String; 2],
    values: [f64; 2],
    difference: Comparison,
    /// Samples of both; those they share where it is paired.
    n: [usize; 2],
    paired: bool,
}

/// On every task where rows of one name are under several models or in several runs.
pub(super) fn changes(results: &Results, measured: &Measurements) -> Vec<Changes> {
    let config = &results.config;
    let maker =
        Maker { results, measured, bootstraps: Bootstraps::new(config.seed), samples: Samples::new(results) };
    (0..config.tasks.len()).filter_map(|task| maker.of_task(task)).collect()
}

/// Stored samples by model, encoding and task, and by their number among those of the task.
struct Samples<'a>(HashMap<[usize; 3], Vec<&'a StoredSample>>);

impl<'a> Samples<'a> {
    fn new(results: &'a Results) -> Samples<'a> {
        let mut all: HashMap<[usize; 3], Vec<&StoredSample>> = HashMap::new();
        for one in &results.samples {
            all.entry([one.model, one.encoding, one.task]).or_default().push(one);
        }
        Samples(all)
    }

    fn of(&self, row: [usize; 2], task: usize) -> &[&'a StoredSample] {
        self.0.get(&[row[0], row[1], task]).map_or(&[], Vec::as_slice)
    }
}

struct Maker<'a> {
    results: &'a Results,
    measured: &'a Measurements<'a>,
    bootstraps: Bootstraps,
    samples: Samples<'a>,
}

impl Maker<'_> {
    fn config(&self) -> &Config {
        &self.results.config
    }

    fn of_task(&self, task: usize) -> Option<Changes> {
        let pairs = self.pairs(task);
        let entry = &self.config().tasks[task];
        let metric = self.metric(entry, task, &pairs)?;
        let among = Among::Baseline(pairs.len() + 1);
        let changes: Vec<Change> =
            pairs.iter().filter_map(|pair| self.change(*pair, task, &metric, among)).collect();
        (!changes.is_empty()).then(|| Changes { task: entry.name.clone(), metric, changes })
    }

    /// Every row with the first one that is called the same; numbers of model and encoding.
    fn pairs(&self, task: usize) -> Vec<[[usize; 2]; 2]> {
        let config = self.config();
        let mut first: HashMap<&str, [usize; 2]> = HashMap::new();
        let mut pairs = Vec::new();
        for encoding in 0..config.encodings.len() {
            let originals = self.results.compared.as_ref().map(|compared| &compared.encodings[encoding][..]);
            let name = originals.unwrap_or(&config.encodings[encoding].name);
            for model in 0..config.models.len() {
                if self.samples.of([model, encoding], task).is_empty() {
                    continue;
                }
                let from = *first.entry(name).or_insert([model, encoding]);
                if from != [model, encoding] {
                    pairs.push([from, [model, encoding]]);
                }
            }
        }
        pairs
    }

    /// The main figure, or of texts that the models of a pair have in other tokens what compares over vocabularies.
    fn metric(&self, entry: &TaskEntry, task: usize, pairs: &[[[usize; 2]; 2]]) -> Option<Metric> {
        let main = *shown(entry).next()?;
        let other_tokens = |[from, to]: &[[usize; 2]; 2]| {
            let tokens: HashMap<(&str, &str), usize> = self
                .samples
                .of(*from, task)
                .iter()
                .map(|one| ((&*one.sample, &*one.sha256), one.tokens))
                .collect();
            let of = |one: &&StoredSample| tokens.get(&(&*one.sample, &*one.sha256)).copied();
            self.samples.of(*to, task).iter().any(|one| of(one).is_some_and(|tokens| tokens != one.tokens))
        };
        let per_token = main.better == Better::Lower;
        let over = entry.task.metrics().iter().find(|metric| metric.name == OVER_VOCABULARIES);
        Some(over.filter(|_| per_token && pairs.iter().any(other_tokens)).copied().unwrap_or(main))
    }

    fn change(
        &self,
        [from, to]: [[usize; 2]; 2],
        task: usize,
        metric: &Metric,
        among: Among,
    ) -> Option<Change> {
        let config = self.config();
        let names = |[model, encoding]: [usize; 2]| {
            [&config.models[model].name[..], &config.encodings[encoding].name, &config.tasks[task].name]
        };
        let pairs = [to, from].map(|row| self.measured.pairs(names(row), Group::All, metric));
        if pairs.iter().any(|pairs| pairs.is_empty()) {
            return None;
        }
        let shared = self.shared(from, to, task);
        let (numbers, both) = super::figures::shared_by_all(&pairs);
        let (both, numbers) = kept(&both, numbers, &shared);
        let task_name = &config.tasks[task].name;
        let value =
            |pairs: &[longcode_stats::Pair]| metric.scale().of(longcode_stats::ratio(pairs.iter().copied()));
        let named = |row| names(row)[..2].iter().map(ToString::to_string).collect::<Vec<_>>();
        let named = |row| <[String; 2]>::try_from(named(row)).expect("two of them");
        if numbers.len() >= FEWEST {
            let bootstrap = self.bootstraps.of(self.measured.design(task_name, &numbers));
            return Some(Change {
                from: named(from),
                to: named(to),
                values: [value(&both[1]), value(&both[0])],
                difference: bootstrap.compare(&both[0], &both[1], metric.scale(), among),
                n: [numbers.len(); 2],
                paired: true,
            });
        }
        let estimates = pairs.map(|pairs| {
            let (numbers, pairs): (Vec<usize>, Vec<_>) = pairs.iter().copied().unzip();
            let bootstrap = self.bootstraps.of(self.measured.design(task_name, &numbers));
            bootstrap.estimate(&pairs, metric.scale())
        });
        Some(Change {
            from: named(from),
            to: named(to),
            values: [estimates[1].value, estimates[0].value],
            difference: unpaired(&estimates[0], &estimates[1], among),
            n: [estimates[1].n, estimates[0].n],
            paired: false,
        })
    }

    /// Numbers of the samples that both rows have with the same text.
    fn shared(&self, from: [usize; 2], to: [usize; 2], task: usize) -> HashSet<usize> {
        let of = |row| -> HashSet<(usize, &str)> {
            let samples = self.samples.of(row, task).iter();
            samples.map(|one| (self.measured.number(self.config(), one), &*one.sha256)).collect()
        };
        of(from).intersection(&of(to)).map(|(number, _)| *number).collect()
    }
}

/// What two rows have of the samples that are wanted.
fn kept(
    both: &[Vec<longcode_stats::Pair>],
    numbers: Vec<usize>,
    wanted: &HashSet<usize>,
) -> (Vec<Vec<longcode_stats::Pair>>, Vec<usize>) {
    let is_wanted: Vec<bool> = numbers.iter().map(|number| wanted.contains(number)).collect();
    let of = |pairs: &Vec<longcode_stats::Pair>| {
        pairs.iter().zip(&is_wanted).filter(|(_, wanted)| **wanted).map(|(pair, _)| *pair).collect()
    };
    (both.iter().map(of).collect(), numbers.into_iter().filter(|number| wanted.contains(number)).collect())
}

impl Change {
    fn samples(&self) -> String {
        match (self.paired, self.n) {
            (true, [n, _]) => format!("{n}, the same"),
            (false, [from, to]) => format!("{from} and {to}, not the same"),
        }
    }

    fn verdict(&self) -> &'static str {
        if self.difference.estimate.n < FEWEST {
            "too few"
        } else if self.difference.told_apart() {
            "yes"
        } else {
            "no"
        }
    }
}

impl Changes {
    /// One row a pair.
    pub(super) fn table(&self) -> Table {
        let column = |name: &str| Column { name: name.into(), beyond: false, samples: String::new() };
        let plain = |text: String, value: Option<f64>, interval: Option<String>| Cell {
            text,
            value,
            interval,
            ..Cell::default()
        };
        let row = |change: &Change| {
            let [from, to] = change.values;
            let (text, interval) = difference_and_interval(&change.difference, from);
            let cells = vec![
                plain(number(from), Some(from), None),
                plain(number(to), Some(to), None),
                plain(text, Some(change.difference.estimate.value), Some(interval)),
                plain(change.verdict().into(), None, None),
                plain(change.samples(), None, None),
            ];
            (change.name(), cells)
        };
        let better = match self.metric.better {
            Better::Lower => "below 0 the later one is better",
            Better::Higher => "above 0 the later one is better",
        };
        Table {
            title: format!(
                "{}: {} over all samples, first and later, and the later less the first: {better} (intervals hold for all {} \
                 rows at once).",
                self.task,
                self.metric.title(),
                self.changes.len()
            ),
            metric: self.metric,
            content: Content::Changes,
            columns: ["first", "later", "difference", "told apart", "samples"].map(column).into(),
            rows: self.changes.iter().map(row).collect(),
        }
    }

    /// Lines of changes.csv.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.changes.iter().map(|change| Line {
            task: &self.task,
            metric: self.metric.name,
            from_model: &change.from[0],
            from_encoding: &change.from[1],
            to_model: &change.to[0],
            to_encoding: &change.to[1],
            from: change.values[0],
            to: change.values[1],
            difference: change.difference.estimate.value,
            ci_low: change.difference.estimate.ends().map(|ends| ends[0]),
            ci_high: change.difference.estimate.ends().map(|ends| ends[1]),
            all_low: change.difference.ends().map(|ends| ends[0]),
            all_high: change.difference.ends().map(|ends| ends[1]),
            excludes_0: change.difference.told_apart(),
            paired: change.paired,
            from_n: change.n[0],
            to_n: change.n[1],
        })
    }
}

impl Change {
    /// What the two have in common once, and what differs as `first to later`.
    fn name(&self) -> String {
        let [from, to] = [&self.from, &self.to];
        match (from[0] == to[0], from[1] == to[1]) {
            (true, _) => format!("{}: {} to {}", from[0], from[1], to[1]),
            (_, true) => format!("{}: {} to {}", from[1], from[0], to[0]),
            _ => format!("{}, {} to {}, {}", from[0], from[1], to[0], to[1]),
        }
    }
}

/// One line of changes.csv.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    task: &'a str,
    metric: &'a str,
    from_model: &'a str,
    from_encoding: &'a str,
    to_model: &'a str,
    to_encoding: &'a str,
    from: f64,
    to: f64,
    difference: f64,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    all_low: Option<f64>,
    all_high: Option<f64>,
    excludes_0: bool,
    paired: bool,
    from_n: usize,
    to_n: usize,
}
