//! Where a difference of the loss comes from: the shares of the tokens at each distance times the difference there.

use longcode_stats::{Comparison, Sensitivity};
use serde::Serialize;

use super::Row;
use super::table::{Cell, Column, Content, Table};
use crate::config::EncodingEntry;
use crate::draw::stack::{Bar, Stack};
use crate::task::{Axis, Back, By, Group, Metric};

/// What one encoding's groups of tokens contribute to the difference of its loss from the baseline's, over the
/// positions from `from` on.
#[derive(Debug)]
pub(super) struct Contributions {
    pub(super) encoding: String,
    /// What the difference is of.
    metric: Metric,
    /// The first position that counts.
    pub(super) from: usize,
    /// The difference of the mean loss, nats a token; below 0 is a gain.
    pub(super) total: Comparison,
    /// What that difference owes to single documents.
    pub(super) sensitivity: Option<Sensitivity>,
    /// In the order of the groups; they add up to the total for each [`By`].
    pub(super) parts: Vec<Part>,
}

/// One group's part.
#[derive(Debug)]
pub(super) struct Part {
    group: Group,
    /// Of the tokens.
    share: f64,
    /// Of the mean loss in the group; none of a group without tokens.
    difference: Option<f64>,
    /// Share times difference.
    contribution: Comparison,
}

impl Part {
    fn is_by(&self, by: By) -> bool {
        matches!(self.group.axis(), Axis::Distance(_, own) if own == by)
    }
}

/// Of the encodings of one model on one task that have differences from the baseline, in the order of the config; none
/// where no metric has parts.
pub(super) fn contributions(rows: &[&Row], encodings: &[EncodingEntry]) -> Vec<Contributions> {
    let Some((metric, parts)) = rows.iter().find_map(|row| Some((row.metric, row.metric.parts?))) else {
        return Vec::new();
    };
    let of = |encoding: &EncodingEntry| {
        let own: Vec<&Row> = rows.iter().filter(|row| row.encoding == encoding.name).copied().collect();
        let (from, total, sensitivity) = own.iter().find_map(|row| {
            let from = row.group.from().filter(|_| row.metric.name == metric.name)?;
            Some((from, row.difference?, row.sensitivity))
        })?;
        let at = |group: Group, metric: &str| {
            own.iter().find(|row| row.group == group && row.metric.name == metric).copied()
        };
        let part = |row: &&Row| {
            Some(Part {
                group: row.group,
                share: at(row.group, parts.share)?.estimate.value,
                difference: at(row.group, metric.name)
                    .and_then(|row| row.difference)
                    .map(|found| found.estimate.value),
                contribution: row.difference?,
            })
        };
        let parts = own.iter().filter(|row| row.metric.name == parts.contribution).filter_map(part).collect();
        Some(Contributions { encoding: encoding.name.clone(), metric, from, total, sensitivity, parts })
    };
    encodings.iter().filter_map(of).collect()
}

/// The gains over the baseline, all and by distance; none without any.
pub(super) fn table(all: &[Contributions], by: By, baseline: &EncodingEntry) -> Option<Table> {
    let first = all.first()?;
    let lead = match baseline.spec.context {
        Some(_) => "context advantage",
        None => "all",
    };
    let groups = used(all, by);
    if groups.is_empty() {
        return None;
    }
    let samples = counts(all);
    let column = |name: String| Column { name, beyond: false, samples: samples.clone() };
    let names =
        [lead.to_string(), "better on".into()].into_iter().chain(groups.iter().map(|group| group.heading()));
    let columns = names.map(column).collect();
    let cell = |found: &Comparison| {
        // A gain is what the loss falls by.
        let gained = [-found.estimate.value, -found.high, -found.low];
        let [value, low, high] = gained.map(|value| crate::draw::number::difference(value, 1.0));
        Cell {
            text: value,
            value: Some(gained[0]),
            interval: Some(format!("[{low}, {high}]")),
            ..Cell::default()
        }
    };
    let row = |one: &Contributions| {
        let parts = groups.iter().map(|group| one.part(group).map(|part| cell(&part.contribution)));
        let lead = [Some(cell(&one.total)), one.better_on()];
        let cells = lead.into_iter().chain(parts).map(Option::unwrap_or_default).collect();
        (one.encoding.clone(), cells)
    };
    let title = format!(
        "Nats a token gained over {} at positions from {} on, all and by {}: a group's share of the tokens times what \
         it gains there, so that the parts add up (paired; each column's intervals hold for all rows at once in 95% of \
         tables). Better on: documents with a gain, of all.",
        baseline.name,
        first.from,
        by.distance()
    );
    let rows = all.iter().map(row).collect();
    Some(Table { title, metric: first.metric, content: Content::Contributions, columns, rows })
}

impl Contributions {
    fn part(&self, group: &Group) -> Option<&Part> {
        self.parts.iter().find(|part| part.group == *group)
    }

    /// On how many documents the loss is lower than the baseline's.
    fn better_on(&self) -> Option<Cell> {
        let (less, n) = (self.sensitivity?.less, self.total.estimate.n);
        let value = less as f64 / n as f64;
        Some(Cell { text: format!("{less} of {n}"), value: Some(value), ..Cell::default() })
    }
}

/// Documents of the rows; a range where they have different ones.
fn counts(all: &[Contributions]) -> String {
    let counts = || all.iter().map(|one| one.total.estimate.n);
    match (counts().min(), counts().max()) {
        (Some(least), Some(most)) if least < most => format!("{least}-{most}"),
        (_, most) => most.unwrap_or(0).to_string(),
    }
}

/// The groups that hold tokens.
fn used(all: &[Contributions], by: By) -> Vec<Group> {
    let parts = all.first().map(|one| &one.parts[..]).unwrap_or_default();
    parts.iter().filter(|part| part.is_by(by) && part.share > 0.0).map(|part| part.group).collect()
}

/// One bar an encoding, stacked by distance to the last copy; none without any.
pub(super) fn picture(all: &[Contributions], baseline: &str, title: String) -> Option<String> {
    let first = all.first()?;
    let groups = used(all, By::Copy);
    let bar = |one: &Contributions| {
        // A gain is what the loss falls by.
        let part = |group: &Group| one.part(group).map_or(0.0, |part| -part.contribution.estimate.value);
        let parts = groups.iter().map(part).collect();
        Bar { name: one.encoding.clone(), parts, total: one.total.reversed().estimate }
    };
    let name = |group: &Group| match group {
        Group::Distance { back: Back::New, .. } => "never before".into(),
        group => format!("{} tokens back", group.heading()),
    };
    let stack = Stack {
        title,
        axis: format!("nats a token gained over {baseline}, at positions from {} on", first.from),
        parts: "tokens that last followed the same token".into(),
        groups: groups.iter().map(name).collect(),
        bars: all.iter().map(bar).collect(),
    };
    Some(stack.svg())
}

/// One line of contributions.csv.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    model: &'a str,
    task: &'a str,
    encoding: &'a str,
    baseline: &'a str,
    by: String,
    group: String,
    share: f64,
    difference: Option<f64>,
    contribution: f64,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
}

/// The parts of every kind, and after each their total.
pub(super) fn lines<'a>(
    one: &'a Contributions,
    model: &'a str,
    task: &'a str,
    baseline: &'a str,
) -> Vec<Line<'a>> {
    let line = |by: By, group: String, share: f64, difference: Option<f64>, found: &Comparison| Line {
        model,
        task,
        encoding: &one.encoding,
        baseline,
        by: by.to_string(),
        group,
        share,
        difference,
        contribution: found.estimate.value,
        ci_low: found.estimate.ends().map(|ends| ends[0]),
        ci_high: found.estimate.ends().map(|ends| ends[1]),
    };
    let mut lines = Vec::new();
    for by in By::ALL {
        let parts: Vec<&Part> = one.parts.iter().filter(|part| part.is_by(by)).collect();
        if parts.is_empty() {
            continue;
        }
        let of =
            |part: &&Part| line(by, part.group.heading(), part.share, part.difference, &part.contribution);
        lines.extend(parts.iter().map(of));
        lines.push(line(by, "total".into(), 1.0, Some(one.total.estimate.value), &one.total));
    }
    lines
}
