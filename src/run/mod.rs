//! A run: every sample of every task, under every encoding, on every model, stored as it finishes.

mod batch;
mod inputs;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;

use batch::{Batch, Job};
use inputs::{Inputs, find_inputs, model_hashes, open_checkpoints};

use crate::config::{Config, TaskEntry};
use crate::dataset::Dataset;
use crate::device::OpenDevice;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Checkpoint;
use crate::progress::Progress;
use crate::store::{DatasetHash, Environment, LeftOutRecord, SampleKey, Store};
use crate::structure::{Segments, Source, Unit, segments};
use crate::task::{LeftOut, Sample};

/// How a run goes on its way.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// At most so many samples of each bucket of each task.
    pub limit: Option<usize>,
    /// Start over instead of going on.
    pub fresh: bool,
    /// Samples that generate side by side, at least 1.
    pub batch: usize,
}

/// The samples of one task in one model's tokens, with their segments.
struct Work<'a> {
    model: usize,
    task: &'a TaskEntry,
    samples: Vec<(Sample, HashMap<Unit, Segments>)>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
}

/// Runs a config and stores every sample in `out` as it finishes.
///
/// # Errors
/// Anything wrong with the config's models, data or encodings before work starts;
/// [`ErrorKind::Results`] when `out` holds other results; [`ErrorKind::Compute`] and
/// [`ErrorKind::Write`] while working. Stored samples are kept.
pub fn run(config: &Config, device: &OpenDevice, out: &Path, options: RunOptions) -> Result<()> {
    for entry in &config.models {
        let place = |e: Error| e.at(format_args!("model \"{}\"", entry.name));
        entry.precision.check(&device.device).map_err(place)?;
    }
    let Inputs { models, datasets } = find_inputs(config)?;
    let checkpoints = open_checkpoints(config, &models)?;
    let work = prepare(config, &checkpoints, &datasets)?;
    let planned = work.iter().map(|work| work.samples.len()).sum::<usize>() * config.encodings.len();
    let environment = Environment::new(
        &device.name,
        planned,
        model_hashes(config, &checkpoints)?,
        datasets
            .iter()
            .map(|(name, dataset)| Ok(DatasetHash { name: name.clone(), sha256: dataset.sha256()? }))
            .collect::<Result<_>>()?,
        left_out(config, &work),
        work.iter().flat_map(|work| work.notes.clone()).collect(),
    );
    let mut store = Store::open(out, config, environment, options.fresh)?;
    let batches = pending(config, &work, store.done(), options);
    announce(out, store.done().len(), batches.iter().map(|batch| batch.jobs.len()).sum(), planned);
    let mut progress = Progress::new(batches.iter().map(Batch::tokens).sum(), "tok");
    for (number, checkpoint) in checkpoints.iter().enumerate() {
        let mut batches = batches.iter().filter(|batch| batch.model == number).peekable();
        if batches.peek().is_none() {
            continue;
        }
        let model = checkpoint.load(&device.device, config.models[number].precision)?;
        for batch in batches {
            for line in batch.evaluate(&config.models[number].name, checkpoint, &model)? {
                store.append(&line)?;
            }
            progress.advance(batch.tokens());
        }
    }
    store.finish()
}

/// Chooses the samples of every task in every model's tokens, and parses them in parallel.
fn prepare<'a>(
    config: &'a Config,
    checkpoints: &[Checkpoint],
    datasets: &[(String, Dataset)],
) -> Result<Vec<Work<'a>>> {
    let units: HashSet<Unit> =
        config.encodings.iter().flat_map(|encoding| encoding.spec.units().iter().copied()).collect();
    let mut all = Vec::new();
    for (model, checkpoint) in checkpoints.iter().enumerate() {
        for task in &config.tasks {
            let dataset = datasets.iter().find(|(name, _)| *name == task.dataset).map(|(_, dataset)| dataset);
            let dataset = dataset.expect("opened for every task");
            let selection = task
                .task
                .samples(dataset, &checkpoint.tokenizer, config.seed)
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

/// The segments of a sample's tokens.
pub(crate) fn sample_segments(sample: &Sample, unit: Unit) -> Segments {
    let source = Source { text: &sample.text, language: sample.language, file_starts: &sample.file_starts };
    segments(&source, &sample.tokens.offsets, unit)
}

/// What is left to do: some samples at a time under every encoding, so that encodings stay comparable
/// when a run is cut short.
fn pending<'a>(
    config: &'a Config,
    work: &'a [Work<'a>],
    done: &HashSet<SampleKey>,
    options: RunOptions,
) -> Vec<Batch<'a>> {
    let mut batches = Vec::new();
    for work in work {
        let samples = within_limit(&work.samples, options.limit);
        for some in samples.chunks(options.batch) {
            for encoding in &config.encodings {
                let mut batch = Batch { model: work.model, task: work.task, encoding, jobs: Vec::new() };
                let name = &config.models[work.model].name;
                let jobs = some.iter().map(|(sample, segments)| Job { sample, segments });
                batch.jobs = jobs.filter(|job| !done.contains(&batch.key(name, job))).collect();
                batches.extend(Some(batch).filter(|batch| !batch.jobs.is_empty()));
            }
        }
    }
    batches
}

/// The first samples of each bucket.
fn within_limit<T>(samples: &[(Sample, T)], limit: Option<usize>) -> Vec<&(Sample, T)> {
    let mut of_bucket = HashMap::new();
    let mut inside = |sample: &Sample| {
        let rank = of_bucket.entry(sample.bucket).or_insert(0);
        *rank += 1;
        limit.is_none_or(|limit| *rank <= limit)
    };
    samples.iter().filter(|(sample, _)| inside(sample)).collect()
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

/// Says on stderr where a run stands.
fn announce(out: &Path, done: usize, pending: usize, planned: usize) {
    let out = out.display();
    match (done, pending) {
        (0, _) => eprintln!("{out}: {pending} of {planned} samples x encodings to do"),
        (_, 0) => eprintln!("{out}: nothing left to do, {done} of {planned} samples x encodings are stored"),
        _ => eprintln!(
            "{out}: continuing, {done} of {planned} samples x encodings are stored, {pending} to do"
        ),
    }
}

impl RunOptions {
    /// Refuses a limit or a batch of 0.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`].
    pub fn check(&self) -> Result<()> {
        if self.limit == Some(0) {
            return Err(Error::new(ErrorKind::Usage, "the limit is 0")
                .at("--limit")
                .fix("give a limit of at least 1 sample a bucket"));
        }
        if self.batch == 0 {
            return Err(Error::new(ErrorKind::Usage, "the batch is 0")
                .at("--batch")
                .fix("give a batch of at least 1 sample"));
        }
        Ok(())
    }
}
