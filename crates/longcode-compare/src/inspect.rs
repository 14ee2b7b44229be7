//! inspect_ai: its logs as JSON (`--log-format json`), one a task and model.
//!
//! Read as version 2 of the format. A sample's value is what inspect_ai's `value_to_float` makes of it; that of several
//! epochs is their mean. A scorer that gives several values makes a figure of each.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files;
use longcode_base::hash::sha256;
use longcode_base::limits::HARNESS_LOG_BYTES;
use serde::Deserialize;
use serde_json::Value;

use crate::side::{Sample, Side};

/// The version of the format that this reads.
const VERSION: i64 = 2;

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    version: Option<i64>,
    #[serde(default)]
    status: Option<String>,
    eval: Eval,
    #[serde(default)]
    samples: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Eval {
    task: String,
    model: String,
    #[serde(default)]
    created: String,
    #[serde(default)]
    config: Config,
    #[serde(default)]
    packages: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    epochs: Option<usize>,
    #[serde(default)]
    epochs_reducer: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct OneSample {
    id: Value,
    #[serde(default)]
    input: Value,
    #[serde(default)]
    target: Value,
    #[serde(default)]
    scores: Option<BTreeMap<String, Score>>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Score {
    value: Value,
}

/// The logs in a directory.
pub fn files_of(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths
}

/// Reads a log, or all of a directory: of one model, and the newest of each task.
///
/// # Errors
/// [`ErrorKind::Results`] if a log cannot be read, none has a score, or they are of several models.
pub fn read(path: &Path) -> Result<Side> {
    let mut logs = Vec::new();
    let mut notes = Vec::new();
    if path.is_dir() {
        for file in files_of(path) {
            match read_log(&file) {
                Ok(log) => logs.push((file, log)),
                Err(error) => notes.push(format!("left out: {}: {}", name(&file), error.what)),
            }
        }
    } else {
        logs.push((path.to_path_buf(), read_log(path)?));
    }
    let mut side = Side { notes, ..side_of(&logs, path)? };
    let mut newest: BTreeMap<String, (PathBuf, Log)> = BTreeMap::new();
    for (file, log) in logs {
        let known = newest.get(&log.eval.task);
        if known.is_some() {
            side.notes.push(format!("task {}: several logs, of which the newest counts", log.eval.task));
        }
        if known.is_none_or(|(_, known)| known.eval.created < log.eval.created) {
            newest.insert(log.eval.task.clone(), (file, log));
        }
    }
    for (file, log) in newest.into_values() {
        add(log, &name(&file), &mut side);
    }
    if side.figures.is_empty() {
        let mut what = "no log of inspect_ai with a score".to_string();
        side.notes.first().iter().for_each(|note| what = format!("{what}: {note}"));
        return Err(Error::new(ErrorKind::Results, what)
            .in_file(path)
            .fix("give a log that `inspect eval` finished and wrote with --log-format json"));
    }
    Ok(side)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_log(path: &Path) -> Result<Log> {
    let wrong = |what: String| Error::new(ErrorKind::Results, what).in_file(path);
    if path.extension().is_some_and(|extension| extension == "eval") {
        let what = "an inspect_ai log in its binary form".to_string();
        return Err(wrong(what).fix("write it as JSON: inspect log convert --to json --output-dir DIR LOG"));
    }
    let file = files::open(path).map_err(|e| files::unreadable(path, ErrorKind::Results, &e))?;
    if file.metadata().map_or(0, |metadata| metadata.len()) > HARNESS_LOG_BYTES {
        return Err(files::too_large(ErrorKind::Results, HARNESS_LOG_BYTES).in_file(path));
    }
    serde_json::from_reader(BufReader::new(file)).map_err(|e| {
        wrong(format!("not a JSON log of inspect_ai: {e}"))
            .fix("give a log that `inspect eval --log-format json` wrote, or a samples_*.jsonl of lm-evaluation-harness")
    })
}

/// The side that logs belong to, still without figures.
fn side_of(logs: &[(PathBuf, Log)], path: &Path) -> Result<Side> {
    let mut models: Vec<&str> = logs.iter().map(|(_, log)| &log.eval.model[..]).collect();
    models.sort_unstable();
    models.dedup();
    if models.len() > 1 {
        let what = format!("logs of several models: {}", models.join(", "));
        return Err(Error::new(ErrorKind::Results, what).in_file(path).fix("give the log of one model"));
    }
    let package = |log: &Log| log.eval.packages.get("inspect_ai").cloned();
    let version = logs.iter().find_map(|(_, log)| package(log));
    Ok(Side {
        stored_by: version
            .map_or("inspect_ai, of an unknown version".into(), |version| format!("inspect_ai {version}")),
        ..Side::new(models.first().copied().unwrap_or_default())
    })
}

/// Adds a log's scores.
fn add(log: Log, file: &str, side: &mut Side) {
    side.notes.extend(doubts(&log, file));
    let task = &log.eval.task;
    let mut wrong = (0, None);
    // By figure and sample: the sum over its epochs, and their number.
    let mut sums: BTreeMap<(String, String), (f64, f64)> = BTreeMap::new();
    let mut without: Vec<(String, String)> = Vec::new();
    let mut failed: Vec<String> = Vec::new();
    for value in log.samples.into_iter().flatten() {
        let sample = match OneSample::deserialize(value) {
            Ok(sample) => sample,
            Err(e) => {
                wrong.0 += 1;
                wrong.1.get_or_insert_with(|| e.to_string());
                continue;
            }
        };
        let id = sample.id.as_str().map_or_else(|| sample.id.to_string(), String::from);
        let record = sha256(format!("{}\n{}", sample.input, sample.target).as_bytes());
        let known = Sample { record: Some(record), ..Sample::default() };
        side.samples.entry((task.clone(), id.clone())).or_insert(known);
        if sample.error.is_some() || sample.scores.as_ref().is_none_or(BTreeMap::is_empty) {
            failed.push(id);
            continue;
        }
        for (metric, value) in
            sample.scores.iter().flatten().flat_map(|(scorer, score)| figures(scorer, &score.value))
        {
            match value {
                Some(value) => {
                    let sum = sums.entry((metric, id.clone())).or_default();
                    *sum = (sum.0 + value, sum.1 + 1.0);
                }
                None => without.push((metric, id.clone())),
            }
        }
    }
    for ((metric, id), (sum, count)) in sums {
        side.figure(task, &metric).put(&id, (sum / count, 1.0));
    }
    without.iter().for_each(|(metric, id)| side.figure(task, metric).lacks(id));
    for figure in side.figures.iter_mut().filter(|figure| figure.task == *task) {
        failed.iter().for_each(|id| figure.lacks(id));
    }
    if let (count, Some(first)) = wrong {
        side.notes.push(format!("{file}: {count} samples are left out, the first because: {first}"));
    }
}

/// What is doubtful about a log.
fn doubts(log: &Log, file: &str) -> Vec<String> {
    let mut doubts = Vec::new();
    if log.version != Some(VERSION) {
        let version = log.version.map_or("none".into(), |version| version.to_string());
        doubts.push(format!("{file}: its format has version {version}; it is read as version {VERSION}"));
    }
    if let Some(status) = log.status.as_ref().filter(|status| *status != "success") {
        doubts.push(format!("{file}: its status is \"{status}\": samples may be missing"));
    }
    if log.samples.is_none() {
        doubts.push(format!("{file}: it has no samples"));
    }
    let other = log.eval.config.epochs_reducer.iter().flatten().find(|reducer| *reducer != "mean");
    if let (Some(reducer), Some(2..)) = (other, log.eval.config.epochs) {
        doubts.push(format!("{file}: its epochs are reduced by \"{reducer}\"; here by their mean"));
    }
    doubts
}

/// The figures of a score, each with its value; none of what is not a number.
fn figures(scorer: &str, value: &Value) -> Vec<(String, Option<f64>)> {
    match value {
        Value::Object(parts) => {
            parts.iter().map(|(key, value)| (format!("{scorer}.{key}"), number(value))).collect()
        }
        Value::Array(parts) => {
            parts.iter().enumerate().map(|(n, value)| (format!("{scorer}.{n}"), number(value))).collect()
        }
        value => vec![(scorer.into(), number(value))],
    }
}

/// As inspect_ai's `value_to_float`: letters for correct, partly correct, incorrect and no answer, words for yes and no.
/// What it takes for 0 with a warning has no value here.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match &text[..] {
            "C" => Some(1.0),
            "P" => Some(0.5),
            "I" | "N" => Some(0.0),
            text => match &text.to_lowercase()[..] {
                "yes" | "true" => Some(1.0),
                "no" | "false" => Some(0.0),
                text => text.parse().ok().filter(|value: &f64| value.is_finite()),
            },
        },
        _ => None,
    }
}
