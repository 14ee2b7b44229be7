//! What one row has in every sample.

use std::collections::{BTreeMap, BTreeSet};

use longcode_stats::{Pair, Scale};

/// What each sample has in the figures of one row: of a model, or of a model under an encoding.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Its name.
    pub name: String,
    /// What stored it, with its version: `lm-evaluation-harness 0.4.13`.
    pub stored_by: String,
    /// The figures; several tasks may have one of the same name.
    pub figures: Vec<Figure>,
    /// Samples by task and id.
    pub samples: BTreeMap<(String, String), Sample>,
    /// What is doubtful about how it is stored, in words.
    pub notes: Vec<String>,
    /// The seed of its intervals; both sides' comparison takes the first one's.
    pub seed: u64,
}

impl Side {
    /// A side without figures.
    pub fn new(name: impl Into<String>) -> Side {
        Side { name: name.into(), ..Side::default() }
    }

    /// The tasks that have figures.
    pub fn tasks(&self) -> BTreeSet<&str> {
        self.figures.iter().map(|figure| &figure.task[..]).collect()
    }

    /// The figures' names, each once, in their order.
    pub fn metrics(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for figure in &self.figures {
            if !names.contains(&&figure.metric[..]) {
                names.push(&figure.metric);
            }
        }
        names
    }

    /// The figure of that task and name, made if there is none.
    pub(crate) fn figure(&mut self, task: &str, metric: &str) -> &mut Figure {
        let found = self.figures.iter().position(|figure| figure.task == task && figure.metric == metric);
        let at = found.unwrap_or_else(|| {
            self.figures.push(Figure::new(task, metric));
            self.figures.len() - 1
        });
        &mut self.figures[at]
    }
}

/// A sample, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// The part of the task that it was drawn for, such as a bucket: strata of the intervals.
    pub stratum: String,
    /// A hash of the record it was made of: two samples of one id with different ones are not the same sample.
    pub record: Option<String>,
    /// A hash of what the model read.
    pub prompt: Option<String>,
}

/// Which direction of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Higher(
    /// Whether more is better.
    pub bool,
);

/// What each sample has in one figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The task.
    pub task: String,
    /// Its name.
    pub metric: String,
    /// How it is made from a ratio of sums; none where the store does not say.
    pub scale: Option<Scale>,
    /// Which direction is better; none where the store does not say.
    pub better: Option<Higher>,
    /// By sample: its part in the numerator and the denominator.
    pub values: BTreeMap<String, Pair>,
    /// Samples without a value, such as those that failed.
    pub without: BTreeSet<String>,
}

impl Figure {
    /// A figure without values.
    pub fn new(task: impl Into<String>, metric: impl Into<String>) -> Figure {
        Figure {
            task: task.into(),
            metric: metric.into(),
            scale: None,
            better: None,
            values: BTreeMap::new(),
            without: BTreeSet::new(),
        }
    }

    /// A sample's value; one that is not finite counts as none.
    pub(crate) fn put(&mut self, id: &str, pair: Pair) {
        if (pair.0 / pair.1).is_finite() {
            self.without.remove(id);
            self.values.insert(id.to_string(), pair);
        } else {
            self.lacks(id);
        }
    }

    /// A sample without a value.
    pub(crate) fn lacks(&mut self, id: &str) {
        if !self.values.contains_key(id) {
            self.without.insert(id.to_string());
        }
    }

    /// The largest possible value, where it is known or all values are from 0 to 1.
    pub(crate) fn whole(&self) -> Option<f64> {
        match self.scale {
            Some(Scale::Share(whole)) => Some(whole),
            Some(_) => None,
            None => {
                self.values.values().all(|pair| pair.1 == 1.0 && (0.0..=1.0).contains(&pair.0)).then_some(1.0)
            }
        }
    }

    /// Whether every sample has all or nothing.
    pub(crate) fn is_of_hits(&self) -> bool {
        self.values.values().all(|pair| pair.1 == 1.0 && [0.0, 1.0].contains(&pair.0))
    }
}

/// Which figures are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The figure's name on the first side, and on the second.
    pub names: [String; 2],
}

impl Wanted {
    /// Of `NAME`, or of `NAME=OTHER` where the second side's is called otherwise.
    pub fn parse(text: &str) -> Wanted {
        let (one, other) = text.split_once('=').unwrap_or((text, text));
        Wanted { names: [one.into(), other.into()] }
    }
}
