//! One row on one document: measured once, stored, and read back from the store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use longcode_stats::Pair;

use super::objective::Objective;
use crate::config::{Config, EncodingEntry};
use crate::device::OpenDevice;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::run::{Batch, Prepared};
use crate::store::{Asked, DrawnSamples, Results, SampleKey, Store};
use crate::subject::Reader;

/// The trials of a search, on the only model and task of its config.
pub(super) struct Trials<'a, 'p> {
    config: &'a Config,
    prepared: &'p Prepared<'a>,
    objective: Objective,
    device: &'p OpenDevice,
    /// Loaded for the first trial that is not stored.
    reader: Option<Box<dyn Reader + 'p>>,
    store: Store,
    out: PathBuf,
    /// Each trial's part in the objective.
    parts: HashMap<SampleKey, Pair>,
}

impl<'a, 'p> Trials<'a, 'p> {
    /// Opens the directory, and reads its trials.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(super) fn open(
        config: &'a Config,
        prepared: &'p Prepared<'a>,
        objective: Objective,
        device: &'p OpenDevice,
        out: &Path,
        planned: usize,
        fresh: bool,
    ) -> Result<Trials<'a, 'p>> {
        let environment = prepared.environment(std::slice::from_ref(device), planned, None)?;
        let asked = Asked { config, environment, samples: DrawnSamples::new(), texts: Vec::new() };
        let store = Store::open(out, asked, fresh)?;
        let (reader, parts, out) = (None, HashMap::new(), out.to_path_buf());
        let mut trials = Trials { config, prepared, objective, device, reader, store, out, parts };
        trials.read()?;
        status!(
            "{}: {} of {planned} trials are stored",
            trials.out.display(),
            trials.parts.len().min(planned)
        );
        Ok(trials)
    }

    /// Measures rows on samples, both given by number, unless already stored: sample by sample.
    ///
    /// # Errors
    /// As [`crate::run::run`] while working; what was measured is stored.
    pub(super) fn measure(&mut self, rows: &[usize], samples: &[usize]) -> Result<()> {
        let work = &self.prepared.work[0];
        let name = &self.config.models[0].name;
        let all: Vec<&EncodingEntry> = self.prepared.rows(0).collect();
        let mut batches = Vec::new();
        for &number in samples {
            for &row in rows {
                let encoding = all[row];
                let jobs = vec![self.prepared.job(work, &work.samples[number], encoding)];
                let batch = Batch { model: 0, task: work.task, encoding, jobs };
                let stored = self.parts.contains_key(&batch.key(name, &batch.jobs[0]));
                batches.extend((!stored).then_some(batch));
            }
        }
        if batches.is_empty() {
            return Ok(());
        }
        let subject = &*self.prepared.subjects[0];
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => subject.open(self.device)?,
        };
        let tokens = batches.iter().map(Batch::tokens).sum();
        let mut progress = Progress::of_cost(tokens, "tok", batches.iter().map(Batch::cost).sum());
        for batch in batches {
            for line in batch.evaluate(name, subject, &*reader)? {
                self.store.append(&line)?;
            }
            progress.advance_by(batch.tokens(), batch.cost());
        }
        self.reader = Some(reader);
        self.read()
    }

    /// Reads what is stored, so that every decision is based on that.
    fn read(&mut self) -> Result<()> {
        let task = self.prepared.work[0].task;
        let results = Results::read(&self.out)?;
        for sample in &results.samples {
            let outcome = results.outcome(sample)?;
            let pair = self.objective.pair(task, outcome.as_ref()).map_err(|e| e.in_file(&self.out))?;
            self.parts.insert(results.key(sample), pair);
        }
        Ok(())
    }

    /// Each sample's part in the objective under a row; all have been measured.
    ///
    /// # Errors
    /// [`ErrorKind::Write`] when one is no longer stored.
    pub(super) fn pairs(&self, row: usize, samples: &[usize]) -> Result<Vec<Pair>> {
        let key = |number: &usize| SampleKey {
            model: self.config.models[0].name.clone(),
            encoding: self.config.encodings[row].name.clone(),
            task: self.config.tasks[0].name.clone(),
            sample: self.prepared.work[0].samples[*number].sample.id.clone(),
        };
        samples
            .iter()
            .map(|number| {
                self.parts.get(&key(number)).copied().ok_or_else(|| {
                    Error::new(ErrorKind::Write, "trials that were stored are gone: something took them away")
                        .in_file(&self.out)
                        .fix("find out what changed samples.jsonl, then run the same command again")
                })
            })
            .collect()
    }

    /// Notes when the search ended.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Write`].
    pub(super) fn finish(&mut self) -> Result<()> {
        self.store.finish()
    }
}
