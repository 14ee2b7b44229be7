//! lm-evaluation-harness: `samples_TASK_DATE.jsonl`, a line a sample and filter, with `results_DATE.json` beside it.
//!
//! Read as 0.4.13 writes them. Lines of older versions have no `filter`, `metrics` or hashes: fields that are numbers
//! are their figures then.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files;
use longcode_base::limits::STORED_LINE;
use longcode_stats::{Pair, Scale};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::side::{Higher, Sample, Side};

/// Fields that no figure is made of, in lines without a list of their metrics.
const NOT_FIGURES: [&str; 12] = [
    "doc_id",
    "doc",
    "target",
    "arguments",
    "resps",
    "filtered_resps",
    "filter",
    "metrics",
    "doc_hash",
    "prompt_hash",
    "target_hash",
    "failed",
];

/// Whether a directory holds such files.
pub fn is_directory_of(dir: &Path) -> bool {
    !files_of(dir).is_empty()
}

/// Reads a `samples_*.jsonl`, or the newest one of each task of a directory.
///
/// # Errors
/// [`ErrorKind::Results`] if a file cannot be read, or none has a sample.
pub fn read(path: &Path) -> Result<Side> {
    let mut side = Side::new(name_of(path));
    let found =
        if path.is_dir() { newest(files_of(path), &mut side.notes) } else { vec![NamedFile::of(path)] };
    let mut about = About::default();
    for file in &found {
        about.read_beside(file);
        read_file(file, &mut side)?;
    }
    if side.figures.is_empty() {
        let mut error =
            Error::new(ErrorKind::Results, "no sample of lm-evaluation-harness with a figure").in_file(path);
        if let Some(note) = side.notes.first() {
            error.what = format!("{}: {note}", error.what);
        }
        return Err(error.fix("give a samples_*.jsonl that --log_samples wrote, or the directory it is in"));
    }
    about.apply(&mut side);
    Ok(side)
}

/// A file of samples: its task and date.
#[derive(Debug, Clone)]
struct NamedFile {
    path: PathBuf,
    task: String,
    date: String,
}

impl NamedFile {
    /// `samples_TASK_DATE.jsonl`; the whole name is the task if it is not of that form.
    fn of(path: &Path) -> NamedFile {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let named = stem.strip_prefix("samples_").and_then(|rest| rest.rsplit_once('_'));
        let (task, date) = match named {
            Some((task, date)) if date.starts_with(|c: char| c.is_ascii_digit()) || date == "undated" => {
                (task, date)
            }
            _ => (&stem[..], ""),
        };
        NamedFile { path: path.to_path_buf(), task: task.into(), date: date.into() }
    }
}

fn name_of(path: &Path) -> String {
    let dir = if path.is_dir() { Some(path) } else { path.parent() };
    let name = dir.and_then(Path::file_name).unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

fn files_of(dir: &Path) -> Vec<NamedFile> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("samples_") && name.ends_with(".jsonl")
    });
    paths.sort();
    paths.iter().map(|path| NamedFile::of(path)).collect()
}

/// The newest file of each task.
fn newest(files: Vec<NamedFile>, notes: &mut Vec<String>) -> Vec<NamedFile> {
    let all = files.len();
    let mut newest: BTreeMap<String, NamedFile> = BTreeMap::new();
    for file in files {
        let known = newest.get(&file.task);
        if known.is_none_or(|known| known.date < file.date) {
            newest.insert(file.task.clone(), file);
        }
    }
    if newest.len() < all {
        notes.push(format!("{} files of older runs of the same tasks are left out", all - newest.len()));
    }
    newest.into_values().collect()
}

/// What `results_DATE.json` says.
#[derive(Debug, Default)]
struct About {
    model: Option<String>,
    version: Option<String>,
    /// By task and metric.
    higher: BTreeMap<(String, String), bool>,
}

#[derive(Deserialize)]
struct ResultsFile {
    #[serde(default)]
    model_name: Option<String>,
    #[serde(default)]
    model_source: Option<String>,
    #[serde(default)]
    lm_eval_version: Option<String>,
    #[serde(default)]
    higher_is_better: BTreeMap<String, BTreeMap<String, Value>>,
}

impl About {
    /// Without such a file, or one of another form, names are those of the directory.
    fn read_beside(&mut self, file: &NamedFile) {
        let path = file.path.with_file_name(format!("results_{}.json", file.date));
        let text = path.is_file().then(|| files::read_text(&path, ErrorKind::Results).ok()).flatten();
        let Some(found) = text.and_then(|text| serde_json::from_str::<ResultsFile>(&text).ok()) else {
            return;
        };
        self.model = found.model_name.or(self.model.take());
        let by_longcode = found.model_source.is_some_and(|source| source == "longcode");
        let version = found.lm_eval_version.map(|version| format!("lm-evaluation-harness {version}"));
        self.version = by_longcode.then(|| "longcode, in lm-evaluation-harness's form".into()).or(version);
        for (task, metrics) in found.higher_is_better {
            for (metric, higher) in metrics {
                if let Some(higher) = higher.as_bool() {
                    self.higher.insert((task.clone(), metric), higher);
                }
            }
        }
    }

    fn apply(self, side: &mut Side) {
        side.name = self.model.filter(|name| !name.is_empty()).unwrap_or(std::mem::take(&mut side.name));
        side.stored_by =
            self.version.unwrap_or_else(|| "lm-evaluation-harness, of an unknown version".into());
        for figure in &mut side.figures {
            let metric = figure.metric.split(',').next().unwrap_or_default();
            let known = self.higher.get(&(figure.task.clone(), metric.to_string()));
            figure.better = known.map(|&higher| Higher(higher));
        }
    }
}

/// What could not be read of a file.
#[derive(Default)]
struct Faults {
    lines: usize,
    first: Option<String>,
    repeated: usize,
    without_metrics: usize,
}

impl Faults {
    fn add(&mut self, number: usize, what: impl std::fmt::Display) {
        self.lines += 1;
        self.first.get_or_insert_with(|| format!("line {number}: {what}"));
    }

    fn notes(self, file: &NamedFile) -> Vec<String> {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut notes = Vec::new();
        if let Some(first) = self.first {
            notes.push(format!("{name}: {} lines are left out, the first at {first}", self.lines));
        }
        if self.repeated > 0 {
            notes.push(format!(
                "{name}: {} samples stand there more than once: the first counts",
                self.repeated
            ));
        }
        if self.without_metrics > 0 {
            notes.push(format!(
                "{name}: {} lines do not list their metrics, as older versions wrote: every field that is a number is a figure",
                self.without_metrics
            ));
        }
        notes
    }
}

fn read_file(file: &NamedFile, side: &mut Side) -> Result<()> {
    let open = files::open(&file.path).map_err(|e| files::unreadable(&file.path, ErrorKind::Results, &e))?;
    let mut lines = Lines { reader: BufReader::new(open), number: 0 };
    let mut faults = Faults::default();
    let mut read = Vec::new();
    while let Some(line) = lines.next(&file.path)? {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice::<Map<String, Value>>(&line) {
            Err(e) => faults.add(lines.number, format_args!("not a JSON object: {e}")),
            Ok(fields) => match Line::of(fields) {
                Some(line) => read.push(line),
                None => faults.add(lines.number, "no `doc_id`"),
            },
        }
    }
    let mut filters: Vec<&str> = read.iter().map(|line| &line.filter[..]).collect();
    filters.sort_unstable();
    filters.dedup();
    let several = filters.len() > 1;
    for line in &read {
        line.add(&file.task, several, side, &mut faults);
    }
    side.notes.extend(faults.notes(file));
    Ok(())
}

/// A file's lines, none longer than [`STORED_LINE`].
struct Lines {
    reader: BufReader<File>,
    number: usize,
}

impl Lines {
    fn next(&mut self, path: &Path) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(STORED_LINE as u64 + 1).read_until(b'\n', &mut line);
        self.number += 1;
        match read {
            Err(e) => Err(files::unreadable(path, ErrorKind::Results, &e)),
            Ok(0) => Ok(None),
            Ok(read) if read > STORED_LINE => {
                let what = format!("line {} has more than {STORED_LINE} bytes", self.number);
                Err(Error::new(ErrorKind::Results, what).in_file(path).fix("give a samples_*.jsonl"))
            }
            Ok(_) => Ok(Some(line)),
        }
    }
}

/// A line, of which only what is compared is kept.
struct Line {
    id: String,
    filter: String,
    sample: Sample,
    /// By metric.
    values: Vec<(String, Value)>,
    lists_metrics: bool,
}

impl Line {
    /// None without a `doc_id`.
    fn of(mut fields: Map<String, Value>) -> Option<Line> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
        let doc = fields.remove("doc");
        // Our own reports write lines whose document names the sample, and its bucket.
        let of_doc = |key: &str| doc.as_ref().and_then(|doc| doc.get(key)?.as_str());
        let (id, stratum) = match (of_doc("sample"), of_doc("bucket")) {
            (Some(sample), Some(bucket)) => (sample.into(), bucket),
            _ => (text(fields.get("doc_id").filter(|id| !id.is_null())?), ""),
        };
        let hash = |key: &str| fields.get(key).and_then(Value::as_str).map(String::from);
        let sample =
            Sample { stratum: stratum.into(), record: hash("doc_hash"), prompt: hash("prompt_hash") };
        let filter = fields.get("filter").map_or_else(|| "none".into(), text);
        let listed = fields.get("metrics").and_then(Value::as_array).cloned();
        let values = match &listed {
            Some(names) => names
                .iter()
                .filter_map(Value::as_str)
                .map(|name| (name.to_string(), fields.get(name).cloned().unwrap_or(Value::Null)))
                .collect(),
            None => fields
                .into_iter()
                .filter(|(key, value)| !NOT_FIGURES.contains(&&key[..]) && pair(key, value).is_some())
                .collect(),
        };
        Some(Line { id, filter, sample, values, lists_metrics: listed.is_some() })
    }

    fn add(&self, task: &str, several_filters: bool, side: &mut Side, faults: &mut Faults) {
        faults.without_metrics += usize::from(!self.lists_metrics);
        side.samples.entry((task.into(), self.id.clone())).or_insert_with(|| self.sample.clone());
        let mut repeated = false;
        for (metric, value) in &self.values {
            let name = if several_filters { format!("{metric},{}", self.filter) } else { metric.clone() };
            let figure = side.figure(task, &name);
            if figure.values.contains_key(&self.id) {
                repeated = true;
                continue;
            }
            match pair(metric, value) {
                Some((pair, scale)) => {
                    figure.scale = figure.scale.or(scale);
                    figure.put(&self.id, pair);
                }
                None => figure.lacks(&self.id),
            }
        }
        faults.repeated += usize::from(repeated);
    }
}

/// A sample's part in a figure: a number, or a log-likelihood and its weight; none of anything else.
fn pair(metric: &str, value: &Value) -> Option<(Pair, Option<Scale>)> {
    match value {
        Value::Bool(hit) => Some(((f64::from(u8::from(*hit)), 1.0), None)),
        Value::Number(number) => Some(((number.as_f64()?, 1.0), None)),
        Value::Array(two) => {
            let [sum, weight] = &two[..] else { return None };
            let (sum, weight) = (-sum.as_f64()?, weight.as_f64()?);
            match metric {
                "word_perplexity" | "byte_perplexity" => Some(((sum, weight), Some(Scale::Exponential))),
                "bits_per_byte" => Some(((sum / std::f64::consts::LN_2, weight), Some(Scale::Plain))),
                _ => None,
            }
        }
        _ => None,
    }
}
