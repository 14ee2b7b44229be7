//! A run: every sample of every task, under every encoding, on every model, stored as it finishes.

mod batch;
mod inputs;
mod prepared;

use std::collections::{HashMap, HashSet};
use std::path::Path;

pub(crate) use batch::{Batch, Job};
pub(crate) use prepared::{Prepared, Work};

use crate::config::Config;
use crate::device::OpenDevice;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::store::{SampleKey, Store};
use crate::structure::{Segments, Source, Unit, segments};
use crate::task::Sample;

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

/// Runs a config and stores every sample in `out` as it finishes.
///
/// # Errors
/// Anything wrong with the config's models, data or encodings before work starts;
/// [`ErrorKind::Results`] when `out` holds other results; [`ErrorKind::Compute`] and
/// [`ErrorKind::Write`] while working. Stored samples are kept.
pub fn run(config: &Config, device: &OpenDevice, out: &Path, options: RunOptions) -> Result<()> {
    let prepared = Prepared::new(config, device)?;
    let work = &prepared.work;
    let planned = work.iter().map(|work| work.samples.len()).sum::<usize>() * config.encodings.len();
    let mut store = Store::open(out, config, prepared.environment(device, planned)?, options.fresh)?;
    let batches = pending(config, work, store.done(), options);
    announce(out, store.done().len(), batches.iter().map(|batch| batch.jobs.len()).sum(), planned);
    let mut progress = Progress::new(batches.iter().map(Batch::tokens).sum(), "tok");
    for (number, checkpoint) in prepared.checkpoints.iter().enumerate() {
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
