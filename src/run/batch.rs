//! Some samples of one task under one encoding: what the task asks, put to the model.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use super::cost::{Cost, Rates};
use super::sample_segments;
use crate::checkpoint::Checkpoint;
use crate::config::{EncodingEntry, TaskEntry};
use crate::error::{Error, Result};
use crate::model::{Decoder, Network, Under, generate};
use crate::store::{Measured, SampleKey, SampleLine};
use crate::structure::{Draw, Segments, Unit};
use crate::task::{Generated, Request, Sample, Scored};
use crate::text::Limits;

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
    /// Seed of the run and hash of the sample's text.
    pub(crate) draw: Draw<'a>,
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

/// A prompt that was read.
struct Begun<'a> {
    own: Decoder<'a>,
    candidates: Vec<Vec<f64>>,
    /// Of the sample without its context.
    alone: Option<Decoder<'a>>,
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

    /// A result for each job; a sample that fails under the encoding by itself has that as its result.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Compute`] when the machine fails, naming sample and encoding.
    pub(crate) fn evaluate(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
        model: &Network,
    ) -> Result<Vec<SampleLine>> {
        let started = Instant::now();
        let measured = self.measure(checkpoint, model)?;
        // Samples that go side by side share the time.
        let seconds = started.elapsed().as_secs_f64() / self.jobs.len() as f64;
        let line = |(job, measured): (&Job, Measured)| SampleLine {
            key: self.key(name, job),
            bucket: job.sample.bucket.to_string(),
            tokens: job.sample.tokens.ids.len(),
            sha256: job.draw.hash.to_string(),
            seconds,
            measured,
        };
        Ok(self.jobs.iter().zip(measured).map(line).collect())
    }

    /// Scores one after the other, and lets generations go on side by side.
    fn measure(&self, checkpoint: &Checkpoint, model: &Network) -> Result<Vec<Measured>> {
        let mut measured: Vec<Option<Measured>> = vec![None; self.jobs.len()];
        let (mut sequences, mut waiting) = (Vec::new(), Vec::new());
        for (number, job) in self.jobs.iter().enumerate() {
            let place = |e: Error| self.place(job, e);
            match self.task.task.request(job.sample, checkpoint.config.trained_length()) {
                Request::Score { outcome } => {
                    let scored = self.score(job, checkpoint, model).map(outcome);
                    measured[number] = Some(sifted(scored).map_err(place)?);
                }
                Request::Generate { limits, candidates, outcome } => {
                    match self.begin(job, checkpoint, model, limits, candidates) {
                        Ok(Begun { own, candidates, alone }) => {
                            waiting.push(Waiting { number, candidates, alone: alone.is_some(), outcome });
                            sequences.extend([own].into_iter().chain(alone).map(|one| (one, limits)));
                        }
                        Err(e) => measured[number] = Some(sifted(Err(e)).map_err(place)?),
                    }
                }
            }
        }
        let generations = generate(sequences, &checkpoint.tokenizer, &checkpoint.end_of_sequence)?;
        let mut generations = generations.into_iter();
        let mut next = || generations.next().expect("one of every sequence");
        for Waiting { number, candidates, outcome, alone } in waiting {
            let (own, alone) = (next(), alone.then(&mut next).transpose());
            let both = own.and_then(|generation| Ok(Generated { generation, candidates, alone: alone? }));
            let place = |e: Error| self.place(&self.jobs[number], e);
            measured[number] = Some(sifted(both.map(outcome)).map_err(place)?);
        }
        Ok(measured.into_iter().map(|one| one.expect("of every job")).collect())
    }

    /// Reads a sample's prompt, and scores its candidates.
    fn begin<'m>(
        &'m self,
        job: &Job,
        checkpoint: &'m Checkpoint,
        model: &'m Network,
        limits: Limits,
        candidates: &[Vec<u32>],
    ) -> Result<Begun<'m>> {
        let room = candidates.iter().map(Vec::len).fold(limits.max_new_tokens, usize::max);
        let read =
            |sample: &Sample, levels| self.under(checkpoint, model)?.read(&sample.tokens.ids, levels, room);
        let mut own = read(job.sample, self.levels(job))?;
        let candidates = candidates.iter().map(|ids| own.score(ids)).collect::<Result<_>>()?;
        let alone = job.sample.alone.as_deref();
        let alone = alone.map(|alone| read(alone, self.levels_of(alone, job.draw))).transpose()?;
        Ok(Begun { own, candidates, alone })
    }

    /// An error of a job, naming it.
    fn place(&self, job: &Job, error: Error) -> Error {
        error.at(format_args!("sample \"{}\", encoding \"{}\"", job.sample.id, self.encoding.name))
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

    /// The same of a sample without its context, whose segments are not found yet. Draws go by the hash of the whole
    /// sample, which `samples.jsonl` has.
    fn levels_of(&self, alone: &Sample, draw: Draw) -> Vec<Vec<u32>> {
        self.encoding.spec.units().iter().map(|&unit| sample_segments(alone, unit, draw).index).collect()
    }
}

/// What came of a sample: a failure of its own under the encoding is a result, and any other an error.
fn sifted(outcome: Result<Value>) -> Result<Measured> {
    match outcome {
        Ok(outcome) => Ok(Measured::Outcome(outcome)),
        Err(e) if e.kind.is_of_sample() => Ok(Measured::Failed(match e.place {
            Some(place) => format!("{}: {place}", e.what),
            None => e.what,
        })),
        Err(e) => Err(e),
    }
}
