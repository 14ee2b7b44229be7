//! Checkpoints: all that a training needs to resume and reach the same weights, written whole or not at all.
//!
//! `work/step-N/` holds model.safetensors, with the weights and AdamW's moments in f32, and state.json. It is
//! written under another name, flushed to disk and renamed; the last two are kept.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::config::Dtype;
use super::network::{NamedTensor, named_tensors, names, safetensors, values};
use super::optimizer::Moments;
use crate::checkpoint::NetworkConfig;
use crate::checkpoint::safetensors::SafetensorsDir;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{create_new, read_text, unfinished_name};
use crate::model::Network;
use crate::model::weights::{WeightStorage, Weights};
use crate::provenance::Session;

const WEIGHTS: &str = "model.safetensors";
const STATE: &str = "state.json";
const PREFIX: &str = "step-";

/// Checkpoints that are kept.
const KEPT: usize = 2;

/// Where a training stands. What the next step draws depends only on the number of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Optimizer steps done.
    pub step: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// The last validation loss.
    pub validation_loss: Option<f64>,
    /// Hash of corpus and tokenizer.
    pub corpus_sha256: String,
    /// Runs of the program that took part in it.
    pub sessions: Vec<Session>,
}

/// The checkpoints of a directory.
pub struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// Checkpoints in `dir`, which exists.
    pub fn new(dir: PathBuf) -> Checkpoints {
        Checkpoints { dir }
    }

    /// Everything in the directory that is a checkpoint or was to become one.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when the directory cannot be read.
    fn entries(&self) -> Result<Vec<(String, PathBuf)>> {
        let unreadable = |e: std::io::Error| {
            Error::new(ErrorKind::Results, format!("cannot read the directory: {e}"))
                .in_file(&self.dir)
                .fix("check its permissions")
        };
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some(rest) = name.strip_prefix(PREFIX) {
                entries.push((rest.to_string(), path));
            }
        }
        Ok(entries)
    }

    /// The finished checkpoints by step, first to last.
    fn all(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut all: Vec<_> =
            self.entries()?.into_iter().filter_map(|(step, path)| Some((step.parse().ok()?, path))).collect();
        all.sort();
        Ok(all)
    }

    /// The last checkpoint: its directory and state; none if there is no checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when it cannot be read.
    pub fn last(&self) -> Result<Option<(PathBuf, State)>> {
        let Some((_, dir)) = self.all()?.pop() else { return Ok(None) };
        let path = dir.join(STATE);
        let state = serde_json::from_str(&read_text(&path, ErrorKind::Results)?).map_err(|e| {
            Error::new(ErrorKind::Results, format!("not a training's state: {e}"))
                .in_file(&path)
                .fix("remove this checkpoint to resume from the previous one, or start over with --fresh")
        })?;
        Ok(Some((dir, state)))
    }

    /// Writes a checkpoint, and removes those that are no longer kept.
    ///
    /// # Errors
    /// [`ErrorKind::Write`]; earlier checkpoints stay.
    pub fn save(&self, model: &Network, moments: &[Moments], state: &State) -> Result<()> {
        let mut tensors = named_tensors(model);
        let names = names(model);
        for (name, moments) in names.iter().zip(moments) {
            for (part, moment) in [("moment_1", &moments.moment_1), ("moment_2", &moments.moment_2)] {
                let values = values(moment.clone());
                tensors.push(NamedTensor {
                    name: moment_name(name, part),
                    shape: vec![values.len()],
                    values,
                });
            }
        }
        self.write(&tensors, state)
    }

    /// Writes the checkpoint before the first step.
    ///
    /// # Errors
    /// As [`Checkpoints::save`].
    pub fn write(&self, tensors: &[NamedTensor], state: &State) -> Result<()> {
        let path = self.dir.join(format!("{PREFIX}{:08}", state.step));
        let beside = self.beside();
        let bytes = safetensors(tensors, Dtype::F32)?;
        let text = serde_json::to_string_pretty(state).expect("plain data");
        let written = || -> std::io::Result<()> {
            fs::create_dir(&beside)?;
            write_synced(&beside.join(WEIGHTS), &bytes)?;
            write_synced(&beside.join(STATE), text.as_bytes())?;
            self.remove_whole(&path)?;
            fs::rename(&beside, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        written().map_err(|e| {
            let _ = fs::remove_dir_all(&beside);
            Error::new(ErrorKind::Write, format!("the checkpoint cannot be written: {e}"))
                .in_file(&path)
                .fix("make room, then run the same command with --resume: earlier checkpoints are kept")
        })?;
        self.remove_old()
    }

    /// Removes checkpoints that are no longer kept, and what a kill left unfinished.
    fn remove_old(&self) -> Result<()> {
        let left_over = self.entries()?.into_iter().filter(|(step, _)| step.parse::<u64>().is_err());
        // What cannot be removed only takes space.
        for (_, path) in left_over {
            let _ = fs::remove_dir_all(path);
        }
        for (_, path) in self.all()?.into_iter().rev().skip(KEPT) {
            let _ = self.remove_whole(&path);
        }
        Ok(())
    }

    /// A path for what is not yet or no longer a checkpoint, with a name that nobody can predict.
    fn beside(&self) -> PathBuf {
        self.dir.join(format!("{PREFIX}{}", unfinished_name()))
    }

    /// Removes a checkpoint, if present, under another name: a kill in the middle must not leave a part of a
    /// checkpoint that looks finished.
    fn remove_whole(&self, path: &Path) -> std::io::Result<()> {
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        let removed = self.beside();
        fs::rename(path, &removed)?;
        // A link itself is removed, not its target.
        let is_directory = removed.symlink_metadata()?.is_dir();
        if is_directory { fs::remove_dir_all(&removed) } else { fs::remove_file(&removed) }
    }
}

/// Loads a checkpoint: the model on `device`, and the moments, which are empty before the first step.
///
/// # Errors
/// [`ErrorKind::Model`], naming the tensor.
pub fn load(
    dir: &Path,
    config: &NetworkConfig,
    state: &State,
    device: &Device,
) -> Result<(Network, Vec<Moments>)> {
    let mut weights = Weights::open(Box::new(SafetensorsDir::open(dir)?), WeightStorage::Tensors);
    let model = Network::load(config, &mut weights, device)?;
    let inner = device.clone().inner();
    let mut moments = Vec::new();
    if state.step > 0 {
        for tensor in named_tensors(&model) {
            let count = tensor.values.len();
            let mut take = |part| weights.take_vector(&moment_name(&tensor.name, part), count, &inner);
            let [first, second] = [take("moment_1")?, take("moment_2")?].map(|param| param.val());
            moments.push(Moments::new(state.step as usize, first, second));
        }
    }
    Ok((model, moments))
}

fn moment_name(tensor: &str, part: &str) -> String {
    format!("{tensor}.{part}")
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
