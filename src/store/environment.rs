//! environment.json: where and from what the numbers were made.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Shard;
use super::growth::{Renames, other};
use crate::config::Config;
use crate::device::{OpenDevice, names};
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;
use crate::provenance::{AdapterUsed, DatasetHash, ModelHash, Session};
use crate::task::LeftOut;

/// Where and from what the numbers of a results directory were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The first run.
    #[serde(flatten)]
    pub session: Session,
    /// When the last run ended, RFC 3339; none while one is under way or was killed.
    pub finished: Option<String>,
    /// The device that the tensors were on.
    pub device: String,
    /// Adapters, each once; none on the CPU alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<AdapterUsed>,
    /// Samples x encodings that the config asks for, of all shards.
    pub planned: usize,
    /// The part of them that is run here; all if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Models, in the order of the config.
    pub models: Vec<ModelHash>,
    /// Data sets, in the order of the config.
    pub datasets: Vec<DatasetHash>,
    /// Records that became no samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutRecord>,
    /// What a reader of the figures must know about the samples: fewer than asked for, prompts cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// How many samples each task has with each model; none in results of an earlier longcode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<SampleCount>,
    /// Later runs that continued the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Session>,
    /// What later runs added and renamed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grown: Vec<Grown>,
}

/// How many samples a task has with a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleCount {
    /// The model's name in the config.
    pub model: String,
    /// The task's name in the config.
    pub task: String,
    /// Samples, of all shards.
    pub samples: usize,
}

/// A change of what the results are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grown {
    /// When, RFC 3339.
    pub started: String,
    /// By which version and commit.
    pub by: String,
    /// What was added or renamed, in words.
    pub what: Vec<String>,
}

/// A record that became no sample of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOutRecord {
    /// The model's name in the config; whether a prompt fits depends on its tokens.
    pub model: String,
    /// The task's name in the config.
    pub task: String,
    /// The record and what is wrong with it.
    #[serde(flatten)]
    pub left_out: LeftOut,
}

impl Environment {
    /// A run that starts now.
    pub fn new(
        devices: &[OpenDevice],
        planned: usize,
        shard: Option<Shard>,
        models: Vec<ModelHash>,
        datasets: Vec<DatasetHash>,
        left_out: Vec<LeftOutRecord>,
        notes: Vec<String>,
    ) -> Environment {
        let mut adapters: Vec<AdapterUsed> = Vec::new();
        for used in devices.iter().filter_map(|device| device.adapter.as_ref()) {
            if !adapters.contains(used) {
                adapters.push(used.clone());
            }
        }
        Environment {
            session: Session::now(),
            finished: None,
            device: names(devices),
            adapters,
            planned,
            shard,
            models,
            datasets,
            left_out,
            notes,
            samples: Vec::new(),
            resumed: Vec::new(),
            grown: Vec::new(),
        }
    }

    pub(super) fn read(path: &Path) -> Result<Environment> {
        serde_json::from_str(&read_text(path, ErrorKind::Results)?).map_err(|e| {
            Error::new(ErrorKind::Results, format!("not an environment: {e}"))
                .in_file(path)
                .fix("restore the file, or start over with --fresh")
        })
    }

    /// Refuses models that are not the config's.
    ///
    /// # Errors
    /// [`ErrorKind::Results`].
    pub(super) fn refuse_other_models(&self, config: &Config) -> Result<()> {
        let names = |names: &mut dyn Iterator<Item = &String>| {
            names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
        };
        let here = names(&mut self.models.iter().map(|model| &model.name));
        let asked = names(&mut config.models.iter().map(|model| &model.name));
        if here == asked {
            Ok(())
        } else {
            Err(Error::new(
                ErrorKind::Results,
                format!("the models here are {here}, and those of config.toml {asked}"),
            )
            .fix("restore the file, or start over with --fresh"))
        }
    }

    /// This environment, continued by a run in another one.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when the models, data, shard, device or driver differ, or, for a shard, the program's
    /// version, since samples may be shared out differently in another.
    pub(super) fn resumed(mut self, now: Environment) -> Result<Environment> {
        let differs = |what: &str, there: String, now: String| {
            (there != now).then(|| format!("{what}: {there} there, {now} now"))
        };
        let what = self
            .difference(&now, ["there", "now"])
            .or_else(|| differs("shard", Shard::words(self.shard), Shard::words(now.shard)))
            .or_else(|| {
                self.shard?;
                differs("version", self.session.program(), now.session.program())
            })
            .or_else(|| self.other_device(&now));
        if let Some(what) = what {
            return Err(other(&what));
        }
        self.finished = None;
        self.resumed.push(now.session);
        // Data of a suite may have been added since.
        let known: Vec<String> = self.datasets.iter().map(|dataset| dataset.name.clone()).collect();
        self.datasets.extend(now.datasets.into_iter().filter(|dataset| !known.contains(&dataset.name)));
        (self.planned, self.left_out, self.notes, self.samples) =
            (now.planned, now.left_out, now.notes, now.samples);
        Ok(self)
    }

    /// This environment under other names.
    pub(super) fn renamed(mut self, renames: &Renames) -> Environment {
        for model in &mut self.models {
            model.name = renames.of([&model.name, "", ""])[0].clone();
        }
        for count in &mut self.samples {
            [count.model, _, count.task] = renames.of([&count.model, "", &count.task]);
        }
        for record in &mut self.left_out {
            [record.model, _, record.task] = renames.of([&record.model, "", &record.task]);
        }
        self
    }

    /// This environment, under the names of `config`, continued by a run in another one that may ask for only a part
    /// of it; `words` say what was added.
    ///
    /// # Errors
    /// As [`Environment::resumed`], but for a version.
    pub(super) fn grown(self, now: Environment, config: &Config, words: &[String]) -> Result<Environment> {
        let datasets = now.datasets.iter();
        let mut changed = datasets.filter_map(|data| self.other_data(&data.name, &now, &data.name));
        if let Some(what) = changed.next() {
            return Err(other(&what));
        }
        let find = |name: &String| -> Option<ModelHash> {
            let both = now.models.iter().chain(&self.models);
            both.into_iter().find(|model| model.name == *name).cloned()
        };
        let models = config.models.iter().filter_map(|entry| find(&entry.name)).collect();
        let is_kept = |model: &str, task: &str| {
            !now.samples.iter().any(|count| count.model == model && count.task == task)
        };
        let names = NamesOfKept::new(config, &now);
        let mut all = Environment { models, finished: None, ..now.clone() };
        all.datasets = self.datasets.clone();
        all.datasets.retain(|data| config.tasks.iter().any(|task| task.dataset == data.name));
        let known: Vec<String> = all.datasets.iter().map(|data| data.name.clone()).collect();
        all.datasets.extend(now.datasets.iter().filter(|data| !known.contains(&data.name)).cloned());
        all.samples.extend(self.samples.into_iter().filter(|one| is_kept(&one.model, &one.task)));
        all.left_out.extend(self.left_out.into_iter().filter(|one| is_kept(&one.model, &one.task)));
        let others = self.notes.into_iter().filter(|note| names.is_of_kept(note));
        let others: Vec<String> = others.filter(|note| !now.notes.contains(note)).collect();
        all.notes.extend(others);
        all.resumed = self.resumed;
        all.resumed.push(now.session.clone());
        all.grown = self.grown;
        let what: Vec<String> = words.iter().filter(|words| !words.starts_with("keeps")).cloned().collect();
        if !what.is_empty() {
            let (started, by) = (now.session.started.clone(), now.session.program());
            all.grown.push(Grown { started, by, what });
        }
        all.session = self.session;
        Ok(all)
    }

    /// What makes the device another one.
    pub(super) fn other_device(&self, now: &Environment) -> Option<String> {
        let words = |what: &str, there: &str, now: &str| format!("{what}: {there} there, {now} now");
        if self.device != now.device {
            return Some(words("device", &self.device, &now.device));
        }
        // Earlier versions did not record adapters.
        self.adapters.first()?;
        let [there, here] = [&self.adapters, &now.adapters].map(|adapters| all(adapters));
        (there != here).then(|| words("adapter or driver", &there, &here))
    }

    /// How many samples a task has with a model, if that is known.
    pub fn samples_of(&self, model: &str, task: &str) -> Option<usize> {
        let count = self.samples.iter().find(|count| count.model == model && count.task == task);
        count.map(|count| count.samples)
    }

    fn model(&self, name: &str) -> Option<&ModelHash> {
        self.models.iter().find(|model| model.name == name)
    }

    /// What makes a model of these results another than one of a run; a model that no results are of yet is none.
    pub(super) fn other_model(&self, there: &str, of_now: &Environment, now: &str) -> Option<String> {
        match (self.model(there), of_now.model(now)) {
            (Some(a), Some(b)) => of_models(a, b, ["there", "now"]),
            _ => (there != now).then(|| format!("model: \"{there}\" there, \"{now}\" now")),
        }
    }

    /// What makes the data of a task another than those of a run; data that are missing are none.
    pub(super) fn other_data(&self, there: &str, of_now: &Environment, now: &str) -> Option<String> {
        let find = |environment: &Environment, name: &str| {
            environment.datasets.iter().find(|data| data.name == name).map(|data| data.sha256.clone())
        };
        match (find(self, there), find(of_now, now)) {
            (Some(a), Some(b)) if a == b => None,
            (Some(a), Some(b)) if there == now => Some(format!("data set \"{now}\": {a} there, {b} now")),
            _ => (there != now).then(|| format!("dataset is \"{there}\" there, \"{now}\" now")),
        }
    }

    /// The first model or data set in which two environments differ, in words; `places` are the words for the
    /// two.
    pub(super) fn difference(&self, other: &Environment, places: [&str; 2]) -> Option<String> {
        let models = self.models.iter().zip(&other.models);
        // In a suite, one may have data that the other lacks.
        let same_name = |a: &'_ &DatasetHash| other.datasets.iter().find(|b| b.name == a.name);
        let datasets = self.datasets.iter().filter_map(|a| Some((a, same_name(&a)?))).filter(|(a, b)| a != b);
        let mut all = models
            .filter_map(|(a, b)| of_models(a, b, places))
            .chain(datasets.map(|(a, b)| words("data set", &b.name, [&a.sha256, &b.sha256], places)));
        all.next()
    }
}

/// What makes two models another one; not the name.
fn of_models(a: &ModelHash, b: &ModelHash, places: [&str; 2]) -> Option<String> {
    if a.sha256 != b.sha256 {
        Some(words("model", &b.name, [&a.sha256, &b.sha256], places))
    } else if a.precision != b.precision {
        let precisions = [a.precision.name(), b.precision.name()];
        Some(words("precision, of model", &b.name, precisions, places))
    } else if a.trained_length != b.trained_length {
        let lengths = [a.trained_length, b.trained_length].map(|length| length.to_string());
        Some(words("trained length, of model", &b.name, [&lengths[0], &lengths[1]], places))
    } else {
        None
    }
}

fn words(what: &str, name: &str, [one, other]: [&str; 2], places: [&str; 2]) -> String {
    format!("{what} \"{name}\": {one} {}, {other} {}", places[0], places[1])
}

/// Names that are in results and not in the run that continues them.
struct NamesOfKept(Vec<String>);

impl NamesOfKept {
    fn new(config: &Config, now: &Environment) -> NamesOfKept {
        let models = config.models.iter().filter(|entry| now.model(&entry.name).is_none());
        let tasks = config.tasks.iter().filter(|entry| !now.samples.iter().any(|one| one.task == entry.name));
        let models = models.map(|entry| format!("model \"{}\"", entry.name));
        NamesOfKept(models.chain(tasks.map(|entry| format!("task \"{}\"", entry.name))).collect())
    }

    /// Whether a note is of something that the run does not ask for, which is as it was.
    fn is_of_kept(&self, note: &str) -> bool {
        self.0.iter().any(|name| note.contains(name))
    }
}

/// Adapters in words.
fn all(adapters: &[AdapterUsed]) -> String {
    adapters.iter().map(AdapterUsed::to_string).collect::<Vec<_>>().join(" + ")
}
