//! Sections: one model on one task, with its tables.

use super::table::{Content, View};
use super::{Picture, Report, Row, Table};
use crate::config::TaskEntry;
use crate::paper::Published;
use crate::store::{ModelHash, Results};
use crate::task::{Group, Metric};

/// Fewest samples whose bootstrap interval is worth something: below, it is far too narrow.
const FEW: usize = 10;

/// One model on one task.
#[derive(Debug)]
pub struct Section {
    /// The model's name.
    pub model: String,
    /// The task's name.
    pub task: String,
    /// The data set.
    pub dataset: String,
    /// The model's pretraining length in tokens.
    pub trained_length: usize,
    /// Figures, differences from the baseline, and the paper's numbers.
    pub tables: Vec<Table>,
    /// What its figures look like.
    pub pictures: Vec<Picture>,
    /// Whether some figure is of fewer than [`FEW`] samples.
    few: bool,
}

impl Section {
    /// As a heading.
    pub fn title(&self) -> String {
        format!("{} on {} ({})", self.model, self.task, self.dataset)
    }

    /// What the marks in the tables mean; `bold` is the word in bold.
    pub fn legend(&self, bold: &str) -> String {
        let mut text = format!(
            "† beyond the training length of {} tokens. {bold}: the best of the column, whose paired difference \
             from every other excludes 0. ≈: the best as measured and those not told apart from it (95% bootstrap \
             over documents). n: documents.",
            self.trained_length
        );
        if self.few {
            text += &format!(
                " Intervals of fewer than {FEW} documents are too narrow to lean on, and so are marks made by them."
            );
        }
        text
    }
}

/// Every model on every task that has figures.
pub(super) fn sections(results: &Results, rows: &[Row], baseline: &str) -> Vec<Section> {
    let published = results.config.paper.map(|paper| paper.published()).unwrap_or_default();
    let mut sections = Vec::new();
    for model in &results.environment().models {
        for task in &results.config.tasks {
            let rows: Vec<&Row> =
                rows.iter().filter(|row| row.model == model.name && row.task == task.name).collect();
            if !rows.is_empty() {
                sections.push(section(results, model, task, &rows, baseline, &published));
            }
        }
    }
    sections
}

fn section(
    results: &Results,
    model: &ModelHash,
    task: &TaskEntry,
    rows: &[&Row],
    baseline: &str,
    published: &[Published],
) -> Section {
    let encodings = &results.config.encodings;
    let view = |metric: &Metric, of| View::new(rows, *metric, of, model.trained_length);
    let shown: Vec<&Metric> =
        task.task.metrics().iter().filter(|metric| !UNSHOWN.contains(&metric.name)).collect();
    let by_samples = shown.iter().filter_map(|metric| {
        view(metric, of_samples).figures(format!("{}.", words(task, metric)), Content::Samples, encodings)
    });
    let mut tables: Vec<Table> = by_samples.collect();
    let loss = shown.iter().find(|metric| metric.name == "loss");
    tables.extend(loss.and_then(|loss| {
        let title = "Loss in nats by position in the document, from the same pass: what the model loses when this \
                     much context stands before a token.";
        view(loss, |group| matches!(group, Group::Position(_))).figures(title.into(), Content::Positions, encodings)
    }));
    tables.extend(shown.first().and_then(|main| {
        let title = format!(
            "{}, less that of {baseline}: paired difference and its 95% interval.",
            words(task, main)
        );
        view(main, of_samples).differences(title, encodings)
    }));
    let paper = results.config.paper.map_or("", |paper| paper.title);
    let read_off =
        if published.iter().any(|one| one.digitised) { ", read off the figure (± 0.1)" } else { "" };
    tables.extend(shown.iter().filter_map(|metric| {
        let title = format!(
            "{}, measured / published in the paper's {paper}{read_off} (difference).",
            words(task, metric)
        );
        view(metric, of_samples).beside(title, encodings, published)
    }));
    Section {
        model: model.name.clone(),
        task: task.name.clone(),
        dataset: task.dataset.clone(),
        trained_length: model.trained_length,
        tables,
        pictures: Vec::new(),
        few: rows.iter().any(|row| row.estimate.n < FEW),
    }
}

/// Groups of whole samples: the columns of a table. Cells of a grid are drawn, not tabulated.
pub(super) fn of_samples(group: &Group) -> bool {
    matches!(group, Group::Bucket(_) | Group::All)
}

/// Metrics that summary.csv alone has: others show the same in another weighting or form.
const UNSHOWN: &[&str] = &["document_loss", "document_ppl", "last_loss"];

/// What a metric is, in words.
pub(super) fn words(task: &TaskEntry, metric: &Metric) -> String {
    let known = match (task.kind, metric.name) {
        ("language_modeling", "ppl") => {
            "Perplexity by document length in tokens, exp of the mean loss over all predicted tokens of the bucket, \
             one pass a document"
        }
        ("language_modeling", "loss") => "Loss in nats a token by document length",
        ("language_modeling", "accuracy") => "Next-token accuracy by document length",
        ("language_modeling", "last_ppl") => "Perplexity of the last tokens of each document",
        ("language_modeling", "last_accuracy") => "Next-token accuracy over the last tokens of each document",
        (_, name) => return format!("{} by bucket", capitalised(&name.replace('_', " "))),
    };
    known.into()
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// What a report is of: version, devices, how many samples, and what is doubtful about them.
pub fn caption(report: &Report) -> Vec<String> {
    let results = report.results;
    let environment = results.environment();
    let devices: Vec<String> = results
        .environments
        .iter()
        .map(|one| format!("longcode {} ({}), {}", one.session.version, one.session.git_commit, one.device))
        .collect();
    let mut lines = vec![format!(
        "{}; {} of {} samples x encodings, seed {}; differences from {}.",
        devices.join("; "),
        results.samples.len(),
        environment.planned,
        results.config.seed,
        report.baseline
    )];
    if results.samples.len() < environment.planned {
        lines.push("Unfinished: figures are of the samples stored so far.".into());
    }
    if results.repeated > 0 {
        lines.push(format!(
            "{} samples were measured more than once, {} of them with another outcome; the first counts.",
            results.repeated,
            results.disagreements.len()
        ));
    }
    lines.extend(results.disagreements.iter().map(|one| format!("Differs: {one}.")));
    lines
}
