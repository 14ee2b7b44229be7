//! A run: every sample of every task, under every encoding, on every model, stored as it finishes.

mod alike;
mod batch;
mod cost;
mod evaluate;
mod inputs;
mod lengths;
mod prepared;
mod share;
mod texts;
mod workers;

use std::collections::HashSet;
use std::path::Path;

pub(crate) use batch::{Batch, Job};
pub(crate) use cost::{Account, Cost, NetworkAccount, Rates, kept};
pub(crate) use prepared::{Prepared, Work, WorkSample};

use crate::config::Config;
use crate::device::OpenDevice;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::store::{Measured, SampleKey, SampleLine, Shard, Store, TextOf, add_texts};
use crate::structure::{Draw, Layout, Segments, Source, Unit, segments};
use crate::task::Sample;

/// How a run proceeds.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// At most this many samples of each bucket of each task.
    pub limit: Option<usize>,
    /// Start over instead of resuming.
    pub fresh: bool,
    /// Samples that generate side by side, at least 1.
    pub batch: usize,
    /// The part of the samples to run; all if none.
    pub shard: Option<Shard>,
}

/// A run that has ended.
pub struct Ran<'a> {
    /// How many results are stored now.
    pub stored: usize,
    prepared: Prepared<'a>,
}

impl Ran<'_> {
    /// Adds texts of its samples to its results in `out`; others' are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub fn keep_texts(&self, out: &Path, wanted: &[TextOf]) -> Result<()> {
        let texts: Vec<_> = wanted.iter().filter_map(|wanted| texts::of(&self.prepared, wanted)).collect();
        if texts.is_empty() { Ok(()) } else { add_texts(out, texts) }
    }
}

/// Runs a config on devices that share the work, at least one, and stores every sample in `out` as it
/// finishes. A sample that fails on its own under an
/// encoding is stored as a failure, and the run continues.
///
/// # Errors
/// Anything wrong with the config's models, data or encodings before work starts;
/// [`ErrorKind::Results`] when `out` holds other results; [`ErrorKind::Compute`] and
/// [`ErrorKind::Write`] while working. Stored samples are kept.
pub fn run<'a>(
    config: &'a Config,
    devices: &[OpenDevice],
    out: &Path,
    options: RunOptions,
) -> Result<Ran<'a>> {
    let mut prepared = Prepared::new(config, devices)?;
    let mut asked = prepared.asked(devices, options.shard)?;
    if let Some(shard) = options.shard {
        prepared.keep_shard(shard)?;
    }
    prepared.refuse_uncovered(options.limit)?;
    asked.texts = texts::kept(&prepared);
    let mut store = Store::open(out, asked, options.fresh)?;
    let planned = if options.shard.is_some() { prepared.planned() } else { store.planned() };
    prepared.keep_limit(options.limit);
    evaluate::evaluate(&mut prepared, &devices[0], out, &mut store)?;
    let batches = pending(&prepared, store.done(), options.batch);
    let left: usize = batches.iter().map(|batch| batch.jobs.len()).sum();
    store.words().iter().for_each(|words| status!("{}: {words}", out.display()));
    announce(out, options.shard, [store.done().len(), left, planned]);
    if store.failed() > 0 {
        note!(
            "{} of those stored are failures, which are not tried again; --fresh starts over",
            store.failed()
        );
    }
    let mut failures = Failures::default();
    let tokens = batches.iter().map(Batch::tokens).sum();
    let mut progress = Progress::of_cost(tokens, "tok", batches.iter().map(Batch::cost).sum());
    workers::evaluate(&prepared, devices, &batches, |batch, lines| {
        for line in &lines {
            store.append(line)?;
            detail!("{}: {} tokens in {:.2} s", line.key, line.tokens, line.seconds);
            failures.note(line);
        }
        progress.advance_by(batch.tokens(), batch.cost());
        Ok(())
    })?;
    failures.report_others();
    store.finish()?;
    let stored = store.done().len() + left;
    Ok(Ran { stored, prepared })
}

/// Samples that failed in this run; the first few are named on stderr, all are in the results.
#[derive(Default)]
struct Failures(usize);

impl Failures {
    const NAMED: usize = 5;

    fn note(&mut self, line: &SampleLine) {
        let Measured::Failed(why) = &line.measured else { return };
        self.0 += 1;
        if self.0 <= Failures::NAMED {
            note!("failed: {}: {why}", line.key);
        }
    }

    fn report_others(&self) {
        if self.0 > Failures::NAMED {
            note!("{} failed in all; the report counts them, samples.jsonl names them", self.0);
        }
    }
}

/// The segments of a sample's tokens.
pub(crate) fn sample_segments(sample: &Sample, unit: Unit, draw: Draw) -> Segments {
    segments(&source(sample), &sample.tokens.offsets, unit, draw)
}

/// The unit that divides a text in place of another.
pub(crate) fn in_text(unit: Unit, is_prose: bool) -> Unit {
    if is_prose { unit.in_prose() } else { unit }
}

/// What an encoding knows of a sample's text, with the segments of its levels.
pub(crate) fn sample_layout(
    sample: &Sample,
    is_prose: bool,
    levels: Vec<Vec<u32>>,
    encoding: &EncodingSpec,
    draw: Draw,
) -> Layout {
    let wanted = encoding.wanted();
    let wanted = if is_prose { wanted.in_prose() } else { wanted };
    Layout::of(&source(sample), &sample.tokens.offsets, levels, wanted, draw)
}

/// A sample's text, ready to be divided.
fn source(sample: &Sample) -> Source<'_> {
    Source { text: &sample.text, language: sample.language, file_starts: &sample.file_starts }
}

/// What is left to do: some samples at a time under every encoding, so that encodings stay comparable
/// when a run is cut short.
fn pending<'a>(prepared: &'a Prepared<'a>, done: &HashSet<SampleKey>, together: usize) -> Vec<Batch<'a>> {
    let mut batches = Vec::new();
    for work in &prepared.work {
        // What is asked elsewhere is asked one by one, over several connections.
        let elsewhere = prepared.subjects[work.model].connections().is_some();
        let together = if elsewhere { 1 } else { together };
        for some in alike::in_order(&work.samples, together) {
            for encoding in prepared.rows(work.model) {
                let left = some.iter().filter(|one| !done.contains(&prepared.key(work, one, encoding)));
                let left: Vec<&&WorkSample> = left.collect();
                batches.extend(left.chunks(together).map(|some| {
                    let jobs = some.iter().map(|one| prepared.job(work, one, encoding)).collect();
                    Batch { model: work.model, task: work.task, encoding, jobs }
                }));
            }
        }
    }
    batches
}

/// Reports on stderr how many samples x encodings are stored, are left to do, and are planned in all.
fn announce(out: &Path, shard: Option<Shard>, [done, left, planned]: [usize; 3]) {
    let shard = shard.map(|shard| format!(", shard {shard}")).unwrap_or_default();
    let run = format!("{}{shard}", out.display());
    match (done, left) {
        (_, 0) if planned == 0 => status!("{run}: no sample is left for this shard, nothing to do"),
        (0, _) => status!("{run}: {left} of {planned} samples x encodings to do"),
        (_, 0) => status!("{run}: nothing left to do, {done} of {planned} samples x encodings are stored"),
        _ => status!("{run}: continuing, {done} of {planned} samples x encodings are stored, {left} to do"),
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
