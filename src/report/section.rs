//! Sections: one model on one task, with its tables.

use std::collections::BTreeSet;

use longcode_stats::{Comparison, FEWEST};

use super::ceiling::Ceiling;
use super::context_curve::ContextCurves;
use super::contributions::{self, Contributions, contributions};
use super::finding::{self, Finding, Reached};
use super::orders;
use super::seen;
use super::structure::Structure;
use super::table::{Content, View};
use super::verdict::{self, Lengths, verdict};
use super::{Cell, Picture, Report, Row, Table};
use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::draw::quote::in_list;
use crate::error::Result;
use crate::kernels::Precision;
use crate::paper::{Exhibit, Published};
use crate::provenance::{ModelHash, Session};
use crate::store::{Results, Shard};
use crate::task::{Axis, By, Group, Metric};

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
    /// The same in a line or two; none where the baseline says nothing.
    pub(super) short_verdict: Option<String>,
    /// How far a task with right answers is done.
    pub(super) finding: Option<Finding>,
    /// The same in words, or which rows are the best; none where there is a verdict.
    pub finding_words: Option<String>,
    /// What structure is worth, in words; none where no unit has a control.
    pub structure: Option<String>,
    /// Where the difference from the baseline comes from, figures, differences, and the paper's numbers.
    pub tables: Vec<Table>,
    /// What its figures look like.
    pub pictures: Vec<Picture>,
    /// What its rows' differences from the baseline are made of.
    pub(super) contributions: Vec<Contributions>,
    /// Differences of the main figure over all samples from the baseline's, by row.
    differences: Vec<(String, Comparison)>,
    /// How well each kind does by how much context it is given; none where no rows differ in that alone.
    pub(super) context_curves: Option<ContextCurves>,
    /// How much context each kind makes use of, in words; none where no rows differ in that alone.
    pub(super) reach: Option<String>,
    /// What models that were trained at a longer length gain on the same tokens.
    pub(super) ceilings: Vec<Ceiling>,
    /// The same in words; none without any.
    pub(super) ceiling: Option<String>,
    /// Whether some figure is of fewer than [`FEWEST`] samples.
    few: bool,
}

impl Section {
    /// As a heading.
    pub fn title(&self) -> String {
        format!("{} on {} ({})", self.model, self.task, self.dataset)
    }

    /// What it says before its tables, a paragraph each.
    pub(super) fn words(&self) -> impl Iterator<Item = &String> {
        self.verdict.iter().chain(&self.finding_words).chain(&self.structure).chain(&self.ceiling)
    }

    /// The difference of a row's loss from that of the baseline, where it counts for the verdict.
    pub(super) fn gain(&self, encoding: &str) -> Option<&Comparison> {
        self.short_verdict.as_ref()?;
        self.contributions.iter().find(|one| one.encoding == encoding).map(|one| &one.total)
    }

    /// Whether some row has an effective context.
    pub(super) fn has_effective(&self) -> bool {
        self.context_curves.is_some()
    }

    /// How much context the curve that ends in a row makes use of.
    pub(super) fn effective(&self, encoding: &str) -> Option<Cell> {
        self.context_curves.as_ref()?.effective(encoding)
    }

    /// What a row reaches at the longest prompts.
    pub(super) fn reached(&self, encoding: &str) -> Option<&Reached> {
        self.finding.as_ref()?.of(encoding)
    }

    /// The difference of a row's main figure over all samples from the baseline's.
    pub(super) fn difference(&self, encoding: &str) -> Option<&Comparison> {
        let (_, found) = self.differences.iter().find(|(name, _)| name == encoding)?;
        Some(found)
    }

    /// Says how much context each kind makes use of.
    ///
    /// # Errors
    /// As [`Results::encodings_of`].
    pub(super) fn say_reach(&mut self, results: &Results, baseline: &str) -> Result<()> {
        let encodings = results.encodings_of(&self.model)?;
        let base = encodings.iter().find(|encoding| encoding.name == baseline);
        let base = base.expect("the baseline is one of the config's encodings");
        let curves = self.context_curves.as_ref();
        self.reach = curves.map(|curves| curves.sentence(&self.model, &self.task, base));
        Ok(())
    }

    /// What the marks in the tables mean; `bold` is the word in bold.
    pub fn legend(&self, bold: &str) -> String {
        let mut text = format!(
            "† beyond the training length of {} tokens. {bold}: the best of the column, from which every other is \
             told apart. ≈: the best as measured and those not told apart from it, by one threshold for every pair of rows \
             (95% of tables of equal rows tell none apart); a worse row may be marked where its difference varies more, and a \
             column in which every row is marked tells nothing. all: over the config's own mix of buckets. n: samples.",
            self.trained_length
        );
        if self.few {
            text += &format!(" Fewer than {FEWEST} samples tell nothing apart: no marks there.");
        }
        text
    }
}

/// Every model on every task that has figures.
pub(super) fn sections(
    results: &Results,
    rows: &[Row],
    structures: &[Structure],
    baseline: &str,
) -> Result<Vec<Section>> {
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
            let encodings = results.encodings_of(&model.name)?;
            let lengths =
                Lengths { trained: model.trained_length, longest: longest(results, &model.name, &task.name) };
            let few = rows.iter().any(|row| row.estimate.n < FEWEST);
            let figures = Figures { encodings: &encodings, task, rows, trained_length: model.trained_length };
            let base = encodings.iter().find(|encoding| encoding.name == baseline);
            let base = base.expect("the baseline is one of the config's encodings");
            let contributions = contributions(&figures.rows, figures.encodings);
            let mut by_distance =
                By::ALL.into_iter().map(|by| contributions::table(&contributions, by, base));
            let mut tables: Vec<Table> = by_distance.next().flatten().into_iter().collect();
            let structure = structures.iter().find(|one| [one.model, one.task] == [&model.name, &task.name]);
            tables.extend(structure.map(Structure::table));
            tables.extend(figures.measured());
            tables.extend(figures.differences(baseline));
            tables.extend(by_distance.flatten());
            tables.extend(paper.iter().flat_map(|paper| figures.beside(paper, &published)));
            let verdict = verdict(&contributions, base, lengths);
            let short_verdict = verdict::short(&contributions, base, lengths);
            let main = shown(task).next();
            let finding = main.and_then(|metric| Finding::new(&figures.rows, *metric, model.trained_length));
            let best = || finding::best(&figures.rows, main?);
            let finding_words = match (&verdict, &finding) {
                (Some(_), None) => None,
                (_, Some(found)) => Some(found.sentence()),
                (None, None) => best(),
            };
            let difference = |row: &&Row| {
                let wanted = row.group == Group::All && main.is_some_and(|metric| row.metric == *metric);
                Some((row.encoding.clone(), row.difference.filter(|_| wanted)?))
            };
            let differences = figures.rows.iter().filter_map(difference).collect();
            sections.push(Section {
                model: model.name.clone(),
                task: task.name.clone(),
                dataset: task.dataset.clone(),
                trained_length: model.trained_length,
                verdict,
                short_verdict,
                finding,
                finding_words,
                structure: structure.map(Structure::sentence),
                tables,
                pictures: Vec::new(),
                contributions,
                differences,
                context_curves: None,
                reach: None,
                ceilings: Vec::new(),
                ceiling: None,
                few,
            });
        }
    }
    Ok(sections)
}

/// Tokens of a model's longest stored sample of a task.
fn longest(results: &Results, model: &str, task: &str) -> usize {
    let Config { models, tasks, .. } = &results.config;
    let own =
        results.samples.iter().filter(|one| models[one.model].name == model && tasks[one.task].name == task);
    own.map(|one| one.tokens).max().unwrap_or(0)
}

/// One model's figures on one task.
struct Figures<'a> {
    encodings: &'a [EncodingEntry],
    task: &'a TaskEntry,
    rows: Vec<&'a Row>,
    trained_length: usize,
}

impl<'a> Figures<'a> {
    fn view(&self, metric: &Metric, axis: Axis) -> View<'a> {
        View::new(&self.rows, *metric, axis, self.trained_length)
    }

    /// Each metric on each axis that it has figures on.
    fn measured(&self) -> Vec<Table> {
        let axes: BTreeSet<Axis> = self.rows.iter().map(|row| row.group.axis()).collect();
        let mut tables = Vec::new();
        for axis in axes {
            let content = if axis.is_of_positions() { Content::Positions } else { Content::Samples };
            let table = |metric: &Metric| {
                let title = metric.table_title(axis)?;
                self.view(metric, axis).figures(title, content, self.encodings)
            };
            let first = tables.len();
            tables.extend(shown(self.task).filter_map(table));
            if axis == Axis::Orders {
                tables[first..].iter_mut().for_each(orders::add_spread);
            }
            if let Some(main) = tables.get_mut(first).filter(|_| content == Content::Samples) {
                seen::add_column(main, &self.rows, self.encodings);
            }
        }
        tables
    }

    /// The main metric's differences from the baseline.
    fn differences(&self, baseline: &str) -> Option<Table> {
        let main = shown(self.task).next()?;
        let title = format!(
            "{}, less that of {baseline}: paired differences, with intervals that hold for all rows of a column at \
             once (95% of tables).",
            main.title()
        );
        self.view(main, Axis::Samples).differences(title, self.encodings)
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
            self.view(metric, Axis::Samples).beside(title, self.encodings, published)
        };
        shown(self.task).filter_map(table).collect()
    }
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
    let mut lines = Vec::new();
    if let Some(compared) = &results.compared {
        lines.push(format!("Runs beside each other: {}.", compared.runs.join(", ")));
    }
    lines.push(format!(
        "{}; {} of {} samples x encodings, seed {}; differences from {}.",
        devices.join("; "),
        results.samples.len(),
        environment.planned,
        results.config.seed,
        report.baseline
    ));
    if results.samples.len() < environment.planned {
        lines.push(unfinished(results));
    }
    lines.extend(environment.models.iter().filter_map(of_model));
    lines.extend(continued(results));
    lines.extend(report.doubts.iter().cloned());
    for model in environment.models.iter().filter(|model| model.precision != Precision::default()) {
        lines.push(format!("Matrix products of {} in precision {}.", model.name, model.precision));
    }
    let left_out = environment.left_out.len();
    if left_out > 0 {
        lines.push(format!("{left_out} records became no samples; environment.json names them."));
    }
    let lifted = results.config.encodings.iter().filter(|encoding| encoding.spec.full_attention);
    let lifted: Vec<_> = lifted.map(|encoding| in_list(&encoding.name)).collect();
    if !lifted.is_empty() {
        lines
            .push(format!("Without the model's own sliding window (full_attention): {}.", lifted.join(", ")));
    }
    lines.extend(report.sections.iter().filter_map(|section| section.reach.clone()));
    lines.extend(report.off_curves.iter().cloned());
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

/// A model's size and what it was trained at; none of results of an earlier longcode.
fn of_model(model: &ModelHash) -> Option<String> {
    let (parameters, vocabulary) = (model.parameters?, model.vocabulary?);
    Some(format!(
        "{}: trained at {} tokens, {:.1} M parameters, {vocabulary} tokens in its vocabulary.",
        model.name,
        model.trained_length,
        parameters as f64 / 1e6
    ))
}

/// The other versions that made a part of the results.
fn continued(results: &Results) -> Option<String> {
    let first: Vec<String> = results.environments.iter().map(|one| one.session.program()).collect();
    let later = results.environments.iter().flat_map(|one| &one.resumed).map(Session::program);
    let mut others: Vec<String> = later.filter(|program| !first.contains(program)).collect();
    others.sort();
    others.dedup();
    (!others.is_empty()).then(|| format!("A part of the results is of {}.", others.join(" and ")))
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
