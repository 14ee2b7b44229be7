//! Sections: one model on one task, with its tables.

use super::table::{Content, View};
use super::{Picture, Report, Row, Table};
use crate::config::{EncodingEntry, TaskEntry};
use crate::paper::{Published, Source};
use crate::store::Results;
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
             over samples). n: samples.",
            self.trained_length
        );
        if self.few {
            text += &format!(
                " Intervals of fewer than {FEW} samples are too narrow to lean on, and so are marks made by them."
            );
        }
        text
    }
}

/// Every model on every task that has figures.
pub(super) fn sections(results: &Results, rows: &[Row], baseline: &str) -> Vec<Section> {
    let paper = results.config.paper;
    let published = paper.map(|paper| paper.published()).unwrap_or_default();
    let mut sections = Vec::new();
    for model in &results.environment().models {
        for task in &results.config.tasks {
            let rows: Vec<&Row> =
                rows.iter().filter(|row| row.model == model.name && row.task == task.name).collect();
            if rows.is_empty() {
                continue;
            }
            let few = rows.iter().any(|row| row.estimate.n < FEW);
            let figures = Figures {
                encodings: &results.config.encodings,
                task,
                rows,
                trained_length: model.trained_length,
            };
            let mut tables = figures.measured();
            tables.extend(figures.differences(baseline));
            tables.extend(paper.iter().flat_map(|paper| figures.beside(paper, &published)));
            sections.push(Section {
                model: model.name.clone(),
                task: task.name.clone(),
                dataset: task.dataset.clone(),
                trained_length: model.trained_length,
                tables,
                pictures: Vec::new(),
                few,
            });
        }
    }
    sections
}

/// One model's figures on one task.
struct Figures<'a> {
    encodings: &'a [EncodingEntry],
    task: &'a TaskEntry,
    rows: Vec<&'a Row>,
    trained_length: usize,
}

impl<'a> Figures<'a> {
    fn view(&self, metric: &Metric, of: fn(&Group) -> bool) -> View<'a> {
        View::new(&self.rows, *metric, of, self.trained_length)
    }

    /// Each metric over samples, over the cells of a grid, and over positions.
    fn measured(&self) -> Vec<Table> {
        let over_samples = |metric: &Metric| {
            let view = self.view(metric, of_samples);
            view.figures(format!("{}{}.", metric.title(), metric.over), Content::Samples, self.encodings)
        };
        let over_cells = |metric: &Metric| {
            let view = self.view(metric, |group| matches!(group, Group::Cell { .. }));
            view.figures(format!("{} by length and depth.", metric.title()), Content::Samples, self.encodings)
        };
        let over_positions = |metric: &Metric| {
            let view = self.view(metric, |group| matches!(group, Group::Position(_)));
            view.figures(metric.by_position?.into(), Content::Positions, self.encodings)
        };
        let mut tables: Vec<Table> = shown(self.task).filter_map(over_samples).collect();
        tables.extend(shown(self.task).filter_map(over_cells));
        tables.extend(shown(self.task).filter_map(over_positions));
        tables
    }

    /// The main metric's differences from the baseline.
    fn differences(&self, baseline: &str) -> Option<Table> {
        let main = shown(self.task).next()?;
        let title =
            format!("{}, less that of {baseline}: paired difference and its 95% interval.", main.title());
        self.view(main, of_samples).differences(title, self.encodings)
    }

    /// Each metric that the paper has beside it.
    fn beside(&self, paper: &Source, published: &[Published]) -> Vec<Table> {
        let read_off = if published.iter().any(|one| one.digitised) {
            ", some read off the figure (± 0.1)"
        } else {
            ""
        };
        let table = |metric: &Metric| {
            let title = format!(
                "{}, measured / published in the paper's {}{read_off} (difference).",
                metric.title(),
                paper.title
            );
            self.view(metric, of_samples).beside(title, self.encodings, published)
        };
        shown(self.task).filter_map(table).collect()
    }
}

/// Groups of whole samples: the columns of a metric's first table.
pub(super) fn of_samples(group: &Group) -> bool {
    matches!(group, Group::Bucket(_) | Group::Words(_) | Group::All)
}

/// The metrics that tables show, the main one first.
pub(super) fn shown(task: &TaskEntry) -> impl Iterator<Item = &'static Metric> {
    task.task.metrics().iter().filter(|metric| metric.in_tables)
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
    let left_out = environment.left_out.len();
    if left_out > 0 {
        lines.push(format!("{left_out} records became no samples; environment.json names them."));
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
