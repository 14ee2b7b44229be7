//! A run: every sample of every task, under every encoding, on every model, stored as it finishes.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;

use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::dataset::Dataset;
use crate::device::OpenDevice;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::sha256;
use crate::model::score::score_under;
use crate::model::{Checkpoint, Llama, TokenScores};
use crate::progress::Progress;
use crate::store::{DatasetHash, Environment, ModelHash, SampleKey, SampleLine, Store};
use crate::structure::{Segments, Source, Unit, segments};
use crate::task::{Sample, Subject};

/// How a run goes on its way.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// At most so many samples of each bucket of each task.
    pub limit: Option<usize>,
    /// Start over instead of going on.
    pub fresh: bool,
}

/// The samples of one task in one model's tokens, with their segments.
struct Work<'a> {
    model: usize,
    task: &'a TaskEntry,
    samples: Vec<(Sample, HashMap<Unit, Segments>)>,
}

/// Runs a config and stores every sample in `out` as it finishes.
///
/// # Errors
/// Anything wrong with the config's models, data or encodings before work starts;
/// [`ErrorKind::Results`] when `out` holds other results; [`ErrorKind::Compute`] and
/// [`ErrorKind::Write`] while working. Stored samples are kept.
pub fn run(config: &Config, device: &OpenDevice, out: &Path, options: RunOptions) -> Result<()> {
    let checkpoints = open_checkpoints(config)?;
    let datasets = open_datasets(config)?;
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
    );
    let mut store = Store::open(out, config, environment, options.fresh)?;
    let jobs = pending(config, &work, store.done(), options.limit);
    announce(out, store.done().len(), jobs.len(), planned);
    let tokens = jobs.iter().map(|job| job.sample.tokens.ids.len() as u64).sum();
    let mut progress = Progress::new(tokens, "tok");
    for (number, checkpoint) in checkpoints.iter().enumerate() {
        let mut jobs = jobs.iter().filter(|job| job.model == number).peekable();
        if jobs.peek().is_none() {
            continue;
        }
        let model = checkpoint.load(&device.device)?;
        for job in jobs {
            store.append(&job.evaluate(config, checkpoint, &model)?)?;
            progress.advance(job.sample.tokens.ids.len() as u64);
        }
    }
    store.finish()
}

/// One sample under one encoding.
struct Job<'a> {
    model: usize,
    task: &'a TaskEntry,
    encoding: &'a EncodingEntry,
    sample: &'a Sample,
    segments: &'a HashMap<Unit, Segments>,
}

impl Job<'_> {
    fn key(&self, config: &Config) -> SampleKey {
        SampleKey {
            model: config.models[self.model].name.clone(),
            encoding: self.encoding.name.clone(),
            task: self.task.name.clone(),
            sample: self.sample.id.clone(),
        }
    }

    fn evaluate(&self, config: &Config, checkpoint: &Checkpoint, model: &Llama) -> Result<SampleLine> {
        let started = Instant::now();
        let levels =
            self.encoding.spec.units().iter().map(|unit| self.segments[unit].index.clone()).collect();
        let subject = EncodedModel { checkpoint, model, encoding: &self.encoding.spec, levels };
        let outcome = self.task.task.evaluate(self.sample, &subject).map_err(|e| {
            e.at(format_args!("sample \"{}\", encoding \"{}\"", self.sample.id, self.encoding.name))
        })?;
        Ok(SampleLine {
            key: self.key(config),
            bucket: self.sample.bucket.to_string(),
            tokens: self.sample.tokens.ids.len(),
            sha256: sha256(self.sample.text.as_bytes()),
            seconds: started.elapsed().as_secs_f64(),
            outcome,
        })
    }
}

/// A model under one encoding, with the segment indices of the sample at hand.
struct EncodedModel<'a> {
    checkpoint: &'a Checkpoint,
    model: &'a Llama,
    encoding: &'a EncodingSpec,
    levels: Vec<Vec<u32>>,
}

impl Subject for EncodedModel<'_> {
    fn score(&self, sample: &Sample) -> Result<TokenScores> {
        score_under(
            self.model,
            &self.checkpoint.config,
            self.encoding,
            &sample.tokens.ids,
            self.levels.clone(),
        )
    }

    fn follows_length(&self) -> bool {
        self.encoding.follows_length(&self.checkpoint.config.rope)
    }
}

/// Opens every model's config and tokenizer, holds every encoding against it, and checks that the
/// weights fit.
fn open_checkpoints(config: &Config) -> Result<Vec<Checkpoint>> {
    let open = |entry: &crate::config::ModelEntry| {
        let place = |e: Error| e.at(format_args!("model \"{}\"", entry.name));
        let checkpoint = Checkpoint::open(&config.find(&entry.path).map_err(place)?)?;
        for encoding in &config.encodings {
            encoding
                .spec
                .check(&checkpoint.config.rope)
                .map_err(|e| place(e.at(format_args!("encoding \"{}\"", encoding.name))))?;
        }
        checkpoint.check_weights()?;
        Ok(checkpoint)
    };
    config.models.iter().map(open).collect()
}

/// Opens each data set once, in the order of the config.
fn open_datasets(config: &Config) -> Result<Vec<(String, Dataset)>> {
    let mut datasets: Vec<(String, Dataset)> = Vec::new();
    for task in &config.tasks {
        if datasets.iter().all(|(name, _)| *name != task.dataset) {
            let dataset = Dataset::open(&task.dataset, &config.search)
                .map_err(|e| e.at(format_args!("task \"{}\"", task.name)))?;
            datasets.push((task.dataset.clone(), dataset));
        }
    }
    Ok(datasets)
}

fn model_hashes(config: &Config, checkpoints: &[Checkpoint]) -> Result<Vec<ModelHash>> {
    let hash = |(entry, checkpoint): (&crate::config::ModelEntry, &Checkpoint)| {
        Ok(ModelHash {
            name: entry.name.clone(),
            sha256: checkpoint.sha256()?,
            trained_length: checkpoint.config.trained_length(),
        })
    };
    config.models.iter().zip(checkpoints).map(hash).collect()
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
            let samples = task
                .task
                .samples(dataset, &checkpoint.tokenizer, config.seed)
                .map_err(|e| e.at(format_args!("task \"{}\"", task.name)))?;
            let parse = |sample: Sample| {
                let segments = units.iter().map(|&unit| (unit, sample_segments(&sample, unit))).collect();
                (sample, segments)
            };
            all.push(Work { model, task, samples: samples.into_par_iter().map(parse).collect() });
        }
    }
    Ok(all)
}

fn sample_segments(sample: &Sample, unit: Unit) -> Segments {
    let source = Source { text: &sample.text, language: sample.language, file_starts: &[] };
    segments(&source, &sample.tokens.offsets, unit)
}

/// What is left to do: sample by sample, so that encodings stay comparable when a run is cut short.
fn pending<'a>(
    config: &'a Config,
    work: &'a [Work<'a>],
    done: &HashSet<SampleKey>,
    limit: Option<usize>,
) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for work in work {
        let mut of_bucket = HashMap::new();
        for (sample, segments) in &work.samples {
            let rank = of_bucket.entry(sample.bucket).or_insert(0);
            *rank += 1;
            if limit.is_some_and(|limit| *rank > limit) {
                continue;
            }
            let job = |encoding| Job { model: work.model, task: work.task, encoding, sample, segments };
            jobs.extend(config.encodings.iter().map(job).filter(|job| !done.contains(&job.key(config))));
        }
    }
    jobs
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

/// Refuses a limit of 0.
///
/// # Errors
/// [`ErrorKind::Usage`].
pub fn check_limit(limit: Option<usize>) -> Result<()> {
    match limit {
        Some(0) => Err(Error::new(ErrorKind::Usage, "the limit is 0")
            .at("--limit")
            .fix("give a limit of at least 1 sample a bucket")),
        _ => Ok(()),
    }
}
