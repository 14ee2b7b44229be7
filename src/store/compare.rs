//! Runs of different configs read as one: rows of all of them on the tasks that they have in common.
//!
//! A task is the same where its kind, its keys but the number of samples, its data and the seed are. A model is the same
//! where its files are, an encoding where its name and its keys are; what has the same name and is something else gets
//! the name of its run behind it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use toml::Table;

use super::{Environment, Results, StoredSample};
use crate::config::{Config, EncodingEntry, ModelEntry, TaskEntry, difference};
use crate::error::{Error, ErrorKind, Result};
use crate::provenance::ModelHash;

/// The key that two tasks may differ in: fewer samples are some of the same ones.
const SAMPLES: &str = "samples";

/// What was compared.
#[derive(Debug, Clone)]
pub struct Compared {
    /// What the runs are called.
    pub runs: Vec<String>,
    /// What each encoding was called in its run, by its number in the config.
    pub encodings: Vec<String>,
}

/// A run on its way to the others.
struct Run {
    dir: PathBuf,
    label: String,
    results: Results,
}

/// Where the models, encodings and tasks of a run stand among those of all, by their numbers.
#[derive(Default)]
struct Numbers {
    models: Vec<usize>,
    encodings: Vec<usize>,
    tasks: Vec<usize>,
}

/// All runs as one; `apart` keeps the models of each run apart, also where they are the same.
///
/// # Errors
/// [`ErrorKind::Results`] for runs that have no task in common, with what differs; for a task of the same name that is
/// another; for one model in several precisions.
pub(super) fn together(runs: Vec<(PathBuf, Results)>, apart: bool) -> Result<Results> {
    if let Some((dir, _)) = runs.iter().find(|(_, run)| run.config.tune.is_some()) {
        let what = "these are the trials of a search, each row on other documents: they cannot be compared";
        return Err(Error::new(ErrorKind::Results, what).in_file(dir).fix("leave this directory out"));
    }
    let labels = labels(&runs.iter().map(|(dir, _)| dir.as_path()).collect::<Vec<_>>());
    let runs: Vec<Run> =
        runs.into_iter().zip(labels).map(|((dir, results), label)| Run { dir, label, results }).collect();
    if !apart {
        refuse_precisions(&runs)?;
    }
    let (tasks, of_tasks) = tasks(&runs)?;
    let (models, hashes, of_models) = models(&runs, apart);
    let (encodings, originals, of_encodings) = encodings(&runs);
    let numbers = of_models.into_iter().zip(of_encodings).zip(of_tasks);
    let numbers: Vec<Numbers> =
        numbers.map(|((models, encodings), tasks)| Numbers { models, encodings, tasks }).collect();
    let compared =
        Compared { runs: runs.iter().map(|run| run.label.clone()).collect(), encodings: originals };
    let first = &runs[0].results;
    let config = Config {
        name: compared.runs.join(", "),
        seed: first.config.seed,
        suite: false,
        paper: first.config.paper,
        models,
        encodings,
        tasks,
        tune: None,
        search: first.config.search.clone(),
        skips_missing_data: false,
        left_out: Vec::new(),
    };
    let environment = environment(&runs, hashes);
    joined(runs, numbers, config, environment, compared)
}

/// The samples of all runs under the numbers of all.
fn joined(
    runs: Vec<Run>,
    numbers: Vec<Numbers>,
    config: Config,
    environment: Environment,
    compared: Compared,
) -> Result<Results> {
    let mut all = Results {
        config,
        environments: vec![environment],
        samples: Vec::new(),
        repeated: 0,
        disagreements: Vec::new(),
        notes: Vec::new(),
        texts: Vec::new(),
        compared: Some(compared),
        sources: super::Sources::default(),
    };
    for (run, numbers) in runs.into_iter().zip(&numbers) {
        let Run { dir, label, results } = run;
        let old = &results.config.tasks;
        let task = |name: &str| old.iter().position(|task| task.name == *name).map(|n| numbers.tasks[n]);
        let texts = results.texts.into_iter().filter_map(|mut text| {
            let number = task(&text.task)?;
            text.task.clone_from(&all.config.tasks[number].name);
            Some(text)
        });
        all.texts.extend(texts.collect::<Vec<_>>());
        all.environments.extend(results.environments);
        all.repeated += results.repeated;
        all.disagreements.extend(results.disagreements);
        all.notes.extend(results.notes.into_iter().map(|note| format!("{label}: {note}")));
        let mut samples: Vec<StoredSample> = results.samples;
        for sample in &mut samples {
            sample.model = numbers.models[sample.model];
            sample.encoding = numbers.encodings[sample.encoding];
            sample.task = numbers.tasks[sample.task];
        }
        all.sources.extend(results.sources, &mut samples);
        all = all.with(samples, &dir)?;
    }
    let repeated = all.repeated;
    all.environments[0].planned = all.environments[0].planned.saturating_sub(repeated).max(all.samples.len());
    Ok(all)
}

/// What runs are called: the last part of their paths, more where two would be the same.
fn labels(dirs: &[&Path]) -> Vec<String> {
    let last = |dir: &&Path, parts: usize| {
        let components: Vec<_> = dir.components().collect();
        let from = components.len().saturating_sub(parts);
        components[from..].iter().collect::<PathBuf>().display().to_string()
    };
    let longest = dirs.iter().map(|dir| dir.components().count()).max().unwrap_or(1);
    let of = |parts: usize| -> Vec<String> { dirs.iter().map(|dir| last(dir, parts)).collect() };
    let differ = |labels: &Vec<String>| labels.iter().enumerate().all(|(n, one)| !labels[..n].contains(one));
    let found = (1..=longest).map(of).find(differ);
    found.unwrap_or_else(|| (1..=dirs.len()).map(|number| format!("run {number}")).collect())
}

/// Refuses one model in several precisions: which of the two a row is of could not be seen.
fn refuse_precisions(runs: &[Run]) -> Result<()> {
    let mut known: HashMap<[&str; 2], (&ModelHash, &Run)> = HashMap::new();
    for run in runs {
        for model in &run.results.environment().models {
            let (first, of) = *known.entry([&model.name, &model.sha256]).or_insert((model, run));
            if first.precision != model.precision {
                let what = format!(
                    "runs that cannot be compared: precision of model \"{}\" is {} in {}, {} in {}",
                    model.name,
                    first.precision,
                    of.dir.display(),
                    model.precision,
                    run.dir.display()
                );
                return Err(Error::new(ErrorKind::Results, what)
                    .in_file(&run.dir)
                    .fix("run both in one precision, or add --apart to see them as two models"));
            }
        }
    }
    Ok(())
}

/// The tasks of all runs, and the number of each run's tasks among them.
fn tasks(runs: &[Run]) -> Result<(Vec<TaskEntry>, Vec<Vec<usize>>)> {
    let mut all: Vec<(&TaskEntry, &Run)> = Vec::new();
    let mut numbers = Vec::new();
    for run in runs {
        let mut of_run = Vec::new();
        let mut shared = 0;
        for task in &run.results.config.tasks {
            let same =
                |&(other, of): &(&TaskEntry, &Run)| task_difference((other, of), (task, run)).is_none();
            let found = all.iter().position(|one| one.0.name == task.name && same(one));
            let found = found.or_else(|| all.iter().position(&same));
            shared += usize::from(found.is_some());
            of_run.push(found.unwrap_or(all.len()));
            if found.is_none() {
                all.push((task, run));
            }
        }
        if shared == 0 && !numbers.is_empty() {
            return Err(nothing_in_common(&all, run));
        }
        numbers.push(of_run);
    }
    let mut names: Vec<String> = Vec::new();
    let entry = |(task, run): &(&TaskEntry, &Run)| {
        let mut task = (*task).clone();
        if names.contains(&task.name) {
            task.name = format!("{} ({})", task.name, run.label);
        }
        names.push(task.name.clone());
        task
    };
    Ok((all.iter().map(entry).collect(), numbers))
}

/// That no task of a run is one of the others', with what differs.
fn nothing_in_common(all: &[(&TaskEntry, &Run)], run: &Run) -> Error {
    let same_name = |task: &&TaskEntry| all.iter().any(|(other, _)| other.name == task.name);
    let tasks = &run.results.config.tasks;
    let task = tasks.iter().find(same_name).or(tasks.first());
    let why = task.and_then(|task| {
        let others = all.iter().filter(|(_, of)| of.label != run.label);
        let named = others.clone().find(|(other, _)| other.name == task.name);
        let alike = others.clone().find(|(other, _)| other.kind == task.kind);
        let &(other, of) = named.or(alike).or(others.clone().next())?;
        Some(format!(": task \"{}\": {}", task.name, task_difference((other, of), (task, run))?))
    });
    let what =
        format!("runs that cannot be compared, as they have no task in common{}", why.unwrap_or_default());
    Error::new(ErrorKind::Results, what)
        .in_file(&run.dir)
        .fix("run the same task with the same data and seed, or report each run by itself with its own --out")
}

/// What differs between two tasks, in words; none where they ask the same.
fn task_difference((one, of): (&TaskEntry, &Run), (other, run): (&TaskEntry, &Run)) -> Option<String> {
    let places = [&of.dir, &run.dir].map(|dir| format!("in {}", dir.display()));
    let words = |what: &str, a: &str, b: &str| Some(format!("{what}: {a} {}, {b} {}", places[0], places[1]));
    if one.kind != other.kind {
        return words("kind", one.kind, other.kind);
    }
    let data = |task: &TaskEntry, run: &Run| {
        let of_all = &run.results.environment().datasets;
        of_all.iter().find(|data| data.name == task.dataset).map(|data| data.sha256.clone())
    };
    if data(one, of) != data(other, run) || (data(one, of).is_none() && one.dataset != other.dataset) {
        let hash = |task: &TaskEntry, run: &Run| {
            let hash = data(task, run).unwrap_or_else(|| "unknown".into());
            format!("{} (sha256 {})", task.dataset, &hash[..hash.len().min(12)])
        };
        return words("data", &hash(one, of), &hash(other, run));
    }
    let [seed, other_seed] = [of, run].map(|run| run.results.config.seed.to_string());
    if seed != other_seed {
        return words("seed", &seed, &other_seed);
    }
    let keys = |task: &TaskEntry| {
        let mut keys: Table = task.keys.clone();
        keys.remove(SAMPLES);
        keys
    };
    let what = difference(keys(one), keys(other), [&places[0], &places[1]])?;
    Some(format!("samples are chosen otherwise, {what}"))
}

/// Names and what they stand for, of which each name is given once: what has the name of another gets its run's label.
struct Names(Vec<String>);

impl Names {
    fn give(&mut self, name: &str, label: &str) -> String {
        let mut names = [name.to_string(), format!("{name} ({label})")]
            .into_iter()
            .chain((2..).map(|n| format!("{name} ({label}, {n})")));
        let given = names.find(|name| !self.0.contains(name)).expect("there is always another number");
        self.0.push(given.clone());
        given
    }
}

/// The models of all runs, what pins them, and the number of each run's models among them.
fn models(runs: &[Run], apart: bool) -> (Vec<ModelEntry>, Vec<ModelHash>, Vec<Vec<usize>>) {
    let (mut entries, mut hashes): (Vec<ModelEntry>, Vec<ModelHash>) = (Vec::new(), Vec::new());
    let mut numbers = Vec::new();
    let all = || runs.iter().flat_map(|run| &run.results.environment().models);
    let ambiguous = |hash: &ModelHash| {
        let is_other = |other: &ModelHash| {
            other.name == hash.name && (&other.sha256, other.precision) != (&hash.sha256, hash.precision)
        };
        apart || all().any(is_other)
    };
    let mut names = Names(Vec::new());
    for run in runs {
        let mut of_run: Vec<usize> = Vec::new();
        for (entry, hash) in run.results.config.models.iter().zip(&run.results.environment().models) {
            // One run may have a model in several precisions.
            let same = |&number: &usize| {
                let other: &ModelHash = &hashes[number];
                (&other.sha256, other.precision) == (&hash.sha256, hash.precision)
                    && !of_run.contains(&number)
            };
            let number = (0..hashes.len()).find(same).filter(|_| !apart).unwrap_or(hashes.len());
            if number == hashes.len() {
                let labelled = format!("{} ({})", hash.name, run.label);
                let name = names.give(if ambiguous(hash) { &labelled } else { &hash.name }, &run.label);
                entries.push(ModelEntry { name: name.clone(), ..entry.clone() });
                hashes.push(ModelHash { name, ..hash.clone() });
            }
            of_run.push(number);
        }
        numbers.push(of_run);
    }
    (entries, hashes, numbers)
}

/// The encodings of all runs, what each was called, and the number of each run's encodings among them.
fn encodings(runs: &[Run]) -> (Vec<EncodingEntry>, Vec<String>, Vec<Vec<usize>>) {
    let mut all: Vec<(EncodingEntry, String)> = Vec::new();
    let mut numbers = Vec::new();
    let same = |one: &EncodingEntry, name: &str, other: &EncodingEntry| {
        name == other.name && one.spec.kind == other.spec.kind && one.spec.keys == other.spec.keys
    };
    let ambiguous = |entry: &EncodingEntry| {
        let others = runs.iter().flat_map(|run| &run.results.config.encodings);
        others.filter(|other| other.name == entry.name).any(|other| !same(other, &other.name, entry))
    };
    let mut names = Names(Vec::new());
    for run in runs {
        let mut of_run = Vec::new();
        for entry in &run.results.config.encodings {
            let known = all.iter().position(|(one, name)| same(one, name, entry));
            of_run.push(known.unwrap_or(all.len()));
            if known.is_none() {
                let labelled = format!("{} ({})", entry.name, run.label);
                let name = names.give(if ambiguous(entry) { &labelled } else { &entry.name }, &run.label);
                let mut renamed = entry.clone();
                renamed.name = name;
                all.push((renamed, entry.name.clone()));
            }
        }
        numbers.push(of_run);
    }
    let (entries, originals) = all.into_iter().unzip();
    (entries, originals, numbers)
}

/// Where all ran: as the first, with the models, data and notes of all.
fn environment(runs: &[Run], models: Vec<ModelHash>) -> Environment {
    let mut all = runs[0].results.environment().clone();
    all.models = models;
    all.shard = None;
    all.planned = runs.iter().map(|run| run.results.environment().planned).sum();
    (all.notes, all.left_out) = (Vec::new(), Vec::new());
    for run in runs {
        let environment = run.results.environment();
        for dataset in &environment.datasets {
            if all.datasets.iter().all(|known| known.name != dataset.name) {
                all.datasets.push(dataset.clone());
            }
        }
        all.notes.extend(environment.notes.iter().map(|note| format!("{}: {note}", run.label)));
        all.left_out.extend(environment.left_out.iter().cloned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_called_by_as_little_as_tells_them_apart() {
        let of = |dirs: &[&str]| labels(&dirs.iter().map(Path::new).collect::<Vec<_>>());
        assert_eq!(of(&["results/a", "results/b"]), ["a", "b"]);
        assert_eq!(of(&["one/nano", "two/nano"]), ["one/nano", "two/nano"]);
        assert_eq!(of(&["a", "a"]), ["run 1", "run 2"]);
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names(Vec::new());
        let given = ["a", "a", "a", "b"].map(|name| names.give(name, "run"));
        assert_eq!(given, ["a", "a (run)", "a (run, 2)", "b"]);
    }
}
