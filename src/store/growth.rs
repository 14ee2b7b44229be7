//! What a run adds to stored results: which of them are those of its own config, under the same names or others, and
//! which stay beside.
//!
//! A stored number belongs to a model (by hash and precision), an encoding (kind and keys), a task (kind, keys and data)
//! and a sample (id and text). Names are labels: a name may change, and order and further rows may be anything.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Environment, SampleKey};
use crate::config::{Config, EncodingEntry, ModelEntry, TaskEntry, difference};
use crate::error::{Error, ErrorKind, Result};

/// Keys of a task that say which samples it has and nothing else: a longer list of samples begins with the shorter one.
const OF_SAMPLES: [&str; 2] = ["samples", "ids"];

/// A sample that a run asks for, as its stored results must have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// sha256 of its text.
    pub sha256: String,
    /// Tokens.
    pub tokens: usize,
    /// The bucket of the task.
    pub bucket: String,
}

/// The samples of a run by the names of model and task, and by id.
pub type DrawnSamples = HashMap<[String; 2], HashMap<String, Drawn>>;

/// Names that stored results have and that the config now calls by others.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Renames {
    pub(super) models: BTreeMap<String, String>,
    pub(super) encodings: BTreeMap<String, String>,
    pub(super) tasks: BTreeMap<String, String>,
}

/// How a run continues stored results.
#[derive(Debug)]
pub(super) struct Growth {
    /// All that the directory has from now on.
    pub(super) config: Config,
    pub(super) renames: Renames,
    /// What is added, renamed or kept besides, in words.
    pub(super) words: Vec<String>,
    /// Whether something is kept besides what is asked for.
    pub(super) keeps: bool,
}

impl Renames {
    pub(super) fn is_empty(&self) -> bool {
        *self == Renames::default()
    }

    /// The names that a key has now.
    pub(super) fn of(&self, [model, encoding, task]: [&str; 3]) -> [String; 3] {
        let now = |names: &BTreeMap<String, String>, name: &str| {
            names.get(name).cloned().unwrap_or_else(|| name.to_string())
        };
        [now(&self.models, model), now(&self.encodings, encoding), now(&self.tasks, task)]
    }

    fn words(&self) -> impl Iterator<Item = String> {
        let of = |what: &'static str, names: &BTreeMap<String, String>| -> Vec<String> {
            names.iter().map(|(there, now)| format!("{what} \"{there}\" is named \"{now}\" now")).collect()
        };
        [of("model", &self.models), of("encoding", &self.encodings), of("task", &self.tasks)]
            .into_iter()
            .flatten()
    }
}

impl Growth {
    /// Compares what is stored with what a run asks for.
    ///
    /// # Errors
    /// [`ErrorKind::Results`], naming the key that would change a stored number.
    pub(super) fn between(
        (there, of_there): (&Config, &Environment),
        (now, of_now): (&Config, &Environment),
    ) -> Result<Growth> {
        if let Some(what) = seeds(there, now) {
            return Err(other(&format!("config: {what}")));
        }
        let models =
            Matching::new(&there.models, &now.models, |a, b| of_there.other_model(&a.name, of_now, &b.name))?;
        let lengths: Vec<usize> = of_there.models.iter().map(|model| model.trained_length).collect();
        let encodings =
            Matching::new(&there.encodings, &now.encodings, |a, b| other_encoding(a, b, &lengths))?;
        let data = |a: &TaskEntry, b: &TaskEntry| other_task((a, of_there), (b, of_now));
        let tasks = Matching::new(&there.tasks, &now.tasks, data)?;
        let config = Config {
            models: models.merged(&there.models, &now.models),
            encodings: encodings.merged(&there.encodings, &now.encodings),
            tasks: tasks.merged(&there.tasks, &now.tasks),
            ..now.clone()
        };
        let mut words: Vec<String> =
            [models.added(&now.models), encodings.added(&now.encodings), tasks.added(&now.tasks)]
                .into_iter()
                .flatten()
                .collect();
        words.extend(tasks.with_other_samples(&there.tasks, &now.tasks));
        let renames = Renames {
            models: models.renamed(&there.models, &now.models),
            encodings: encodings.renamed(&there.encodings, &now.encodings),
            tasks: tasks.renamed(&there.tasks, &now.tasks),
        };
        words.extend(renames.words());
        let kept = [models.kept(&there.models), encodings.kept(&there.encodings), tasks.kept(&there.tasks)];
        let keeps = kept.iter().any(Option::is_some);
        words.extend(kept.into_iter().flatten());
        Ok(Growth { config, renames, words, keeps })
    }
}

/// An error of results that are not those of a config: `what` is another one.
pub(super) fn other(what: &str) -> Error {
    Error::new(ErrorKind::Results, format!("the results here are of another {what}"))
        .fix("give another --out, or start over with --fresh")
}

const PLACES: [&str; 2] = ["there", "now"];

fn seeds(there: &Config, now: &Config) -> Option<String> {
    (there.seed != now.seed).then(|| format!("seed is {} there, {} now", there.seed, now.seed))
}

/// What makes two encodings another one: as they are written, and on a model of some trained length.
fn other_encoding(there: &EncodingEntry, now: &EncodingEntry, lengths: &[usize]) -> Option<String> {
    let written = difference(there.kind_and_keys(), now.kind_and_keys(), PLACES)?;
    if !there.spec.is_relative() && !now.spec.is_relative() {
        return Some(written);
    }
    let at = |entry: &EncodingEntry, length: usize| Some(entry.at(length).ok()?.kind_and_keys());
    let differs = |&length: &usize| match (at(there, length), at(now, length)) {
        (Some(there), Some(now)) => difference(there, now, PLACES),
        _ => Some(written.clone()),
    };
    lengths.iter().find_map(differs)
}

/// What makes two tasks another one.
fn other_task(
    (there, of_there): (&TaskEntry, &Environment),
    (now, of_now): (&TaskEntry, &Environment),
) -> Option<String> {
    let keys = |entry: &TaskEntry| {
        let mut keys = entry.kind_and_keys();
        OF_SAMPLES.iter().for_each(|key| drop(keys.remove(*key)));
        keys
    };
    difference(keys(there), keys(now), PLACES)
        .or_else(|| of_there.other_data(&there.dataset, of_now, &now.dataset))
        .or_else(|| fewer_samples(there, now))
}

fn samples(entry: &TaskEntry) -> Option<i64> {
    entry.keys.get("samples").and_then(toml::Value::as_integer)
}

fn fewer_samples(there: &TaskEntry, now: &TaskEntry) -> Option<String> {
    let (a, b) = (samples(there)?, samples(now)?);
    (b < a)
        .then(|| format!("samples is {a} there, {b} now, which takes none away (--limit {b} runs no more)"))
}

/// Something of a config that has a name.
trait Named: Clone {
    const WHAT: &'static str;
    fn name(&self) -> &str;
}

impl Named for ModelEntry {
    const WHAT: &'static str = "model";
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for EncodingEntry {
    const WHAT: &'static str = "encoding";
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for TaskEntry {
    const WHAT: &'static str = "task";
    fn name(&self) -> &str {
        &self.name
    }
}

/// Which entry of a config now each stored one is; none for those that it does not have.
struct Matching(Vec<Option<usize>>);

impl Matching {
    /// Matches entries of which `differs` finds no difference: by name first, then by what they are.
    fn new<T: Named>(there: &[T], now: &[T], differs: impl Fn(&T, &T) -> Option<String>) -> Result<Matching> {
        let named = |name: &str| now.iter().position(|entry| entry.name() == name);
        let same = |a: &T, b: usize| differs(a, &now[b]).is_none();
        let mut found: Vec<Option<usize>> =
            there.iter().map(|a| named(a.name()).filter(|&b| same(a, b))).collect();
        for (n, a) in there.iter().enumerate() {
            if found[n].is_none() {
                found[n] = (0..now.len()).find(|b| !found.contains(&Some(*b)) && same(a, *b));
            }
        }
        for (a, b) in there.iter().zip(&found) {
            refuse_other_meaning(a, *b, there, now, &differs)?;
        }
        Ok(Matching(found))
    }

    /// In the order of now if it has all that is there; else in that of there, and then the others.
    fn merged<T: Named>(&self, there: &[T], now: &[T]) -> Vec<T> {
        if self.0.iter().all(Option::is_some) {
            return now.to_vec();
        }
        let stored = there.iter().zip(&self.0).map(|(a, b)| b.map_or(a, |b| &now[b]).clone());
        stored.chain(self.others(now).cloned()).collect()
    }

    fn others<'n, T>(&self, now: &'n [T]) -> impl Iterator<Item = &'n T> {
        now.iter().enumerate().filter(|(b, _)| !self.0.contains(&Some(*b))).map(|(_, entry)| entry)
    }

    fn renamed<T: Named>(&self, there: &[T], now: &[T]) -> BTreeMap<String, String> {
        let names = there.iter().zip(&self.0).filter_map(|(a, b)| Some((a.name(), now[(*b)?].name())));
        names.filter(|(a, b)| a != b).map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    fn added<T: Named>(&self, now: &[T]) -> Option<String> {
        listed::<T>("adds", self.others(now))
    }

    fn kept<T: Named>(&self, there: &[T]) -> Option<String> {
        let kept = there.iter().zip(&self.0).filter(|(_, b)| b.is_none()).map(|(a, _)| a);
        listed::<T>("keeps, besides what is asked for,", kept)
    }
}

impl Matching {
    fn with_other_samples(&self, there: &[TaskEntry], now: &[TaskEntry]) -> Vec<String> {
        let pairs = there.iter().zip(&self.0).filter_map(|(a, b)| Some((a, &now[(*b)?])));
        pairs
            .filter_map(|(a, b)| {
                let of = |entry: &TaskEntry| {
                    let mut keys = entry.kind_and_keys();
                    keys.retain(|key, _| OF_SAMPLES.contains(&key));
                    keys
                };
                let what = difference(of(a), of(b), PLACES)?;
                Some(format!("adds samples to task \"{}\": {what}", b.name))
            })
            .collect()
    }
}

/// Refuses a name that meant something else where the results were stored.
fn refuse_other_meaning<T: Named>(
    a: &T,
    found: Option<usize>,
    there: &[T],
    now: &[T],
    differs: &impl Fn(&T, &T) -> Option<String>,
) -> Result<()> {
    let of_name = now.iter().find(|entry| entry.name() == a.name());
    match (found.map(|b| &now[b]), of_name) {
        (None, Some(b)) => {
            let what = differs(a, b).expect("entries of one name without a difference are matched");
            Err(other(&what_differs::<T>(a.name(), &what)))
        }
        (Some(b), _) if b.name() != a.name() && there.iter().any(|other| other.name() == b.name()) => {
            let (what, there, now) = (T::WHAT, a.name(), b.name());
            Err(Error::new(ErrorKind::Results, format!("{what} \"{there}\" of the results here is \"{now}\" now, and \"{now}\" is another one there"))
                .fix("give it a name that is not among the results, or give another --out"))
        }
        _ => Ok(()),
    }
}

/// A difference, with what it is of where the difference itself does not say so.
fn what_differs<T: Named>(name: &str, what: &str) -> String {
    let says_so = ["model", "precision", "data set"].iter().any(|start| what.starts_with(start));
    if says_so { what.to_string() } else { format!("{} \"{name}\": {what}", T::WHAT) }
}

/// `verb` the names of some entries; none if there are none.
fn listed<'n, T: Named + 'n>(verb: &str, entries: impl Iterator<Item = &'n T>) -> Option<String> {
    let names: Vec<String> = entries.map(|entry| format!("\"{}\"", entry.name())).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    (!names.is_empty()).then(|| format!("{verb} {}{plural} {}", T::WHAT, names.join(", ")))
}

/// Refuses stored results of samples that the run draws otherwise, or of a task that it has and no longer draws.
///
/// # Errors
/// [`ErrorKind::Results`], naming the first such sample.
pub(super) fn refuse_other_samples(
    stored: impl Iterator<Item = (SampleKey, Drawn)>,
    drawn: &DrawnSamples,
) -> Result<()> {
    let mut seen: HashSet<[String; 3]> = HashSet::new();
    for (key, there) in stored {
        let place = [key.model.clone(), key.task.clone()];
        let Some(of_task) = drawn.get(&place) else { continue };
        if !seen.insert([key.model.clone(), key.task.clone(), key.sample.clone()]) {
            continue;
        }
        let what = match of_task.get(&key.sample) {
            Some(now) if *now == there => continue,
            Some(_) => "is drawn otherwise now: another text, other tokens or another bucket",
            None => "is no longer drawn",
        };
        let SampleKey { model, task, sample, .. } = &key;
        return Err(other(&format!("task \"{task}\": sample \"{sample}\", of model \"{model}\", {what}")));
    }
    Ok(())
}
