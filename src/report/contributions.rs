//! Where a difference of the loss comes from: the shares of the tokens at each distance times the difference there.

use longcode_stats::{Comparison, Sensitivity};
use serde::Serialize;

use super::table::{Cell, Column, Content, Table};
use super::{Mark, Row};
use crate::config::EncodingEntry;
use crate::draw::stack::{Bar, Stack};
use crate::task::language_modeling::{LOSS_PART, SHARE};
use crate::task::{Back, By, Group, Metric};

/// What one encoding's groups of tokens contribute to the difference of its loss from the baseline's, over the
/// positions from `from` on.
#[derive(Debug)]
pub(super) struct Contributions<'a> {
    pub(super) encoding: &'a str,
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
    by: By,
    back: Back,
    /// Of the tokens.
    share: f64,
    /// Of the mean loss in the group; none of a group without tokens.
    difference: Option<f64>,
    /// Share times difference.
    contribution: Comparison,
}

/// Of the encodings of one model on one task that have differences from the baseline, in the order of the config.
pub(super) fn contributions<'a>(rows: &[&'a Row], encodings: &'a [EncodingEntry]) -> Vec<Contributions<'a>> {
    let of = |encoding: &'a EncodingEntry| {
        let own: Vec<&Row> = rows.iter().filter(|row| row.encoding == encoding.name).copied().collect();
        let total = own.iter().find_map(|row| match (row.group, row.metric.name) {
            (Group::From(from), "loss") => Some((from, row.difference?, row.sensitivity)),
            _ => None,
        });
        let (from, total, sensitivity) = total?;
        let at = |group: Group, metric: &str| {
            own.iter().find(|row| row.group == group && row.metric.name == metric).copied()
        };
        let part = |row: &&Row| {
            let Group::Distance(by, back) = row.group else { return None };
            Some(Part {
                by,
                back,
                share: at(row.group, SHARE)?.estimate.value,
                difference: at(row.group, "loss")
                    .and_then(|row| row.difference)
                    .map(|found| found.estimate.value),
                contribution: row.difference?,
            })
        };
        let parts = own.iter().filter(|row| row.metric.name == LOSS_PART).filter_map(part).collect();
        Some(Contributions { encoding: &encoding.name, from, total, sensitivity, parts })
    };
    encodings.iter().filter_map(of).collect()
}

/// The gains over the baseline, all and by distance; none without any.
pub(super) fn table(
    all: &[Contributions],
    by: By,
    baseline: &EncodingEntry,
    metric: Metric,
) -> Option<Table> {
    let first = all.first()?;
    let lead = match baseline.spec.context {
        Some(_) => "context advantage",
        None => "all",
    };
    let backs: Vec<Back> = used(all, by);
    if backs.is_empty() {
        return None;
    }
    let samples = counts(all);
    let column = |name: String| Column { name, beyond: false, samples: samples.clone() };
    let names = [lead.to_string(), "better on".into()].into_iter().chain(backs.iter().map(Back::to_string));
    let columns = names.map(column).collect();
    let cell = |found: &Comparison| {
        // A gain is what the loss falls by.
        let gained = [-found.estimate.value, -found.high, -found.low];
        let [value, low, high] = gained.map(|value| crate::draw::number::difference(value, 1.0));
        Cell {
            text: value,
            value: Some(gained[0]),
            interval: Some(format!("[{low}, {high}]")),
            mark: Mark::Plain,
        }
    };
    let row = |one: &Contributions| {
        let parts = backs.iter().map(|&back| {
            one.parts
                .iter()
                .find(|part| (part.by, part.back) == (by, back))
                .map(|part| cell(&part.contribution))
        });
        let lead = [Some(cell(&one.total)), one.better_on()];
        let cells = lead.into_iter().chain(parts).map(Option::unwrap_or_default).collect();
        (one.encoding.to_string(), cells)
    };
    let title = format!(
        "Nats a token gained over {} at positions from {} on, all and by {}: a group's share of the tokens times what \
         it gains there, so that the parts add up (paired; each column's intervals hold for all rows at once in 95% of \
         tables). Better on: documents with a gain, of all.",
        baseline.name,
        first.from,
        match by {
            By::Copy => "how many tokens back the same pair of tokens last stood (new: never)",
            By::Reference =>
                "how many tokens back the identifier was last used (new: never; other: no identifier)",
            By::Definition => "how many tokens back the function, method or class of that name was defined",
        }
    );
    let rows = all.iter().map(row).collect();
    Some(Table { title, metric, content: Content::Contributions, columns, rows })
}

impl Contributions<'_> {
    /// On how many documents the loss is lower than the baseline's.
    fn better_on(&self) -> Option<Cell> {
        let (less, n) = (self.sensitivity?.less, self.total.estimate.n);
        let value = less as f64 / n as f64;
        Some(Cell { text: format!("{less} of {n}"), value: Some(value), interval: None, mark: Mark::Plain })
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
fn used(all: &[Contributions], by: By) -> Vec<Back> {
    let parts = all.first().map(|one| &one.parts[..]).unwrap_or_default();
    parts.iter().filter(|part| part.by == by && part.share > 0.0).map(|part| part.back).collect()
}

/// One bar an encoding, stacked by distance to the last copy; none without any.
pub(super) fn picture(all: &[Contributions], baseline: &str, title: String) -> Option<String> {
    let first = all.first()?;
    let backs = used(all, By::Copy);
    let bar = |one: &Contributions| {
        let part = |back: &Back| {
            let found = one.parts.iter().find(|part| (part.by, part.back) == (By::Copy, *back));
            found.map_or(0.0, |part| part.contribution.estimate.value)
        };
        Bar { name: one.encoding.into(), parts: backs.iter().map(part).collect(), total: one.total.estimate }
    };
    let stack = Stack {
        title,
        axis: format!(
            "loss less that of {baseline} from position {} on, nats: above 0 is damage",
            first.from
        ),
        groups: backs.iter().map(|back| format!("pair last stood: {back}")).collect(),
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
    ci_low: f64,
    ci_high: f64,
}

/// The parts of every kind, and after each their total.
pub(super) fn lines<'a>(
    one: &Contributions<'a>,
    model: &'a str,
    task: &'a str,
    baseline: &'a str,
) -> Vec<Line<'a>> {
    let line = |by: By, group: String, share: f64, difference: Option<f64>, found: &Comparison| Line {
        model,
        task,
        encoding: one.encoding,
        baseline,
        by: by.to_string(),
        group,
        share,
        difference,
        contribution: found.estimate.value,
        ci_low: found.estimate.low,
        ci_high: found.estimate.high,
    };
    let mut lines = Vec::new();
    for by in [By::Copy, By::Reference, By::Definition] {
        let parts: Vec<&Part> = one.parts.iter().filter(|part| part.by == by).collect();
        if parts.is_empty() {
            continue;
        }
        let of =
            |part: &&Part| line(by, part.back.to_string(), part.share, part.difference, &part.contribution);
        lines.extend(parts.iter().map(of));
        lines.push(line(by, "total".into(), 1.0, Some(one.total.estimate.value), &one.total));
    }
    lines
}
