//! Some samples of one task under one encoding: what the task asks, put to the model.

use std::collections::HashMap;
use std::time::Instant;

use super::cost::{Cost, Rates};
use super::sample_segments;
use crate::checkpoint::Checkpoint;
use crate::config::{EncodingEntry, TaskEntry};
use crate::error::{Error, Result};
use crate::model::{Decoder, EncodedModel, Network, generate};
use crate::store::{Measured, SampleKey, SampleLine};
use crate::structure::{Draw, Segments, Unit};
use crate::task::{Answer, Ask, Generated, Sample, Scored};
use crate::text::Limits;

/// Samples of one task that go through one model together, under one encoding.
pub(crate) struct Batch<'a> {
    /// Number of the model in the config.
    pub(crate) model: usize,
    pub(crate) task: &'a TaskEntry,
    pub(crate) encoding: &'a EncodingEntry,
    pub(crate) jobs: Vec<Job<'a>>,
}

/// One sample of a batch.
pub(crate) struct Job<'a> {
    pub(crate) sample: &'a Sample,
    /// The seed of the run and the hash of the sample's text.
    pub(crate) draw: Draw<'a>,
    pub(crate) segments: &'a HashMap<Unit, Segments>,
    /// What it costs under the batch's encoding.
    pub(crate) cost: Cost,
}

/// A prompt that has been read.
struct Begun<'a> {
    decoder: Decoder<'a>,
    candidates: Vec<Vec<f64>>,
}

impl Batch<'_> {
    /// Tokens of all samples.
    pub(crate) fn tokens(&self) -> u64 {
        self.jobs.iter().map(|job| job.sample.prompt_tokens() as u64).sum()
    }

    /// What the samples cost, in products of linear maps.
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

    /// Gives a result for each job; a sample that fails on its own under the encoding has that failure as its
    /// result.
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
        // Samples that run side by side share the time.
        let seconds = started.elapsed().as_secs_f64() / self.jobs.len() as f64;
        Ok(self
            .jobs
            .iter()
            .zip(measured)
            .map(|(job, measured)| SampleLine {
                key: self.key(name, job),
                bucket: job.sample.bucket.to_string(),
                tokens: job.sample.tokens.ids.len(),
                segments: self.encoding.spec.units().iter().map(|unit| job.segments[unit].count).collect(),
                sha256: job.draw.hash.to_string(),
                seconds,
                measured,
            })
            .collect())
    }

    /// Scores one sample after another, and generates side by side.
    fn measure(&self, checkpoint: &Checkpoint, model: &Network) -> Result<Vec<Measured>> {
        match self.task.task.ask() {
            Ask::Score => self.score_all(checkpoint, model),
            Ask::Generate(limits) => self.generate_all(limits, checkpoint, model),
        }
    }

    fn score_all(&self, checkpoint: &Checkpoint, model: &Network) -> Result<Vec<Measured>> {
        let jobs = self.jobs.iter();
        jobs.map(|job| {
            let scored = self.score(job, checkpoint, model);
            self.measured(job, scored.map(Answer::Scored), checkpoint)
        })
        .collect()
    }

    fn generate_all(
        &self,
        limits: Limits,
        checkpoint: &Checkpoint,
        model: &Network,
    ) -> Result<Vec<Measured>> {
        let (mut sequences, mut begun) = (Vec::new(), Vec::new());
        for job in &self.jobs {
            begun.push(match self.begin(job, checkpoint, model, limits) {
                Ok(read) => {
                    let mut candidates = Vec::new();
                    for (one, asked) in read.into_iter().zip(job.sample.asked()) {
                        sequences.push((one.decoder, limits, &asked.ends[..]));
                        candidates.push(one.candidates);
                    }
                    Ok(candidates)
                }
                Err(e) if e.kind.is_of_sample() => Err(e),
                Err(e) => return Err(self.place(job, e)),
            });
        }
        let generations = generate(sequences, &checkpoint.tokenizer, &checkpoint.end_of_sequence)?;
        let mut generations = generations.into_iter();
        let mut next = || generations.next().expect("one of every sequence");
        let jobs = self.jobs.iter().zip(begun);
        jobs.map(|(job, candidates)| {
            let generated = candidates.and_then(|candidates| {
                let all: Vec<_> = candidates.into_iter().map(|candidates| (next(), candidates)).collect();
                let mut all = all.into_iter().map(|(generation, candidates)| {
                    Ok(Generated { generation: generation?, candidates, others: Vec::new() })
                });
                let own = all.next().expect("a sample is asked itself")?;
                Ok(Generated { others: all.collect::<Result<_>>()?, ..own })
            });
            self.measured(job, generated.map(Answer::Generated), checkpoint)
        })
        .collect()
    }

    /// What came of a job: a failure of its own under the encoding is a result; any other is an error.
    fn measured(&self, job: &Job, answer: Result<Answer>, checkpoint: &Checkpoint) -> Result<Measured> {
        match answer {
            Ok(answer) => {
                let trained_length = checkpoint.config.trained_length();
                Ok(Measured::Outcome(self.task.task.outcome(job.sample, answer, trained_length)))
            }
            Err(e) if e.kind.is_of_sample() => Ok(Measured::Failed(match e.place {
                Some(place) => format!("{}: {place}", e.what),
                None => e.what,
            })),
            Err(e) => Err(self.place(job, e)),
        }
    }

    /// Reads a sample's prompts, and scores the candidates of each.
    fn begin<'m>(
        &'m self,
        job: &Job,
        checkpoint: &'m Checkpoint,
        model: &'m Network,
        limits: Limits,
    ) -> Result<Vec<Begun<'m>>> {
        let room = job.sample.room(limits);
        let read = |(number, sample): (usize, &Sample)| {
            let levels = if number == 0 { self.levels(job) } else { self.levels_of(sample, job.draw) };
            let mut decoder = self.under(checkpoint, model)?.read(&sample.tokens.ids, levels, room)?;
            let candidates = sample.candidates.iter().map(|ids| decoder.score(ids)).collect::<Result<_>>()?;
            Ok(Begun { decoder, candidates })
        };
        job.sample.asked().enumerate().map(read).collect()
    }

    /// Adds the job's name to its error.
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

    fn under<'m>(&'m self, checkpoint: &'m Checkpoint, model: &'m Network) -> Result<EncodedModel<'m>> {
        let bos = checkpoint.tokenizer.bos()?;
        Ok(EncodedModel { model, config: &checkpoint.config, encoding: &self.encoding.spec, bos })
    }

    /// Segment indices for each of the encoding's units.
    fn levels(&self, job: &Job) -> Vec<Vec<u32>> {
        self.encoding.spec.units().iter().map(|unit| job.segments[unit].index.clone()).collect()
    }

    /// The same for a sample asked otherwise, whose segments are not found yet. Draws use the hash of the sample's own
    /// text, which is in `samples.jsonl`.
    fn levels_of(&self, other: &Sample, draw: Draw) -> Vec<Vec<u32>> {
        self.encoding.spec.units().iter().map(|&unit| sample_segments(other, unit, draw).index).collect()
    }
}
