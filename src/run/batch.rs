//! Some samples of one task under one encoding: what the task asks, put to the model.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use super::cost::{Cost, Rates};
use super::sample_segments;
use crate::config::{EncodingEntry, TaskEntry};
use crate::error::{Error, Result};
use crate::hash::sha256;
use crate::model::{Checkpoint, Network, Under, generate};
use crate::store::{SampleKey, SampleLine};
use crate::structure::{Segments, Unit};
use crate::task::{Generated, Request, Sample, Scored};

/// Samples of one task that go through one model together, under one encoding.
pub(crate) struct Batch<'a> {
    /// Number of the model in the config.
    pub(crate) model: usize,
    pub(crate) task: &'a TaskEntry,
    pub(crate) encoding: &'a EncodingEntry,
    pub(crate) jobs: Vec<Job<'a>>,
}

/// One of them.
pub(crate) struct Job<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) segments: &'a HashMap<Unit, Segments>,
    /// Under the batch's encoding.
    pub(crate) cost: Cost,
}

/// What becomes of a generation under way.
struct Waiting<'a> {
    number: usize,
    candidates: Vec<Vec<f64>>,
    /// Whether the sample is asked without its context too: the generation after this one.
    alone: bool,
    outcome: Box<dyn FnOnce(Generated) -> Value + 'a>,
}

impl Batch<'_> {
    /// Tokens of the samples.
    pub(crate) fn tokens(&self) -> u64 {
        self.jobs.iter().map(|job| job.sample.prompt_tokens() as u64).sum()
    }

    /// What they cost, in products of linear maps.
    pub(crate) fn cost(&self) -> f64 {
        self.jobs.iter().map(|job| Rates::NOMINAL.time(&job.cost)).sum()
    }

    pub(crate) fn key(&self, model: &str, job: &Job) -> SampleKey {
        SampleKey {
            model: model.into(),
            encoding: self.encoding.name.clone(),
            task: self.task.name.clone(),
            sample: job.sample.id.clone(),
        }
    }

    /// A result for each job.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Compute`] when the model fails, naming sample and encoding.
    pub(crate) fn evaluate(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
        model: &Network,
    ) -> Result<Vec<SampleLine>> {
        let started = Instant::now();
        let outcomes = self.outcomes(checkpoint, model)?;
        // Samples that go side by side share the time.
        let seconds = started.elapsed().as_secs_f64() / self.jobs.len() as f64;
        let line = |(job, outcome): (&Job, Value)| SampleLine {
            key: self.key(name, job),
            bucket: job.sample.bucket.to_string(),
            tokens: job.sample.tokens.ids.len(),
            sha256: sha256(job.sample.text.as_bytes()),
            seconds,
            outcome,
        };
        Ok(self.jobs.iter().zip(outcomes).map(line).collect())
    }

    /// Scores one after the other, and lets generations go on side by side.
    fn outcomes(&self, checkpoint: &Checkpoint, model: &Network) -> Result<Vec<Value>> {
        let mut outcomes = vec![Value::Null; self.jobs.len()];
        let (mut sequences, mut waiting) = (Vec::new(), Vec::new());
        for (number, job) in self.jobs.iter().enumerate() {
            let place = |e: Error| {
                e.at(format_args!("sample \"{}\", encoding \"{}\"", job.sample.id, self.encoding.name))
            };
            match self.task.task.request(job.sample, checkpoint.config.trained_length()) {
                Request::Score { outcome } => {
                    outcomes[number] = outcome(self.score(job, checkpoint, model).map_err(place)?);
                }
                Request::Generate { limits, candidates, outcome } => {
                    let room = candidates.iter().map(Vec::len).fold(limits.max_new_tokens, usize::max);
                    let read = |sample: &Sample, levels| {
                        self.under(checkpoint, model)?.read(&sample.tokens.ids, levels, room)
                    };
                    let mut decoder = read(job.sample, self.levels(job)).map_err(place)?;
                    let candidates = candidates.iter().map(|ids| decoder.score(ids));
                    let candidates = candidates.collect::<Result<_>>().map_err(place)?;
                    sequences.push((decoder, limits));
                    let alone = job.sample.alone.as_deref();
                    if let Some(alone) = alone {
                        sequences.push((read(alone, self.levels_of(alone)).map_err(place)?, limits));
                    }
                    waiting.push(Waiting { number, candidates, outcome, alone: alone.is_some() });
                }
            }
        }
        let generations = generate(sequences, &checkpoint.tokenizer, &checkpoint.end_of_sequence)?;
        let mut generations = generations.into_iter();
        let mut next = || generations.next().expect("one of every sequence");
        for Waiting { number, candidates, outcome, alone } in waiting {
            let (generation, alone) = (next(), alone.then(&mut next));
            outcomes[number] = outcome(Generated { generation, candidates, alone });
        }
        Ok(outcomes)
    }

    fn score(&self, job: &Job, checkpoint: &Checkpoint, model: &Network) -> Result<Scored> {
        let under = self.under(checkpoint, model)?;
        Ok(Scored {
            scores: under.score(&job.sample.tokens.ids, self.levels(job))?,
            follows_length: under.encoding.follows_length(&checkpoint.config.rope),
        })
    }

    fn under<'m>(&'m self, checkpoint: &'m Checkpoint, model: &'m Network) -> Result<Under<'m>> {
        let bos = checkpoint.tokenizer.bos()?;
        Ok(Under { model, config: &checkpoint.config, encoding: &self.encoding.spec, bos })
    }

    /// Segment indices for each unit of the encoding.
    fn levels(&self, job: &Job) -> Vec<Vec<u32>> {
        self.encoding.spec.units().iter().map(|unit| job.segments[unit].index.clone()).collect()
    }

    /// The same of a sample whose segments are not found yet.
    fn levels_of(&self, sample: &Sample) -> Vec<Vec<u32>> {
        self.encoding.spec.units().iter().map(|&unit| sample_segments(sample, unit).index).collect()
    }
}
