//! Several directories read as one: the same config on the same models and data, or runs to compare.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::{Environment, Results, SampleKey, StoredSample};
use crate::config::difference;
use crate::error::{Error, ErrorKind, Result};
use crate::task::{Group, Measure};

/// Largest difference that devices may make between two measurements of a sample: relative to each figure, or
/// to 1 if that is more.
const TOLERANCE: f64 = 1e-3;

/// The same sample measured twice with different outcomes. The first is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Disagreement {
    /// Which sample.
    pub key: SampleKey,
    /// Where the second outcome is stored.
    pub dir: PathBuf,
    /// What differs, in words.
    pub what: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SampleKey { model, encoding, task, sample } = &self.key;
        write!(f, "{model}, {encoding}, {task}, \"{sample}\": {}, in {}", self.what, self.dir.display())
    }
}

impl Results {
    /// Reads results directories as one. Those of the same config on the same models and data, whole runs or shards,
    /// are one run: a sample that was measured more than once counts once, and if its outcomes differ, that is noted.
    /// Runs of different configs stand beside each other ([`Results::compared`]); with `apart` so do runs of one config,
    /// each with models of its own.
    ///
    /// # Errors
    /// As [`Results::read`]; [`ErrorKind::Results`] for runs that cannot be compared, with what differs, and for a shard
    /// by another version of the program.
    pub fn read_all(dirs: &[PathBuf], apart: bool) -> Result<Results> {
        let mut runs: Vec<(PathBuf, Results)> = Vec::new();
        for dir in dirs {
            let more = Results::read(dir)?;
            let mut known = None;
            for (number, (first, run)) in runs.iter().enumerate() {
                if run.is_same_run(first, &more, dir, apart)? {
                    known = Some(number);
                    break;
                }
            }
            match known {
                None => runs.push((dir.clone(), more)),
                Some(number) => {
                    let (first, run) = runs.remove(number);
                    runs.insert(number, (first, run.merged(more, dir)?));
                }
            }
        }
        if runs.len() > 1 {
            return super::compare::together(runs, apart);
        }
        Ok(runs.pop().expect("at least one directory").1)
    }

    /// Adds a directory of the same run.
    fn merged(mut self, more: Results, dir: &Path) -> Result<Results> {
        self.environments.extend(more.environments);
        self.repeated += more.repeated;
        self.disagreements.extend(more.disagreements);
        self.notes.extend(more.notes);
        self.texts.extend(more.texts);
        let mut samples = more.samples;
        self.sources.extend(more.sources, &mut samples);
        self.with(samples, dir)
    }

    /// Whether two directories hold the same run, or parts of it.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] for a shard by another version.
    fn is_same_run(&self, first: &Path, more: &Results, dir: &Path, apart: bool) -> Result<bool> {
        let names = [first, dir].map(|dir| format!("in {}", dir.display()));
        let places = [names[0].as_str(), names[1].as_str()];
        let (here, there) = (self.environment(), more.environment());
        let whole = here.shard.is_none() && there.shard.is_none();
        let differs = difference(self.config.resolved(), more.config.resolved(), places)
            .or_else(|| here.difference(there, places));
        if differs.is_some() || (apart && whole) {
            return Ok(false);
        }
        match other_version(here, there, places) {
            None => Ok(true),
            Some(what) => Err(Error::new(ErrorKind::Results, format!("results of different runs: {what}"))
                .in_file(dir)
                .fix("report them by themselves, each with its own --out")),
        }
    }

    /// Adds a directory's samples, and compares those that are already here.
    pub(super) fn with(mut self, samples: Vec<StoredSample>, dir: &Path) -> Result<Results> {
        type Key = ([usize; 3], Arc<str>);
        let key = |one: &StoredSample| -> Key { ([one.model, one.encoding, one.task], one.sample.clone()) };
        let mut places: HashMap<Key, usize> =
            self.samples.iter().enumerate().map(|(n, one)| (key(one), n)).collect();
        for one in samples {
            match places.entry(key(&one)) {
                Entry::Vacant(entry) => {
                    entry.insert(self.samples.len());
                    self.samples.push(one);
                }
                Entry::Occupied(entry) => {
                    self.repeated += 1;
                    let what = self.disagreement(&self.samples[*entry.get()], &one)?;
                    let note = |what| Disagreement { key: self.key(&one), dir: dir.to_path_buf(), what };
                    let note = what.map(note);
                    self.disagreements.extend(note);
                }
            }
        }
        Ok(self)
    }

    /// What differs, in words, between two measurements of a sample.
    fn disagreement(&self, first: &StoredSample, second: &StoredSample) -> Result<Option<String>> {
        if first.sha256 != second.sha256 || first.tokens != second.tokens {
            return Ok(Some("another text or tokens".into()));
        }
        let outcomes = (self.outcome(first)?, self.outcome(second)?);
        let (a, b) = match &outcomes {
            (None, None) => return Ok(None),
            (None, Some(_)) => return Ok(Some("failed first, then not".into())),
            (Some(_), None) => return Ok(Some("failed the second time".into())),
            (Some(a), Some(b)) if a == b => return Ok(None),
            (Some(a), Some(b)) => (a, b),
        };
        let measures = |outcome: &Value| self.config.tasks[first.task].task.measures(outcome).ok();
        let (Some(a), Some(b)) = (measures(a), measures(b)) else {
            return Ok(Some("another outcome".into()));
        };
        if a.len() != b.len() {
            return Ok(Some("other figures".into()));
        }
        Ok(a.iter().zip(&b).find_map(|(a, b)| figures_differ(a, b)))
    }
}

/// The versions, in words, if one of two directories is a shard and the other is of another version: they are
/// not parts of one run, as each version may share samples out differently.
fn other_version(first: &Environment, other: &Environment, places: [&str; 2]) -> Option<String> {
    first.shard.or(other.shard)?;
    let [a, b] = [first, other].map(|one| one.session.program());
    (a != b).then(|| format!("{a} {}, {b} {}", places[0], places[1]))
}

/// Both figures in words if they differ by more than [`TOLERANCE`].
fn figures_differ(a: &Measure, b: &Measure) -> Option<String> {
    let value = |measure: &Measure| measure.numerator / measure.denominator;
    let (x, y) = (value(a), value(b));
    let same = x == y || (x - y).abs() <= TOLERANCE * x.abs().max(1.0);
    if same && a.group == b.group && a.metric == b.metric {
        return None;
    }
    let place = if a.group == Group::All { String::new() } else { format!(" of {}", a.group) };
    Some(format!("{}{place} {x:.6} first, then {y:.6}", a.metric))
}
