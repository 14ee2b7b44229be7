//! What a config's work needs: models opened, samples chosen, their segments found.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::inputs::{Inputs, find_inputs, model_hashes, open_checkpoints};
use super::sample_segments;
use crate::config::{Config, TaskEntry};
use crate::dataset::Dataset;
use crate::device::OpenDevice;
use crate::error::{Error, Result};
use crate::model::Checkpoint;
use crate::store::{DatasetHash, Environment, LeftOutRecord};
use crate::structure::{Segments, Unit};
use crate::task::{LeftOut, Sample};

/// A config's models, data and samples, checked; no weights are loaded.
pub(crate) struct Prepared<'a> {
    config: &'a Config,
    /// In the order of the config.
    pub(crate) checkpoints: Vec<Checkpoint>,
    datasets: Vec<(String, Dataset)>,
    /// What of a suite is not run, and why.
    missing: Vec<String>,
    /// Every task in every model's tokens.
    pub(crate) work: Vec<Work<'a>>,
}

/// The samples of one task in one model's tokens, with their segments.
pub(crate) struct Work<'a> {
    /// Number of the model in the config.
    pub(crate) model: usize,
    pub(crate) task: &'a TaskEntry,
    /// In the order in which they run.
    pub(crate) samples: Vec<(Sample, HashMap<Unit, Segments>)>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
}

impl<'a> Prepared<'a> {
    /// Opens and checks everything that a config names; what a user must know of it goes to stderr.
    ///
    /// # Errors
    /// Anything wrong with the config's models, data or encodings.
    pub(crate) fn new(config: &'a Config, device: &OpenDevice) -> Result<Prepared<'a>> {
        for entry in &config.models {
            let place = |e: Error| e.at(format_args!("model \"{}\"", entry.name));
            entry.precision.check(&device.device).map_err(place)?;
        }
        let Inputs { models, datasets, missing } = find_inputs(config)?;
        missing.iter().for_each(|note| eprintln!("{note}"));
        let checkpoints = open_checkpoints(config, &models)?;
        let work = work(config, &checkpoints, &datasets)?;
        Ok(Prepared { config, checkpoints, datasets, missing, work })
    }

    /// What the results say of it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn environment(&self, device: &OpenDevice, planned: usize) -> Result<Environment> {
        let hash = |(name, dataset): &(String, Dataset)| {
            Ok(DatasetHash { name: name.clone(), sha256: dataset.sha256()? })
        };
        Ok(Environment::new(
            &device.name,
            planned,
            model_hashes(self.config, &self.checkpoints)?,
            self.datasets.iter().map(hash).collect::<Result<_>>()?,
            left_out(self.config, &self.work),
            self.missing.iter().chain(self.work.iter().flat_map(|work| &work.notes)).cloned().collect(),
        ))
    }
}

/// Chooses the samples of every task in every model's tokens, and parses them in parallel.
fn work<'a>(
    config: &'a Config,
    checkpoints: &[Checkpoint],
    datasets: &[(String, Dataset)],
) -> Result<Vec<Work<'a>>> {
    let units: HashSet<Unit> =
        config.encodings.iter().flat_map(|encoding| encoding.spec.units().iter().copied()).collect();
    let mut all = Vec::new();
    for (model, checkpoint) in checkpoints.iter().enumerate() {
        for task in &config.tasks {
            // Of a suite, one may not be there.
            let Some((_, dataset)) = datasets.iter().find(|(name, _)| *name == task.dataset) else {
                continue;
            };
            let selection = task
                .task
                .samples(dataset, checkpoint, config.seed)
                .map_err(|e| e.at(format_args!("task \"{}\"", task.name)))?;
            let model_name = &config.models[model].name;
            let note = |note: String| format!("task \"{}\", model \"{model_name}\": {note}", task.name);
            let notes: Vec<String> = selection.notes.into_iter().map(note).collect();
            notes.iter().for_each(|note| eprintln!("{note}"));
            let parse = |sample: Sample| {
                let segments = units.iter().map(|&unit| (unit, sample_segments(&sample, unit))).collect();
                (sample, segments)
            };
            let samples = selection.samples.into_par_iter().map(parse).collect();
            all.push(Work { model, task, samples, left_out: selection.left_out, notes });
        }
    }
    Ok(all)
}

/// The records that became no samples; the first few are named on stderr, all go into the results.
fn left_out(config: &Config, work: &[Work]) -> Vec<LeftOutRecord> {
    const NAMED: usize = 5;
    let mut all = Vec::new();
    for work in work {
        for LeftOut { record, why } in work.left_out.iter().take(NAMED) {
            eprintln!("task \"{}\": {record} is left out: {why}", work.task.name);
        }
        if let Some(more) = work.left_out.len().checked_sub(NAMED + 1) {
            eprintln!("task \"{}\": {} more are left out, see environment.json", work.task.name, more + 1);
        }
        all.extend(work.left_out.iter().map(|left_out| LeftOutRecord {
            model: config.models[work.model].name.clone(),
            task: work.task.name.clone(),
            left_out: left_out.clone(),
        }));
    }
    all
}
