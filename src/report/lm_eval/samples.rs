//! `samples_TASK_DATE.jsonl`: what each sample has in the figures of its task.

use longcode_stats::{Pair, ratio};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::One;
use crate::error::Result;
use crate::report::figures::Pairs;
use crate::store::{Results, StoredSample};
use crate::task::{Group, Metric};

/// The stored samples of a model under an encoding.
pub(super) fn of<'a>(one: &'a One) -> impl Iterator<Item = &'a StoredSample> {
    let of = |stored: &&StoredSample| [stored.model, stored.encoding] == [one.model, one.encoding];
    one.report.results.samples.iter().filter(of)
}

/// A line a sample of the task of that number, by its number among the samples of all models and encodings. The prompt
/// is not in the results: its hash stands for it. What was asked for and all that came of it is in `samples.jsonl`.
///
/// # Errors
/// As [`Results::outcome`].
pub(super) fn lines(one: &One, task: usize) -> Result<String> {
    let (results, measured) = (one.report.results, &one.report.measured);
    let config = &results.config;
    let name = &config.tasks[task].name;
    let key = [&config.models[one.model].name[..], &config.encodings[one.encoding].name, name];
    let of_task = one.rows.iter().filter(|row| row.task == *name && row.group == Group::All);
    let figures: Vec<(&Metric, &Pairs)> =
        of_task.map(|row| (&row.metric, measured.pairs(key, Group::All, &row.metric))).collect();
    let stored = of(one).filter(|stored| stored.task == task);
    let mut stored: Vec<(usize, &StoredSample)> =
        stored.map(|stored| (measured.number(config, stored), stored)).collect();
    stored.sort_by_key(|(number, _)| *number);
    let line = |(number, stored): &(usize, &StoredSample)| {
        let figure = |(metric, pairs): &(&Metric, &Pairs)| {
            let found = pairs.binary_search_by_key(number, |(number, _)| *number);
            (metric.lm_eval_name.into(), json!(found.ok().map(|found| value(metric, pairs[found].1))))
        };
        let figures = figures.iter().map(figure).collect();
        Ok(format!("{}\n", of_sample(results, *number, stored, figures)?))
    };
    let lines: Vec<String> = stored.par_iter().map(line).collect::<Result<_>>()?;
    Ok(lines.concat())
}

/// What a metric is of one sample alone; JSON has null where it is beyond f64.
fn value(metric: &Metric, pair: Pair) -> f64 {
    metric.scale().of(ratio([pair].into_iter())) / metric.range.whole()
}

fn of_sample(
    results: &Results,
    number: usize,
    stored: &StoredSample,
    figures: Map<String, Value>,
) -> Result<Value> {
    let outcome = results.outcome(stored)?;
    let text = ["text", "generated"].iter().find_map(|key| outcome.as_ref()?.get(key));
    let text = text.unwrap_or(&Value::Null);
    let mut sample = json!({
        "doc_id": number,
        "doc": {"sample": &*stored.sample, "bucket": &*stored.bucket, "tokens": stored.tokens},
        "target": "",
        "resps": [[text]],
        "filtered_resps": [text],
        "filter": "none",
        "metrics": figures.keys().collect::<Vec<_>>(),
        "doc_hash": &*stored.sha256,
        "prompt_hash": &*stored.sha256,
    });
    let fields = sample.as_object_mut().expect("made as one");
    fields.extend(figures);
    fields.extend(stored.failed.as_ref().map(|why| ("failed".to_string(), json!(&**why))));
    Ok(sample)
}
