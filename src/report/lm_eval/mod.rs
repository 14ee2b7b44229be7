//! `lm_eval/MODEL_ENCODING/`: the figures and the samples as lm-evaluation-harness writes them, for scripts that read
//! those. There a model has a directory, with files that are named by when they were made; here every model under
//! every encoding is one.

mod samples;

use std::collections::HashMap;
use std::path::Path;

use chrono::DateTime;
use longcode_stats::Estimate;
use serde_json::{Map, Value, json};

use super::pictures::FileNames;
use super::{Report, Row};
use crate::config::{ModelEntry, TaskEntry};
use crate::error::Result;
use crate::files::{make_directory_inside, write_whole};
use crate::task::{Axis, Better, Group};

/// Of the task definitions: longcode's own.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes `lm_eval/MODEL_ENCODING/results_DATE.json` and `samples_TASK_DATE.jsonl` for every model and encoding that
/// has figures. The date is the one that the run began, so that a report made again takes the place of the last.
pub(super) fn write(report: &Report, out: &Path) -> Result<()> {
    let config = &report.results.config;
    let (mut directories, names) = (FileNames::default(), TaskNames::new(report));
    for (m, model) in config.models.iter().enumerate() {
        for (e, encoding) in config.encodings.iter().enumerate() {
            let of = |row: &&Row| {
                row.model == model.name && row.encoding == encoding.name && row.group.axis() == Axis::Samples
            };
            let rows: Vec<&Row> = report.rows.iter().filter(of).collect();
            if !rows.is_empty() {
                let name = directories.unique(&format!("{}_{}", model.name, encoding.name));
                let one = One { report, model: m, encoding: e, rows, names: &names, name };
                one.write(&make_directory_inside(out, &Path::new("lm_eval").join(&one.name))?)?;
            }
        }
    }
    Ok(())
}

/// One model under one encoding.
struct One<'a> {
    report: &'a Report<'a>,
    /// Numbers in the config.
    model: usize,
    encoding: usize,
    /// Its figures over samples; not empty.
    rows: Vec<&'a Row>,
    names: &'a TaskNames<'a>,
    /// Of its directory.
    name: String,
}

impl One<'_> {
    fn write(&self, dir: &Path) -> Result<()> {
        let date = self.date();
        let text = serde_json::to_string_pretty(&self.results()).expect("plain data");
        write_whole(&dir.join(format!("results_{date}.json")), format!("{text}\n").as_bytes())?;
        for (number, task) in self.report.results.config.tasks.iter().enumerate() {
            let lines = samples::lines(self, number)?;
            if !lines.is_empty() {
                let name = format!("samples_{}_{date}.jsonl", self.names.of(&task.name, Group::All));
                write_whole(&dir.join(name), lines.as_bytes())?;
            }
        }
        Ok(())
    }

    /// When the run began, RFC 3339.
    fn started(&self) -> &str {
        &self.report.results.environment().session.started
    }

    /// The same as a part of a file's name.
    fn date(&self) -> String {
        let date = self.started().trim_end_matches('Z').replace(':', "-");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+');
        if date.len() < 64 && date.chars().all(plain) {
            date
        } else {
            // From a file that something else wrote.
            "undated".into()
        }
    }

    fn model(&self) -> &ModelEntry {
        &self.report.results.config.models[self.model]
    }

    fn results(&self) -> Value {
        let mut parts = Parts::default();
        for row in &self.rows {
            parts.add(self.report, self.names, row);
        }
        let of_each = |value: Value| -> Map<String, Value> {
            parts.results.keys().map(|name| (name.clone(), value.clone())).collect()
        };
        let seconds: f64 = samples::of(self).map(|stored| stored.seconds).sum();
        json!({
            "versions": of_each(json!(VERSION)),
            "n-shot": of_each(json!(0)),
            "results": parts.results,
            "group_subtasks": parts.subtasks,
            "configs": parts.configs,
            "higher_is_better": parts.higher_is_better,
            "n-samples": parts.samples,
            "config": self.about_run(),
            "date": DateTime::parse_from_rfc3339(self.started()).map_or(0, |date| date.timestamp()),
            "git_hash": self.report.results.environment().session.git_commit,
            "model_source": "longcode",
            "model_name": self.model().name,
            "model_name_sanitized": self.name,
            "total_evaluation_time_seconds": seconds.to_string(),
        })
    }

    fn model_args(&self) -> String {
        let (model, encoding) = (self.model(), &self.report.results.config.encodings[self.encoding].spec);
        let served = self.report.results.environment().models[self.model].served.as_ref();
        match served {
            Some(served) => {
                format!("model={},base_url={},encoding={encoding}", served.served_as, served.endpoint)
            }
            None => format!("pretrained={},encoding={encoding}", model.path),
        }
    }

    fn about_run(&self) -> Value {
        let config = &self.report.results.config;
        json!({
            "model": "longcode",
            "model_args": self.model_args(),
            "device": self.report.results.environment().device,
            "batch_size": "auto",
            "bootstrap_iters": longcode_stats::RESAMPLES,
            "limit": limit(self.report),
            "random_seed": config.seed,
        })
    }
}

/// The parts of a results file, by task. A task's buckets are subtasks named `TASK_BUCKET`, whose samples are the
/// task's: they have no config.
#[derive(Default)]
struct Parts {
    results: Map<String, Value>,
    configs: Map<String, Value>,
    higher_is_better: Map<String, Value>,
    samples: Map<String, Value>,
    subtasks: Map<String, Value>,
}

impl Parts {
    fn add(&mut self, report: &Report, names: &TaskNames, row: &Row) {
        let task = report.results.config.tasks.iter().find(|task| task.name == row.task);
        let task = task.expect("a row's task is in the config");
        let (name, key) = (names.of(&row.task, row.group), row.metric.lm_eval_name);
        if !self.results.contains_key(name) {
            self.add_task(task, row, names);
        }
        let Estimate { value, stderr, .. } = row.estimate;
        // There shares go from 0 to 1.
        let whole = row.metric.range.whole();
        self.results[name][format!("{key},none")] = finite(value / whole);
        self.results[name][format!("{key}_stderr,none")] = finite(stderr / whole);
        let higher = row.metric.better == Better::Higher;
        if row.group == Group::All {
            let entry = json!({
                "metric": key,
                "aggregation": aggregation(report, row),
                "higher_is_better": higher,
            });
            let list = self.configs[name]["metric_list"].as_array_mut();
            list.expect("the task was added with one").push(entry);
        }
        self.higher_is_better[name][key] = json!(higher);
    }

    fn add_task(&mut self, task: &TaskEntry, row: &Row, names: &TaskNames) {
        let (name, n) = (names.of(&row.task, row.group), row.estimate.n);
        self.results.insert(name.into(), json!({"alias": name, "sample_len": n}));
        self.higher_is_better.insert(name.into(), json!({}));
        self.samples.insert(name.into(), json!({"original": n, "effective": n}));
        if row.group == Group::All {
            let config = json!({
                "task": name,
                "dataset_path": task.dataset,
                "output_type": task.kind,
                "num_fewshot": 0,
                "metric_list": [],
                "metadata": {"version": VERSION, "longcode": task.keys},
            });
            self.configs.insert(name.into(), config);
        } else {
            let list = self.subtasks.entry(names.of(&row.task, Group::All)).or_insert_with(|| json!([]));
            list.as_array_mut().expect("a list was put there").push(json!(name));
        }
    }
}

/// How the samples' values become the task's, in the harness's words; where tokens weigh and not samples, there is one
/// for perplexities alone.
fn aggregation(report: &Report, row: &Row) -> &'static str {
    let key = [&row.model[..], &row.encoding, &row.task];
    let pairs = report.measured.pairs(key, row.group, &row.metric);
    let weigh_the_same = pairs.windows(2).all(|two| two[0].1.1 == two[1].1.1);
    match (row.metric.exponential, weigh_the_same) {
        (false, true) => "mean",
        (false, false) => "weighted_mean",
        (true, true) => "perplexity",
        (true, false) => "weighted_perplexity",
    }
}

/// A number, or what the harness writes where there is none: of one sample, or beyond f64.
fn finite(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!("N/A") }
}

/// Samples of a task at most, where a run was limited or is not finished.
fn limit(report: &Report) -> Value {
    let results = report.results;
    if results.samples.len() >= results.environment().planned {
        return Value::Null;
    }
    let most = report.rows.iter().filter(|row| row.group == Group::All).map(|row| row.estimate.n).max();
    json!(most)
}

/// Names of tasks and their buckets, each given once.
struct TaskNames<'a>(HashMap<(&'a str, Group), String>);

impl<'a> TaskNames<'a> {
    /// Of all figures over samples; tasks before their buckets.
    fn new(report: &'a Report) -> TaskNames<'a> {
        let (mut given, mut names) = (FileNames::default(), HashMap::new());
        let stays = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '+');
        for task in &report.results.config.tasks {
            names.insert((&task.name[..], Group::All), given.unique_of(&task.name, stays, '_'));
        }
        for row in report.rows.iter().filter(|row| row.group.axis() == Axis::Samples) {
            names
                .entry((&row.task, row.group))
                .or_insert_with(|| given.unique_of(&format!("{}_{}", row.task, row.group), stays, '_'));
        }
        TaskNames(names)
    }

    fn of<'b>(&'b self, task: &'b str, group: Group) -> &'b str {
        &self.0[&(task, group)]
    }
}
