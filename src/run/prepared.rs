//! What a config's work needs: models opened, samples chosen, their segments found.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::alike::{self, Alike};
use super::cost::{Account, Cost, Rates};
use super::inputs::{Inputs, find_inputs, identities, open_evaluators, open_subjects, rows_of};
use super::lengths;
use super::share::shares;
use super::{Job, in_text, sample_segments, source};
use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::dataset::{Dataset, TextKind};
use crate::device::OpenDevice;
use crate::draw::quote::in_list;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::sha256;
use crate::provenance::DatasetHash;
use crate::store::{Asked, Drawn, DrawnSamples, Environment, LeftOutRecord, SampleCount, SampleKey, Shard};
use crate::structure::{Draw, Segments, Unit, is_given_up};
use crate::subject::{LocalModel, Need, Subject, Subjects};
use crate::task::{Ask, LeftOut, Sample};

/// A config's models, data and samples, checked; no weights are loaded.
pub(crate) struct Prepared<'a> {
    pub(crate) config: &'a Config,
    /// In the order of the config.
    pub(crate) subjects: Subjects,
    /// The encodings that each model is run under, with nothing relative in them.
    encodings: Vec<Vec<EncodingEntry>>,
    /// What samples cost with each model.
    pub(crate) accounts: Vec<Account>,
    datasets: Vec<(String, Dataset)>,
    /// Models that tasks need besides those of the config, by their names there.
    pub(super) evaluators: Vec<(String, LocalModel)>,
    /// What parts of a suite are not run, and why.
    missing: Vec<String>,
    /// What a reader of the figures must know about data, models and encodings.
    notes: Vec<String>,
    /// Every task in every model's tokens.
    pub(crate) work: Vec<Work<'a>>,
}

/// The samples of one task in one model's tokens, with their segments.
pub(crate) struct Work<'a> {
    /// Number of the model in the config.
    pub(crate) model: usize,
    pub(crate) task: &'a TaskEntry,
    /// Whether the texts are prose, which has no functions.
    pub(crate) is_prose: bool,
    /// In the order in which they run.
    pub(crate) samples: Vec<WorkSample>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
}

/// A sample, ready to be run.
pub(crate) struct WorkSample {
    pub(crate) sample: Sample,
    /// SHA-256 of its text.
    pub(crate) sha256: String,
    /// Its segments, by each unit of the config's encodings.
    pub(crate) segments: HashMap<Unit, Segments>,
    /// Its number in its bucket, from 0.
    pub(crate) rank: usize,
    /// What its prompts share with those of other samples.
    pub(crate) alike: Option<Alike>,
}

impl WorkSample {
    /// First tokens that its prompts share with others under an encoding.
    fn shared(&self, encoding: &EncodingEntry) -> usize {
        self.alike.as_ref().and_then(|alike| alike.tokens.get(&encoding.name)).copied().unwrap_or(0)
    }
}

impl<'a> Prepared<'a> {
    /// Opens and checks everything that a config names; what a user must know about it goes to stderr.
    ///
    /// # Errors
    /// Anything wrong with the config's models, data or encodings.
    pub(crate) fn new(config: &'a Config, devices: &[OpenDevice]) -> Result<Prepared<'a>> {
        for entry in &config.models {
            devices
                .iter()
                .try_for_each(|device| entry.precision.check(&device.device))
                .map_err(|e| e.at(format_args!("model \"{}\"", entry.name)))?;
        }
        let Inputs { models, datasets, evaluators, missing } = find_inputs(config)?;
        let evaluators = open_evaluators(evaluators)?;
        let mut notes = notes_of_data(&datasets)?;
        let missing: Vec<String> = config.left_out.iter().cloned().chain(missing).collect();
        missing.iter().chain(&notes).for_each(|note| note!("{note}"));
        let (subjects, of_models) = open_subjects(config, &models)?;
        of_models.iter().for_each(|note| note!("{note}"));
        notes.extend(of_models);
        let encodings: Vec<Vec<EncodingEntry>> = config
            .models
            .iter()
            .zip(&subjects)
            .map(|(entry, subject)| rows_of(config, entry, &**subject))
            .collect::<Result<_>>()?;
        let mut work = work(config, &subjects, &datasets)?;
        for Work { model, task, samples, .. } in &mut work {
            let rows = encodings[*model].iter().filter(|row| subjects[*model].shares_prefixes(&row.spec));
            alike::find(samples, task.task.ask(), &rows.collect::<Vec<_>>());
        }
        let of_lengths = lengths::notes(config, &subjects, &encodings, &work);
        of_lengths.iter().for_each(|note| note!("{note}"));
        notes.extend(of_lengths);
        let account = |(model, subject): (usize, &dyn Subject)| {
            let rows: Vec<&EncodingEntry> = encodings[model].iter().collect();
            subject.account(&rows, longest(model, &work))
        };
        let all = subjects.iter().map(|subject| &**subject).enumerate();
        let accounts = all.map(account).collect();
        Ok(Prepared { config, subjects, encodings, accounts, datasets, evaluators, missing, notes, work })
    }

    /// The encodings that a model is run under.
    pub(crate) fn rows(&self, model: usize) -> impl Iterator<Item = &EncodingEntry> {
        self.encodings[model].iter()
    }

    /// The number of samples x encodings.
    pub(crate) fn planned(&self) -> usize {
        self.work.iter().map(|work| work.samples.len() * self.rows(work.model).count()).sum()
    }

    /// A sample under an encoding.
    pub(crate) fn job<'s>(&self, work: &Work, one: &'s WorkSample, encoding: &EncodingEntry) -> Job<'s> {
        let (shared, cost) = (one.shared(encoding), self.cost(work, one, encoding));
        let draw = Draw { seed: self.config.seed, hash: &one.sha256 };
        Job { sample: &one.sample, is_prose: work.is_prose, draw, segments: &one.segments, cost, shared }
    }

    /// What a sample costs under an encoding. Of tokens that several prompts share, each has its part.
    fn cost(&self, work: &Work, one: &WorkSample, encoding: &EncodingEntry) -> Cost {
        let account = &self.accounts[work.model];
        let whole = account.cost(work.task, &one.sample, encoding);
        match (&one.alike, account.network(), one.shared(encoding)) {
            (Some(alike), Some(account), shared) if shared > 0 => {
                let prompts = one.sample.asked().count() as f64 * alike.spared(&work.samples);
                whole.without(account.prefix(encoding, shared), prompts)
            }
            _ => whole,
        }
    }

    /// Prompts of a task that begin like another one under an encoding, and the tokens that are not read for that reason.
    pub(crate) fn spared(&self, work: &Work, encoding: &EncodingEntry) -> (usize, f64) {
        let sharing = work.samples.iter().filter(|one| one.shared(encoding) > 0);
        sharing.fold((0, 0.0), |(prompts, tokens), one| {
            let asked = one.sample.asked().count();
            let spared = one.alike.as_ref().map_or(0.0, |alike| alike.spared(&work.samples));
            (prompts + asked, tokens + asked as f64 * spared * one.shared(encoding) as f64)
        })
    }

    /// The key of its result.
    pub(crate) fn key(&self, work: &Work, one: &WorkSample, encoding: &EncodingEntry) -> SampleKey {
        SampleKey {
            model: self.config.models[work.model].name.clone(),
            encoding: encoding.name.clone(),
            task: work.task.name.clone(),
            sample: one.sample.id.clone(),
        }
    }

    /// Most tokens that there must be room for after the prompts of a task; none if samples are scored.
    pub(crate) fn room(&self, work: &Work) -> Option<usize> {
        let ask = work.task.task.ask();
        work.samples.iter().filter_map(|one| ask.room(&one.sample)).max()
    }

    /// Keeps the first samples of each bucket, counted over the whole run.
    pub(crate) fn keep_limit(&mut self, limit: Option<usize>) {
        self.work
            .iter_mut()
            .for_each(|work| work.samples.retain(|one| limit.is_none_or(|limit| one.rank < limit)));
    }

    /// Keeps the samples of a shard. All encodings of a sample are in one shard, so that a shard alone
    /// compares them.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] for a suite whose data are partly missing: with them, the shards would be
    /// others.
    pub(crate) fn keep_shard(&mut self, shard: Shard) -> Result<()> {
        if let Some(missing) = self.missing.first() {
            return Err(Error::new(
                ErrorKind::Dataset,
                format!("a shard is a part of all samples: {missing}"),
            )
            .at(format_args!("--shard {shard}"))
            .fix("get the data, or take the task out of the config on every machine"));
        }
        let cost = |work: &Work, one: &WorkSample| -> f64 {
            let rows = self.rows(work.model);
            rows.map(|encoding| Rates::NOMINAL.time(&self.job(work, one, encoding).cost)).sum()
        };
        let cost = &cost;
        let of_work = self.work.iter().map(|work| work.samples.iter().map(move |one| cost(work, one)));
        let costs: Vec<f64> = of_work.flatten().collect();
        let mut shares = shares(&costs, shard.count()).into_iter();
        for work in &mut self.work {
            work.samples.retain(|_| shares.next() == Some(shard.index()));
        }
        Ok(())
    }

    /// Refuses samples, of the first `limit` of each bucket, that an encoding has no positions for.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming the first such sample.
    pub(crate) fn refuse_uncovered(&self, limit: Option<usize>) -> Result<()> {
        for work in &self.work {
            let samples = || work.samples.iter().filter(|one| limit.is_none_or(|limit| one.rank < limit));
            for encoding in self.rows(work.model) {
                samples().try_for_each(|one| covers(work.task, one, encoding))?;
            }
        }
        Ok(())
    }

    /// What a run of it asks of a results directory; without texts.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn asked(&self, devices: &[OpenDevice], shard: Option<Shard>) -> Result<Asked<'a>> {
        let environment = self.environment(devices, self.planned(), shard)?;
        Ok(Asked { config: self.config, environment, samples: self.drawn(), texts: Vec::new() })
    }

    /// Its samples, against which stored ones are checked.
    fn drawn(&self) -> DrawnSamples {
        let of_work = |work: &Work| {
            let names = [&self.config.models[work.model].name, &work.task.name].map(String::clone);
            let drawn = |one: &WorkSample| {
                let (sha256, bucket) = (one.sha256.clone(), one.sample.bucket.to_string());
                (one.sample.id.clone(), Drawn { sha256, tokens: one.sample.tokens.ids.len(), bucket })
            };
            (names, work.samples.iter().map(drawn).collect())
        };
        self.work.iter().map(of_work).collect()
    }

    /// What the results record of it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn environment(
        &self,
        devices: &[OpenDevice],
        planned: usize,
        shard: Option<Shard>,
    ) -> Result<Environment> {
        let hash = |(name, dataset): &(String, Dataset)| {
            Ok(DatasetHash { name: name.clone(), sha256: dataset.sha256()? })
        };
        let of_work = self.work.iter().flat_map(|work| &work.notes);
        let environment = Environment::new(
            devices,
            planned,
            shard,
            identities(self.config, &self.subjects)?,
            self.datasets.iter().map(hash).collect::<Result<_>>()?,
            left_out(self.config, &self.work),
            self.missing.iter().chain(&self.notes).chain(of_work).cloned().collect(),
        );
        let samples = self.work.iter().map(|work| self.count(work)).collect();
        Ok(Environment { samples, ..environment })
    }

    fn count(&self, work: &Work) -> SampleCount {
        let (model, task) = (self.config.models[work.model].name.clone(), work.task.name.clone());
        SampleCount { model, task, samples: work.samples.len() }
    }
}

/// Chooses the samples of every task in every model's tokens, and parses them in parallel.
fn work<'a>(
    config: &'a Config,
    subjects: &[Box<dyn Subject>],
    datasets: &[(String, Dataset)],
) -> Result<Vec<Work<'a>>> {
    let units: HashSet<Unit> =
        config.encodings.iter().flat_map(|encoding| encoding.spec.units().iter().copied()).collect();
    let mut all = Vec::new();
    for (model, subject) in subjects.iter().enumerate() {
        let model_name = &config.models[model].name;
        for task in &config.tasks {
            // A suite may lack some of its data.
            let Some((_, dataset)) = datasets.iter().find(|(name, _)| *name == task.dataset) else {
                continue;
            };
            let is_prose = dataset.manifest.text_kind == TextKind::Prose;
            let selection = match task.task.samples(&dataset.with_ids(&task.ids), subject.text(), config.seed)
            {
                // A model of a suite may lack what a task asks by: markers of a gap, a chat template.
                Err(e) if config.suite && e.kind == ErrorKind::Tokenizer => {
                    let fix = e.fix.map_or(String::new(), |fix| format!("; {fix}"));
                    let note =
                        format!("task \"{}\", model \"{model_name}\": not run: {}{fix}", task.name, e.what);
                    note!("{note}");
                    let (samples, left_out) = (Vec::new(), Vec::new());
                    all.push(Work { model, task, is_prose, samples, left_out, notes: vec![note] });
                    continue;
                }
                found => found.map_err(|e| e.at(format_args!("task \"{}\"", task.name)))?,
            };
            refuse_beyond(&**subject, task, &selection.samples)
                .map_err(|e| e.at(format_args!("task \"{}\", model \"{model_name}\"", task.name)))?;
            let parse = |(sample, rank): (Sample, usize)| {
                let sha256 = sha256(sample.text.as_bytes());
                let draw = Draw { seed: config.seed, hash: &sha256 };
                let found = |unit: Unit| sample_segments(&sample, in_text(unit, is_prose), draw);
                let segments = units.iter().map(|&unit| (unit, found(unit))).collect();
                WorkSample { sample, sha256, segments, rank, alike: None }
            };
            let mut of_bucket = HashMap::new();
            let ranked = selection.samples.into_iter().map(|sample| {
                let next = of_bucket.entry(sample.bucket).or_insert(0);
                *next += 1;
                (sample, *next - 1)
            });
            let samples: Vec<WorkSample> = ranked.collect::<Vec<_>>().into_par_iter().map(parse).collect();
            let note = |note: String| format!("task \"{}\", model \"{model_name}\": {note}", task.name);
            let without_units = without_units(&samples, config, dataset.manifest.text_kind);
            let notes = selection.notes.into_iter().chain(without_units);
            let notes: Vec<String> = notes.map(note).collect();
            notes.iter().for_each(|note| note!("{note}"));
            all.push(Work { model, task, is_prose, samples, left_out: selection.left_out, notes });
        }
    }
    Ok(all)
}

/// Refuses a task that needs what a model cannot give.
///
/// # Errors
/// [`ErrorKind::Model`].
fn refuse_beyond(subject: &dyn Subject, task: &TaskEntry, samples: &[Sample]) -> Result<()> {
    let asked = || samples.iter().flat_map(Sample::asked);
    let needs = match task.task.ask() {
        Ask::Score => {
            [Need::Losses].into_iter().chain(task.task.wants_details().then_some(Need::Details)).collect()
        }
        Ask::Generate(_) => {
            let new = if asked().all(|sample| sample.message.is_some()) { Need::Chat } else { Need::Text };
            let candidates = asked().any(|sample| !sample.candidates.is_empty());
            [new].into_iter().chain(candidates.then_some(Need::Candidates)).collect::<Vec<_>>()
        }
    };
    match needs.into_iter().find_map(|need| subject.refusal(need)) {
        None => Ok(()),
        Some(why) => {
            Err(Error::new(ErrorKind::Model, why).fix("take the task or the model out of the config"))
        }
    }
}

/// What to say of each data set.
fn notes_of_data(datasets: &[(String, Dataset)]) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for (name, dataset) in datasets {
        notes.extend(dataset.notes()?.into_iter().map(|note| format!("data set \"{name}\": {note}")));
    }
    Ok(notes)
}

/// Why a text that should be divided by its functions or statements is divided by tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Undivided {
    /// Its language is not supported.
    Language,
    /// Its parse was given up.
    GivenUp,
    /// It has no such unit.
    NoUnit,
}

impl Undivided {
    fn of(one: &WorkSample) -> Option<Undivided> {
        let mut undivided = one.segments.iter().filter(|(unit, found)| **unit != found.unit);
        let needs_tree = undivided.clone().any(|(unit, _)| unit.needs_tree());
        match one.sample.language {
            _ if undivided.next().is_none() => None,
            _ if !needs_tree => Some(Undivided::NoUnit),
            None => Some(Undivided::Language),
            Some(_) if is_given_up(&source(&one.sample)) => Some(Undivided::GivenUp),
            Some(_) => Some(Undivided::NoUnit),
        }
    }

    /// What is the matter with these samples, and what can be done.
    fn words(self, of_what: TextKind) -> (&'static str, &'static str) {
        match (self, of_what) {
            (Undivided::Language, TextKind::Prose) => ("are prose, which has no functions", ""),
            (Undivided::Language, TextKind::Code) => (
                "are in no language that is known here",
                ": write language = \"python\" into the data set's manifest, or a field `language` into its records",
            ),
            (Undivided::GivenUp, _) => ("take far more parsing than sources do", ""),
            (Undivided::NoUnit, _) => ("have none of the requested units", ""),
        }
    }
}

/// What to say of samples whose text is divided by tokens, though an encoding asks for another unit.
fn without_units(samples: &[WorkSample], config: &Config, of_what: TextKind) -> Vec<String> {
    let why: Vec<Undivided> = samples.par_iter().filter_map(Undivided::of).collect();
    let names: Vec<&str> = config
        .encodings
        .iter()
        .filter(|encoding| encoding.spec.units().iter().any(|unit| unit.may_be_missing()))
        .map(|entry| &entry.name[..])
        .collect();
    [Undivided::Language, Undivided::GivenUp, Undivided::NoUnit]
        .into_iter()
        .filter_map(|kind| {
            let count = why.iter().filter(|why| **why == kind).count();
            let (what, fix) = kind.words(of_what);
            (count > 0).then(|| {
                format!(
                    "{count} of {} samples {what}, so that {} divide{} them by {}{fix}",
                    samples.len(),
                    listed(&names),
                    if names.len() == 1 { "s" } else { "" },
                    if kind == Undivided::Language && of_what == TextKind::Prose {
                        Unit::PARAGRAPH
                    } else {
                        Unit::FALLBACK
                    },
                )
            })
        })
        .collect()
}

/// The first names of a list, and how many more there are.
fn listed(names: &[&str]) -> String {
    const NAMED: usize = 4;
    let first: Vec<_> = names[..names.len().min(NAMED)].iter().map(|name| in_list(name)).collect();
    let first = first.join(", ");
    match names.len().checked_sub(NAMED + 1) {
        None => first,
        Some(more) => format!("{first} and {} more", more + 1),
    }
}

/// Tokens of the longest sequence of a model's work, including all that may be generated.
fn longest(model: usize, work: &[Work]) -> usize {
    let of_model = work.iter().filter(|work| work.model == model);
    of_model
        .filter_map(|work| work.samples.iter().map(|one| longest_of(work.task, &one.sample)).max())
        .max()
        .unwrap_or(1)
}

/// Tokens of a sample's longest sequence, including all that may be generated.
fn longest_of(task: &TaskEntry, sample: &Sample) -> usize {
    let longest = sample.asked().map(|asked| asked.tokens.ids.len()).max().unwrap_or(0);
    longest + task.task.ask().room(sample).unwrap_or(0)
}

/// Refuses a sample that an encoding has no positions for.
fn covers(task: &TaskEntry, one: &WorkSample, encoding: &EncodingEntry) -> Result<()> {
    let room = task.task.ask().room(&one.sample).unwrap_or(0);
    let place =
        || format!("task \"{}\": encoding \"{}\": sample \"{}\"", task.name, encoding.name, one.sample.id);
    let covers = |(number, asked): (usize, &Sample)| {
        // Asked otherwise it is another text under the same hash.
        let is_whole = number == 0;
        encoding.spec.covers(&one.sha256, asked.tokens.ids.len(), room, is_whole)
    };
    one.sample.asked().enumerate().try_for_each(covers).map_err(|e| e.at(place()))
}

/// The records that became no samples; the first few are named on stderr, all go into the results.
fn left_out(config: &Config, work: &[Work]) -> Vec<LeftOutRecord> {
    const NAMED: usize = 5;
    let mut all = Vec::new();
    for work in work {
        for LeftOut { record, why } in work.left_out.iter().take(NAMED) {
            note!("task \"{}\": {record} is left out: {why}", work.task.name);
        }
        if let Some(more) = work.left_out.len().checked_sub(NAMED + 1) {
            note!("task \"{}\": {} more are left out, see environment.json", work.task.name, more + 1);
        }
        all.extend(work.left_out.iter().map(|left_out| LeftOutRecord {
            model: config.models[work.model].name.clone(),
            task: work.task.name.clone(),
            left_out: left_out.clone(),
        }));
    }
    all
}
