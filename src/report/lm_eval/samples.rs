//! `samples_TASK_DATE.jsonl`: what each sample has in the figures of its task.

use longcode_stats::{Pair, ratio};
use serde_json::{Map, Value, json};

use super::{One, metric_key};
use crate::config::TaskEntry;
use crate::report::figures::Pairs;
use crate::store::SampleLine;
use crate::task::{Group, Metric};

/// The stored samples of a model under an encoding.
pub(super) fn of<'a>(one: &'a One) -> impl Iterator<Item = &'a SampleLine> {
    let (model, encoding) = (&one.model.name, &one.encoding.name);
    let of = move |line: &&SampleLine| line.key.model == *model && line.key.encoding == *encoding;
    one.report.results.samples.iter().filter(of)
}

/// A line a sample, by its number among the samples of all models and encodings. The prompt is not in the results:
/// its hash stands for it. What was asked for and all that came of it is in `samples.jsonl`.
pub(super) fn lines(one: &One, task: &TaskEntry) -> String {
    let measured = &one.report.measured;
    let key = [&one.model.name[..], &one.encoding.name, &task.name];
    let of_task = one.rows.iter().filter(|row| row.task == task.name && row.group == Group::All);
    let figures: Vec<(&Metric, &Pairs)> =
        of_task.map(|row| (&row.metric, measured.pairs(key, Group::All, &row.metric))).collect();
    let lines = of(one).filter(|line| line.key.task == task.name);
    let mut lines: Vec<(usize, &SampleLine)> = lines.map(|line| (measured.number(line), line)).collect();
    lines.sort_by_key(|(number, _)| *number);
    let line = |(number, line): (usize, &SampleLine)| {
        let figure = |(metric, pairs): &(&Metric, &Pairs)| {
            let found = pairs.binary_search_by_key(&number, |(number, _)| *number);
            (metric_key(metric.name), json!(found.ok().map(|found| value(metric, pairs[found].1))))
        };
        format!("{}\n", of_sample(number, line, figures.iter().map(figure).collect()))
    };
    lines.into_iter().map(line).collect()
}

/// What a metric is of one sample alone; JSON has null where it is beyond f64.
fn value(metric: &Metric, pair: Pair) -> f64 {
    metric.scale().of(ratio([pair].into_iter()))
}

fn of_sample(number: usize, line: &SampleLine, figures: Map<String, Value>) -> Value {
    let text = ["text", "generated"].iter().find_map(|key| line.outcome.get(key)).unwrap_or(&Value::Null);
    let mut sample = json!({
        "doc_id": number,
        "doc": {"sample": line.key.sample, "bucket": line.bucket, "tokens": line.tokens},
        "target": "",
        "resps": [[text]],
        "filtered_resps": [text],
        "filter": "none",
        "metrics": figures.keys().collect::<Vec<_>>(),
        "doc_hash": line.sha256,
        "prompt_hash": line.sha256,
    });
    sample.as_object_mut().expect("made as one").extend(figures);
    sample
}
