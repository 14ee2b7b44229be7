//! `lm_eval/*.json`: the figures in the shape of lm-evaluation-harness results, for scripts that read
//! those. That shape has one model a file, so there is a file for every model under every encoding.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::pictures::FileNames;
use super::section::of_samples;
use super::{Report, Row};
use crate::error::{Error, ErrorKind, Result};
use crate::store::write_whole;
use crate::task::{Better, Group};

/// Of the task definitions: longcode's own.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes `lm_eval/results_MODEL_ENCODING.json` for every model and encoding that has figures.
pub(super) fn write(report: &Report, out: &Path) -> Result<()> {
    let dir = out.join("lm_eval");
    std::fs::create_dir_all(&dir).map_err(|e| {
        Error::new(ErrorKind::Write, format!("cannot make the directory: {e}"))
            .in_file(&dir)
            .fix("give another --out")
    })?;
    let mut names = FileNames::default();
    for model in &report.results.config.models {
        for encoding in &report.results.config.encodings {
            let of = |row: &&Row| {
                row.model == model.name && row.encoding == encoding.name && of_samples(&row.group)
            };
            let rows: Vec<&Row> = report.rows.iter().filter(of).collect();
            if !rows.is_empty() {
                let name = names.unique(&format!("results_{}_{}", model.name, encoding.name));
                let text = serde_json::to_string_pretty(&results(report, &rows)).expect("plain data");
                write_whole(&dir.join(format!("{name}.json")), format!("{text}\n").as_bytes())?;
            }
        }
    }
    Ok(())
}

/// The parts of a results file, by task. A task's buckets are subtasks named `TASK_BUCKET`.
#[derive(Default)]
struct Parts {
    results: Map<String, Value>,
    configs: Map<String, Value>,
    higher_is_better: Map<String, Value>,
    samples: Map<String, Value>,
    subtasks: Map<String, Value>,
}

/// One model under one encoding.
fn results(report: &Report, rows: &[&Row]) -> Value {
    let mut parts = Parts::default();
    for row in rows {
        parts.add(report, row);
    }
    let of_each = |value: Value| -> Map<String, Value> {
        parts.results.keys().map(|name| (name.clone(), value.clone())).collect()
    };
    json!({
        "versions": of_each(json!(VERSION)),
        "n-shot": of_each(json!(0)),
        "results": parts.results,
        "group_subtasks": parts.subtasks,
        "configs": parts.configs,
        "higher_is_better": parts.higher_is_better,
        "n-samples": parts.samples,
        "config": about_run(report, rows[0]),
        "git_hash": report.results.environment().session.git_commit,
        "model_name": rows[0].model,
    })
}

impl Parts {
    fn add(&mut self, report: &Report, row: &Row) {
        let (name, key) = (name(row), key(row.metric.name));
        if !self.results.contains_key(&name) {
            self.add_task(report, row, &name);
        }
        self.results[&name][format!("{key},none")] = finite(row.estimate.value);
        self.results[&name][format!("{key}_stderr,none")] = finite(row.estimate.stderr);
        self.higher_is_better[&name][key] = json!(row.metric.better == Better::Higher);
    }

    fn add_task(&mut self, report: &Report, row: &Row, name: &str) {
        let task = report.results.config.tasks.iter().find(|task| task.name == row.task);
        let task = task.expect("a row's task is in the config");
        let config = json!({
            "task": name,
            "dataset_path": task.dataset,
            "output_type": task.kind,
            "num_fewshot": 0,
            "metadata": {"version": VERSION, "longcode": task.keys},
        });
        self.results.insert(name.into(), json!({"alias": name}));
        self.configs.insert(name.into(), config);
        self.higher_is_better.insert(name.into(), json!({}));
        let n = row.estimate.n;
        self.samples.insert(name.into(), json!({"original": n, "effective": n}));
        if row.group != Group::All {
            let list = self.subtasks.entry(row.task.clone()).or_insert_with(|| json!([]));
            list.as_array_mut().expect("a list was put there").push(json!(name));
        }
    }
}

fn about_run(report: &Report, row: &Row) -> Value {
    let config = &report.results.config;
    let model = config.models.iter().find(|model| model.name == row.model).map(|model| model.path.as_str());
    let encoding = config.encodings.iter().find(|encoding| encoding.name == row.encoding);
    let encoding = encoding.map(|encoding| encoding.spec.to_string()).unwrap_or_default();
    json!({
        "model": "longcode",
        "model_args": format!("pretrained={},encoding={encoding}", model.unwrap_or_default()),
        "device": report.results.environment().device,
        "bootstrap_iters": crate::stats::RESAMPLES,
        "limit": limit(report),
        "random_seed": config.seed,
    })
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

/// A task's name as the harness has them, in letters, digits and `_`.
fn name(row: &Row) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '.' | '+') { c } else { '_' };
    let task: String = row.task.chars().map(plain).collect();
    match row.group {
        Group::All => task,
        group => format!("{task}_{group}"),
    }
}

/// What the harness calls a metric.
fn key(metric: &str) -> String {
    match metric {
        "accuracy" => "acc".into(),
        "ppl" => "perplexity".into(),
        other => other.replace("accuracy", "acc").replace("ppl", "perplexity"),
    }
}
