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

/// One model under one encoding. A task's buckets are subtasks named `TASK_BUCKET`.
fn results(report: &Report, rows: &[&Row]) -> Value {
    let mut whole: [Map<String, Value>; 5] = Default::default();
    let [results, configs, versions, higher, samples] = &mut whole;
    let mut subtasks: Map<String, Value> = Map::new();
    for row in rows {
        let name = name(row);
        let config = report.results.config.tasks.iter().find(|task| task.name == row.task);
        let config = config.expect("a row's task is in the config");
        let entry = results.entry(name.clone()).or_insert_with(|| json!({"alias": name}));
        let key = key(row.metric.name);
        entry[format!("{key},none")] = json!(row.estimate.value);
        entry[format!("{key}_stderr,none")] = json!(row.estimate.stderr);
        let about = || {
            json!({
                "task": name,
                "dataset_path": config.dataset,
                "output_type": config.kind,
                "num_fewshot": 0,
                "metadata": {"version": env!("CARGO_PKG_VERSION"), "longcode": config.keys},
            })
        };
        configs.entry(name.clone()).or_insert_with(about);
        versions.entry(name.clone()).or_insert_with(|| json!(env!("CARGO_PKG_VERSION")));
        let better = json!(row.metric.better == Better::Higher);
        higher.entry(name.clone()).or_insert_with(|| json!({}))[key] = better;
        // Positions are left out, so that every figure of a name is of the same samples.
        samples
            .entry(name.clone())
            .or_insert_with(|| json!({"original": row.estimate.n, "effective": row.estimate.n}));
        if row.group != Group::All {
            let list = subtasks.entry(row.task.clone()).or_insert_with(|| json!([]));
            let list = list.as_array_mut().expect("a list was put there");
            if list.iter().all(|known| known != &json!(name)) {
                list.push(json!(name));
            }
        }
    }
    let n_shot: Map<String, Value> = results.keys().map(|name| (name.clone(), json!(0))).collect();
    let [results, configs, versions, higher, samples] = whole;
    json!({
        "results": results,
        "group_subtasks": subtasks,
        "configs": configs,
        "versions": versions,
        "n-shot": n_shot,
        "higher_is_better": higher,
        "n-samples": samples,
        "config": about_run(report, rows[0]),
        "git_hash": report.results.environment().session.git_commit,
        "model_name": rows[0].model,
    })
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
        "limit": null,
        "random_seed": config.seed,
    })
}

fn name(row: &Row) -> String {
    match row.group {
        Group::All => row.task.clone(),
        group => format!("{}_{group}", row.task),
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
