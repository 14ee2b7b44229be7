//! environment.json: where and from what the numbers were made.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Shard;
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
    /// Later runs that continued the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<Session>,
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
            resumed: Vec::new(),
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
            .or_else(|| differs("device", self.device.clone(), now.device.clone()))
            .or_else(|| {
                // Earlier versions did not record adapters.
                self.adapters.first()?;
                differs("adapter or driver", all(&self.adapters), all(&now.adapters))
            });
        if let Some(what) = what {
            return Err(Error::new(ErrorKind::Results, format!("the results here are of another {what}"))
                .fix("give another --out, or start over with --fresh"));
        }
        self.finished = None;
        self.resumed.push(now.session);
        // Data of a suite may have been added since.
        let known: Vec<String> = self.datasets.iter().map(|dataset| dataset.name.clone()).collect();
        self.datasets.extend(now.datasets.into_iter().filter(|dataset| !known.contains(&dataset.name)));
        (self.planned, self.left_out, self.notes) = (now.planned, now.left_out, now.notes);
        Ok(self)
    }

    /// The first model or data set in which two environments differ, in words; `places` are the words for the
    /// two.
    pub(super) fn difference(&self, other: &Environment, places: [&str; 2]) -> Option<String> {
        let words = |what: &str, name: &str, one: &str, other: &str| {
            format!("{what} \"{name}\": {one} {}, {other} {}", places[0], places[1])
        };
        let models = self.models.iter().zip(&other.models).filter(|(a, b)| a != b);
        // In a suite, one may have data that the other lacks.
        let same_name = |a: &'_ &DatasetHash| other.datasets.iter().find(|b| b.name == a.name);
        let datasets = self.datasets.iter().filter_map(|a| Some((a, same_name(&a)?))).filter(|(a, b)| a != b);
        let mut all = models
            .map(|(a, b)| {
                if a.sha256 == b.sha256 {
                    words("precision, of model", &b.name, a.precision.name(), b.precision.name())
                } else {
                    words("model", &b.name, &a.sha256, &b.sha256)
                }
            })
            .chain(datasets.map(|(a, b)| words("data set", &b.name, &a.sha256, &b.sha256)));
        all.next()
    }
}

/// Adapters in words.
fn all(adapters: &[AdapterUsed]) -> String {
    adapters.iter().map(AdapterUsed::to_string).collect::<Vec<_>>().join(" + ")
}
