//! Sections: one model on one task, with its tables.

use longcode_stats::FEWEST;

use super::contributions::{self, contributions};
use super::table::{Content, View};
use super::verdict::verdict;
use super::{Picture, Report, Row, Table};
use crate::config::{EncodingEntry, TaskEntry};
use crate::kernels::Precision;
use crate::paper::{Exhibit, Published};
use crate::store::{Results, Shard};
use crate::task::{By, Group, Metric};

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
    /// Who uses what lies beyond the baseline's context, in words; none where the baseline has none.
    pub verdict: Option<String>,
    /// Where the difference from the baseline comes from, figures, differences, and the paper's numbers.
    pub tables: Vec<Table>,
    /// What its figures look like.
    pub pictures: Vec<Picture>,
    /// Whether some figure is of fewer than [`FEWEST`] samples.
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
            "† beyond the training length of {} tokens. {bold}: the best of the column, from which every other is \
             told apart. ≈: the best as measured and those not told apart from it, by one threshold for every pair of rows \
             (95% of tables of equal rows tell none apart); a worse row may be marked where its difference varies more. all: over the config's \
             own mix of buckets. n: samples.",
            self.trained_length
        );
        if self.few {
            text += &format!(" Fewer than {FEWEST} samples tell nothing apart: no marks there.");
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
            let few = rows.iter().any(|row| row.estimate.n < FEWEST);
            let figures = Figures {
                encodings: &results.config.encodings,
                task,
                rows,
                trained_length: model.trained_length,
            };
            let base = results.config.encodings.iter().find(|encoding| encoding.name == baseline);
            let base = base.expect("the baseline is one of the config's encodings");
            let contributions = contributions(&figures.rows, figures.encodings);
            let by = |by| contributions::table(&contributions, by, base, Metric::loss());
            let mut tables: Vec<Table> = by(By::Copy).into_iter().collect();
            tables.extend(figures.measured());
            tables.extend(figures.differences(baseline));
            tables.extend([By::Reference, By::Definition].into_iter().filter_map(by));
            tables.extend(paper.iter().flat_map(|paper| figures.beside(paper, &published)));
            sections.push(Section {
                model: model.name.clone(),
                task: task.name.clone(),
                dataset: task.dataset.clone(),
                trained_length: model.trained_length,
                verdict: verdict(&contributions, base),
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
        let over_bars = |metric: &Metric| {
            let view = self.view(metric, |group| matches!(group, Group::Bar(_)));
            let title = format!("{} by how alike an answer must be.", metric.title());
            view.figures(title, Content::Samples, self.encodings)
        };
        let over_positions = |metric: &Metric| {
            let view = self.view(metric, |group| matches!(group, Group::Position(_)));
            view.figures(metric.by_position?.into(), Content::Positions, self.encodings)
        };
        let mut tables: Vec<Table> = shown(self.task).filter_map(over_samples).collect();
        tables.extend(shown(self.task).filter_map(over_cells));
        tables.extend(shown(self.task).filter_map(over_bars));
        tables.extend(shown(self.task).filter_map(over_positions));
        tables.extend(self.by_distance());
        tables
    }

    /// The loss by how far back stands what a token could be known from.
    fn by_distance(&self) -> Vec<Table> {
        let metric = self.task.task.metrics().iter().find(|metric| metric.name == "loss");
        let from = self.rows.iter().find_map(|row| match row.group {
            Group::From(from) => Some(from),
            _ => None,
        });
        let table = |what: &str, of: fn(&Group) -> bool| {
            let title = format!("Loss in nats {what}, over the positions from {} on.", from?);
            self.view(metric?, of).figures(title, Content::Positions, self.encodings)
        };
        let tables = [
            table("where the same pair of tokens last stood so many tokens back (new: never)", |group| {
                matches!(group, Group::Distance(By::Copy, _))
            }),
            table(
                "at identifiers last used so many tokens back (new: never; other: no identifier)",
                |group| matches!(group, Group::Distance(By::Reference, _)),
            ),
            table("at names whose function, method or class was defined so many tokens back", |group| {
                matches!(group, Group::Distance(By::Definition, _))
            }),
        ];
        tables.into_iter().flatten().collect()
    }

    /// The main metric's differences from the baseline.
    fn differences(&self, baseline: &str) -> Option<Table> {
        let main = shown(self.task).next()?;
        let title = format!(
            "{}, less that of {baseline}: paired differences, with intervals that hold for all rows of a column at \
             once (95% of tables).",
            main.title()
        );
        self.view(main, of_samples).differences(title, self.encodings)
    }

    /// Each metric that the paper has beside it.
    fn beside(&self, paper: &Exhibit, published: &[Published]) -> Vec<Table> {
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
    matches!(group, Group::Bucket(_) | Group::Words(_) | Group::Length(_) | Group::Part(_) | Group::All)
}

/// The metrics that tables show, the main one first.
pub(super) fn shown(task: &TaskEntry) -> impl Iterator<Item = &'static Metric> {
    task.task.metrics().iter().filter(|metric| metric.in_tables)
}

/// What a report is of: version, devices, how many samples, and what is doubtful about them.
pub fn caption(report: &Report) -> Vec<String> {
    let results = report.results;
    let environment = results.environment();
    let mut devices: Vec<String> = Vec::new();
    for one in &results.environments {
        let device = format!("{}, {}", one.session.program(), one.device);
        // Shards on machines that are alike are one run, and its report says no more.
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    let mut lines = vec![format!(
        "{}; {} of {} samples x encodings, seed {}; differences from {}.",
        devices.join("; "),
        results.samples.len(),
        environment.planned,
        results.config.seed,
        report.baseline
    )];
    if results.samples.len() < environment.planned {
        lines.push(unfinished(results));
    }
    for model in environment.models.iter().filter(|model| model.precision != Precision::default()) {
        lines.push(format!("Matrix products of {} in precision {}.", model.name, model.precision));
    }
    let left_out = environment.left_out.len();
    if left_out > 0 {
        lines.push(format!("{left_out} records became no samples; environment.json names them."));
    }
    let lifted = results.config.encodings.iter().filter(|encoding| encoding.spec.full_attention);
    let lifted: Vec<&str> = lifted.map(|encoding| encoding.name.as_str()).collect();
    if !lifted.is_empty() {
        lines
            .push(format!("Without the model's own sliding window (full_attention): {}.", lifted.join(", ")));
    }
    lines.extend(environment.notes.iter().map(|note| format!("{note}.")));
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

/// What figures of a part of the samples are of.
fn unfinished(results: &Results) -> String {
    let parts: Vec<_> = results.environments.iter().map(|one| one.shard).collect();
    if Shard::complete(&parts) {
        return "Unfinished: figures are of the samples stored so far.".into();
    }
    let shards: Vec<_> = parts.iter().flatten().map(Shard::to_string).collect();
    format!("A part of the run, shard {}: figures are of its samples stored so far.", shards.join(" and "))
}
