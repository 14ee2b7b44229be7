//! Tables: encodings by columns, with what every format needs to render a cell.

use std::collections::BTreeSet;

use super::{Mark, Row};
use crate::config::EncodingEntry;
use crate::draw::number::{difference, difference_and_interval, interval, number};
use crate::paper::{OurEncoding, Published};
use crate::task::{Axis, Group, Metric};

/// A metric of one model on one task, by encoding and group.
#[derive(Debug, Clone)]
pub struct Table {
    /// What it shows, a sentence or two.
    pub title: String,
    /// The metric.
    pub metric: Metric,
    /// What its cells are.
    pub content: Content,
    /// The groups.
    pub columns: Vec<Column>,
    /// An encoding's name and its cell in every column.
    pub rows: Vec<(String, Vec<Cell>)>,
}

/// What the cells of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Figures over samples: buckets, and all of them.
    Samples,
    /// Figures over positions in the samples.
    Positions,
    /// Where the difference from the baseline comes from.
    Contributions,
    /// Units beside their controls.
    Structure,
    /// Figures by how much context is read: a row a curve.
    ByContext,
    /// What each step of more context gains, and how far all of them do.
    Gains,
    /// Rows of one name under several models, or in several runs.
    Changes,
    /// Differences from the baseline.
    Differences,
    /// The paper's numbers beside the measured ones.
    Paper,
}

/// A column's heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// As in summary.csv.
    pub name: String,
    /// Whether the context exceeds the training length.
    pub beyond: bool,
    /// Number of samples; a range where encodings have different ones.
    pub samples: String,
}

/// What stands in a cell.
#[derive(Debug, Clone)]
pub struct Cell {
    /// As it reads; `-` where nothing was measured.
    pub text: String,
    /// What it sorts by.
    pub value: Option<f64>,
    /// The 95% interval.
    pub interval: Option<String>,
    /// Its ends, where pictures need them.
    pub ends: Option<(f64, f64)>,
    /// How it stands in its column.
    pub mark: Mark,
}

impl Table {
    /// A cell's text, with its interval where that is what the table is about.
    pub fn text(&self, cell: &Cell) -> String {
        match (&cell.interval, self.content) {
            (
                Some(interval),
                Content::Differences
                | Content::Contributions
                | Content::Structure
                | Content::Gains
                | Content::Changes,
            ) => {
                format!("{} {interval}", cell.text)
            }
            _ => cell.text.clone(),
        }
    }
}

/// Some of a model's figures on a task: one metric on one axis.
pub(super) struct View<'a> {
    pub(super) metric: Metric,
    pub(super) rows: Vec<&'a Row>,
    pub(super) trained_length: usize,
}

impl<'a> View<'a> {
    /// The rows of a metric on an axis.
    pub(super) fn new(rows: &[&'a Row], metric: Metric, axis: Axis, trained_length: usize) -> View<'a> {
        let wanted = |row: &&&Row| row.metric == metric && row.group.axis() == axis;
        View { metric, rows: rows.iter().filter(wanted).copied().collect(), trained_length }
    }

    /// The groups in their order.
    pub(super) fn groups(&self) -> Vec<Group> {
        self.rows.iter().map(|row| row.group).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn at(&self, encoding: &str, group: &Group) -> Option<&'a Row> {
        self.rows.iter().find(|row| row.encoding == encoding && row.group == *group).copied()
    }

    /// The figures; none without any.
    pub(super) fn figures(
        &self,
        title: String,
        content: Content,
        encodings: &[EncodingEntry],
    ) -> Option<Table> {
        let cell = |row: &Row| Cell {
            text: number(row.estimate.value) + &self.samples_if_fewer(row),
            value: Some(row.estimate.value),
            interval: Some(interval(&row.estimate)),
            ends: Some((row.estimate.low, row.estimate.high)),
            mark: row.mark,
        };
        self.table(title, content, encodings, |_, row| Some(cell(row)))
    }

    /// The samples of a figure, where others of its column have more.
    fn samples_if_fewer(&self, row: &Row) -> String {
        let of_column = self.rows.iter().filter(|other| other.group == row.group);
        let most = of_column.map(|other| other.estimate.n).max();
        if Some(row.estimate.n) < most { format!(" (n {})", row.estimate.n) } else { String::new() }
    }

    /// Differences from the baseline with their intervals; none without any.
    pub(super) fn differences(&self, title: String, encodings: &[EncodingEntry]) -> Option<Table> {
        let cell = |row: &Row| {
            let found = row.difference?;
            let (text, interval) = difference_and_interval(&found, row.estimate.value);
            Some(Cell {
                text,
                value: Some(found.estimate.value),
                interval: Some(interval),
                ..Cell::default()
            })
        };
        self.table(title, Content::Differences, encodings, |_, row| cell(row))
    }

    /// Measured numbers beside the paper's, where it has some; none without any.
    pub(super) fn beside(
        &self,
        title: String,
        encodings: &[EncodingEntry],
        published: &[Published],
    ) -> Option<Table> {
        let cell = |encoding: &EncodingEntry, row: &Row| {
            let measured = measured(encoding);
            let same =
                |one: &&Published| one.is_of(&row.model, &measured, &row.task, &row.group, self.metric.name);
            let theirs = published.iter().find(same)?;
            let measured = row.estimate.value;
            let off = theirs.value().map(|theirs| measured - theirs);
            let words = off.map_or(String::new(), |off| format!(" ({})", difference(off, measured)));
            let text = format!("{} / {}{words}", number(measured), theirs.text);
            Some(Cell { text, value: off, ..Cell::default() })
        };
        self.table(title, Content::Paper, encodings, cell)
    }

    /// Rows and columns without a cell are left out.
    fn table(
        &self,
        title: String,
        content: Content,
        encodings: &[EncodingEntry],
        cell: impl Fn(&EncodingEntry, &'a Row) -> Option<Cell>,
    ) -> Option<Table> {
        let cell = |encoding: &EncodingEntry, group: &Group| cell(encoding, self.at(&encoding.name, group)?);
        let mut groups = self.groups();
        groups.retain(|group| encodings.iter().any(|encoding| cell(encoding, group).is_some()));
        let row = |encoding: &EncodingEntry| {
            let cells: Vec<_> = groups.iter().map(|group| cell(encoding, group)).collect();
            let any = cells.iter().any(Option::is_some);
            any.then(|| (encoding.name.clone(), cells.into_iter().map(Option::unwrap_or_default).collect()))
        };
        let rows: Vec<_> = encodings.iter().filter_map(row).collect();
        let columns = groups.iter().map(|group| self.column(group)).collect();
        (!rows.is_empty()).then_some(Table { title, metric: self.metric, content, columns, rows })
    }

    fn column(&self, group: &Group) -> Column {
        let counts = self.rows.iter().filter(|row| row.group == *group).map(|row| row.estimate.n);
        let samples = match (counts.clone().min(), counts.max()) {
            (Some(least), Some(most)) if least < most => format!("{least}-{most}"),
            (_, most) => most.unwrap_or(0).to_string(),
        };
        Column { name: group.heading(), beyond: group.is_beyond(self.trained_length), samples }
    }
}

impl Default for Cell {
    /// Nothing measured.
    fn default() -> Cell {
        Cell { text: "-".into(), value: None, interval: None, ends: None, mark: Mark::Plain }
    }
}
/// An encoding as the paper's numbers are asked for it.
fn measured(encoding: &EncodingEntry) -> OurEncoding<'_> {
    let key = encoding.sweep.as_ref().and_then(|sweep| match &sweep.keys[..] {
        [key] => Some(key),
        _ => None,
    });
    let swept = key.and_then(|key| Some((key.as_str(), encoding.value(key)?)));
    OurEncoding { name: &encoding.name, kind: encoding.spec.kind, swept }
}
