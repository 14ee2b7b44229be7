//! Some samples of one task under one encoding: what the task asks, put to the model.

use std::collections::HashMap;
use std::time::Instant;

use super::cost::{Cost, Rates};
use super::{in_text, sample_layout, sample_segments};
use crate::config::{EncodingEntry, TaskEntry};
use crate::error::Result;
use crate::model::Seen;
use crate::store::{Measured, SampleKey, SampleLine};
use crate::structure::{Draw, Layout, Segments, Unit};
use crate::subject::{Asked, Passage, Reader, Reply, Subject};
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
    /// Whether its text is prose.
    pub(crate) is_prose: bool,
    /// The seed of the run and the hash of the sample's text.
    pub(crate) draw: Draw<'a>,
    pub(crate) segments: &'a HashMap<Unit, Segments>,
    /// What it costs under the batch's encoding.
    pub(crate) cost: Cost,
    /// First tokens that other prompts share with its own, which are asked about before or after it.
    pub(crate) shared: usize,
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
    /// result. `name`: the model's in the config.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Compute`] when the machine fails, naming sample and encoding.
    pub(crate) fn evaluate(
        &self,
        name: &str,
        subject: &dyn Subject,
        reader: &dyn Reader,
    ) -> Result<Vec<SampleLine>> {
        let started = Instant::now();
        let measured = self.measure(subject, reader)?;
        // Samples that run side by side share the time.
        let seconds = started.elapsed().as_secs_f64() / self.jobs.len() as f64;
        Ok(self
            .jobs
            .iter()
            .zip(measured)
            .map(|(job, (measured, keys))| SampleLine {
                key: self.key(name, job),
                bucket: job.sample.bucket.to_string(),
                tokens: job.sample.tokens.ids.len(),
                segments: self.encoding.spec.units().iter().map(|unit| job.segments[unit].count).collect(),
                keys,
                sha256: job.draw.hash.to_string(),
                seconds,
                measured,
            })
            .collect())
    }

    /// Scores one sample after another, and generates side by side.
    fn measure(&self, subject: &dyn Subject, reader: &dyn Reader) -> Result<Vec<(Measured, Option<Seen>)>> {
        match self.task.task.ask() {
            Ask::Score => self.score_all(subject, reader),
            Ask::Generate(limits) => self.generate_all(limits, subject, reader),
        }
    }

    fn score_all(&self, subject: &dyn Subject, reader: &dyn Reader) -> Result<Vec<(Measured, Option<Seen>)>> {
        let follows_length = subject.follows_length(&self.encoding.spec);
        let jobs = self.jobs.iter();
        jobs.map(|job| {
            let passage = passage(job.sample, self.layout(job));
            let scores = reader.score(&self.encoding.spec, &passage, self.task.task.wants_details());
            let keys = scores.as_ref().ok().and_then(|(_, keys)| *keys);
            let scored = scores.map(|(scores, _)| Scored { scores, follows_length });
            Ok((self.measured(job, scored.map(Answer::Scored), subject)?, keys))
        })
        .collect()
    }

    fn generate_all(
        &self,
        limits: Limits,
        subject: &dyn Subject,
        reader: &dyn Reader,
    ) -> Result<Vec<(Measured, Option<Seen>)>> {
        let asked: Vec<Asked> = self.jobs.iter().flat_map(|job| self.asked(job, limits)).collect();
        let mut replies = reader.answer(&self.encoding.spec, &asked)?.into_iter();
        let mut next = || replies.next().expect("one of every prompt");
        let jobs = self.jobs.iter();
        jobs.map(|job| {
            // All of a job's replies are taken, also where one of them failed.
            let all: Vec<Result<Reply>> = job.sample.asked().map(|_| next()).collect();
            let keys = all.first().and_then(|own| own.as_ref().ok()?.keys);
            let mut all = all.into_iter().map(|reply| {
                let Reply { generation, candidates, .. } = reply?;
                Ok(Generated { generation, candidates, others: Vec::new() })
            });
            let own = all.next().expect("a sample is asked itself");
            let generated = own.and_then(|own| Ok(Generated { others: all.collect::<Result<_>>()?, ..own }));
            Ok((self.measured(job, generated.map(Answer::Generated), subject)?, keys))
        })
        .collect()
    }

    /// A job's prompts: its sample's own, and the same question asked otherwise.
    fn asked<'j>(&self, job: &Job<'j>, limits: Limits) -> Vec<Asked<'j>> {
        let (name, room) = (self.place(job), job.sample.room(limits));
        let asked = |(number, sample): (usize, &'j Sample)| {
            let layout = if number == 0 { self.layout(job) } else { self.layout_of(sample, job) };
            let (name, prompt) = (name.clone(), passage(sample, layout));
            let (candidates, ends, shared) = (&sample.candidates, &sample.ends, job.shared);
            Asked { name, prompt, candidates, limits, ends, room, shared }
        };
        job.sample.asked().enumerate().map(asked).collect()
    }

    /// What came of a job: a failure of its own under the encoding is a result; any other is an error.
    fn measured(&self, job: &Job, answer: Result<Answer>, subject: &dyn Subject) -> Result<Measured> {
        match answer {
            Ok(answer) => {
                let trained_length = subject.trained_length();
                Ok(Measured::Outcome(self.task.task.outcome(job.sample, answer, trained_length)))
            }
            Err(e) if e.kind.is_of_sample() => Ok(Measured::Failed(match e.place {
                Some(place) => format!("{}: {place}", e.what),
                None => e.what,
            })),
            Err(e) => Err(e.at(self.place(job))),
        }
    }

    /// A job's name in errors.
    fn place(&self, job: &Job) -> String {
        format!("sample \"{}\", encoding \"{}\"", job.sample.id, self.encoding.name)
    }

    /// What the encoding knows of a job's text.
    fn layout(&self, job: &Job) -> Layout {
        let encoding = &self.encoding.spec;
        let levels = encoding.units().iter().map(|unit| job.segments[unit].index.clone()).collect();
        sample_layout(job.sample, job.is_prose, levels, encoding, job.draw)
    }

    /// The same for a sample asked otherwise, whose segments are not found yet. Draws use the hash of the sample's own
    /// text, which is in `samples.jsonl`.
    fn layout_of(&self, other: &Sample, job: &Job) -> Layout {
        let encoding = &self.encoding.spec;
        let of_unit = |&unit: &Unit| sample_segments(other, in_text(unit, job.is_prose), job.draw).index;
        let levels = encoding.units().iter().map(of_unit).collect();
        sample_layout(other, job.is_prose, levels, encoding, job.draw)
    }
}

/// A sample as a model reads it.
fn passage(sample: &Sample, layout: Layout) -> Passage<'_> {
    let message = sample.message.clone().map(|message| &sample.text[message]);
    Passage { ids: &sample.tokens.ids, text: &sample.text, message, layout }
}
