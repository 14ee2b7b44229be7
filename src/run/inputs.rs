//! What a run reads; it is found, opened and checked before any work starts.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::evaluate;
use crate::checkpoint::Checkpoint;
use crate::config::{Config, EncodingEntry, ModelEntry};
use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result, all_or_errors};
use crate::kernels::Precision;
use crate::provenance::ModelHash;
use crate::subject::{LocalModel, ServedModel, Subject, Subjects};

/// What a config names, in its order.
pub(super) struct Inputs {
    /// Each model's directory.
    pub(super) models: Vec<PathBuf>,
    /// Each data set once, by its name in the config.
    pub(super) datasets: Vec<(String, Dataset)>,
    /// Each evaluator once, by its name in the config.
    pub(super) evaluators: Vec<(String, PathBuf)>,
    /// For a suite: what is not run because its data are missing, and how to get them.
    pub(super) missing: Vec<String>,
}

/// Finds all inputs of a config, or names all that are not there.
pub(super) fn find_inputs(config: &Config) -> Result<Inputs> {
    let models = all_or_errors(config.models.iter().map(|entry| config.find_model(entry)));
    let mut seen = HashSet::new();
    let tasks = config.tasks.iter().filter(|task| seen.insert(&task.dataset));
    let mut missing = Vec::new();
    let datasets = all_or_errors(tasks.filter_map(|task| {
        let at_task = |e: Error| e.at(format_args!("task \"{}\"", task.name));
        match Dataset::find(&task.dataset, &config.search) {
            Ok(Err(e)) if config.suite || config.skips_missing_data => {
                missing.push(not_run(&task.name, e));
                None
            }
            Ok(found) => Some(found.map_err(at_task).map(|dataset| (task.dataset.clone(), dataset))),
            Err(e) => Some(Err(at_task(e))),
        }
    }));
    let evaluators = all_or_errors(evaluate::names(config).into_iter().map(|name| {
        let found = config.find_model(&evaluator_entry(name)).map_err(|e| e.at_key("key_tokens.model"))?;
        Ok((name.to_string(), found))
    }));
    let models = match (models, evaluators) {
        (Ok(models), Ok(evaluators)) => Ok((models, evaluators)),
        (Err(models), Err(evaluators)) => Err(models.and(evaluators)),
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match (models, datasets) {
        (Ok(_), Ok(datasets)) if datasets.is_empty() => {
            Err(Error::new(ErrorKind::Dataset, format!("nothing to run: {}", missing.join("; ")))
                .at("[[task]]")
                .fix("get the data of at least one task"))
        }
        (Ok((models, evaluators)), Ok(datasets)) => Ok(Inputs { models, datasets, evaluators, missing }),
        (Err(models), Err(datasets)) => Err(models.and(datasets)),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// What to say of a suite's task whose data are missing.
fn not_run(task: &str, missing: Error) -> String {
    let how = missing.fix.map_or(String::new(), |fix| format!("; to get them: {fix}"));
    format!("task \"{task}\" is not run: {}{how}", missing.what)
}

/// Opens every model, and checks every encoding against it. Also gives what a reader of the figures must know about
/// models and encodings.
pub(super) fn open_subjects(config: &Config, directories: &[PathBuf]) -> Result<(Subjects, Vec<String>)> {
    let mut notes = Vec::new();
    let mut subjects: Subjects = Vec::new();
    for (entry, directory) in config.models.iter().zip(directories) {
        let name = &entry.name;
        let subject = open_subject(entry, directory).map_err(|e| match entry.served {
            Some(_) => e.at(format_args!("model \"{name}\"")),
            None => e,
        })?;
        notes.extend(subject.notes().into_iter().map(|note| format!("model \"{name}\": {note}")));
        for encoding in &rows_of(config, entry, &*subject)? {
            let place = format!("encoding \"{}\", model \"{name}\"", encoding.name);
            let of_encoding = subject.check(&encoding.spec).map_err(|e| {
                e.at(format_args!("encoding \"{}\"", encoding.name)).at(format_args!("model \"{name}\""))
            })?;
            notes.extend(of_encoding.into_iter().map(|note| format!("{place}: {note}")));
        }
        notes.extend(rows_left_out(config, entry).map(|note| format!("model \"{name}\": {note}")));
        subjects.push(subject);
    }
    Ok((subjects, notes))
}

/// The encodings that a model is run under, with nothing in them that is relative to its trained length.
///
/// # Errors
/// [`ErrorKind::Encoding`], naming encoding, model and key.
pub(super) fn rows_of(
    config: &Config,
    model: &ModelEntry,
    subject: &dyn Subject,
) -> Result<Vec<EncodingEntry>> {
    let at_model = |e: Error| e.at(format_args!("model \"{}\"", model.name));
    let own = config.encodings.iter().filter(|entry| entry.is_for(model));
    own.map(|entry| entry.at(subject.trained_length()).map_err(at_model)).collect()
}

/// An evaluator as a model of a config.
fn evaluator_entry(path: &str) -> ModelEntry {
    let (name, path, precision) = (path.to_string(), path.to_string(), Precision::default());
    ModelEntry { name, path, obtain: None, precision, served: None }
}

/// Opens evaluators, whose weights are checked by the headers of their files.
pub(super) fn open_evaluators(found: Vec<(String, PathBuf)>) -> Result<Vec<(String, LocalModel)>> {
    let open = |(name, path): (String, PathBuf)| {
        Ok((name, LocalModel::new(Checkpoint::open(&path)?, Precision::default())?))
    };
    found.into_iter().map(open).collect()
}

/// Opens a model; the weights of a local one are checked by the headers of their files.
fn open_subject(entry: &ModelEntry, path: &Path) -> Result<Box<dyn Subject>> {
    match &entry.served {
        Some(served) => Ok(Box::new(ServedModel::open(served, path)?)),
        None => Ok(Box::new(LocalModel::new(Checkpoint::open(path)?, entry.precision)?)),
    }
}

/// What to say of rows that a model does not have, though `models` of the row names it.
fn rows_left_out(config: &Config, model: &ModelEntry) -> Option<String> {
    const NAMED: usize = 4;
    let out = config.encodings.iter().filter(|row| row.names(model) && !row.is_for(model));
    let names: Vec<&str> = out.map(|encoding| &encoding.name[..]).collect();
    let more =
        names.len().checked_sub(NAMED + 1).map_or(String::new(), |more| format!(" and {} more", more + 1));
    let named = names[..names.len().min(NAMED)].join(", ");
    let why = if model.served.is_some() { "its encoding is its server's" } else { "it is not served" };
    (!names.is_empty()).then(|| format!("left out for it: {named}{more}, as {why}"))
}

/// What the results record of each model.
pub(super) fn identities(config: &Config, subjects: &[Box<dyn Subject>]) -> Result<Vec<ModelHash>> {
    config.models.iter().zip(subjects).map(|(entry, subject)| subject.identity(&entry.name)).collect()
}
