//! Which pictures a report has: curves by position, by bucket and by the value of a sweep, and grids.

use std::collections::{BTreeSet, HashSet};

use super::chart::{Chart, Curve, Value};
use super::heatmap::{HeatMap, Panel};
use super::section::{of_samples, words};
use super::{Row, Section};
use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::store::Results;
use crate::task::{Better, Group, Metric, Span};

/// Most nats shown: a model that guesses evenly among 22,000 tokens.
const HIGHEST_LOSS: f64 = 10.0;

/// A picture of a section.
#[derive(Debug)]
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// The SVG file's content.
    pub svg: String,
    name: String,
}

impl Picture {
    /// Its file as SVG.
    pub fn svg_file(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// Its file as PNG.
    pub fn png_file(&self) -> String {
        format!("{}.png", self.name)
    }
}

/// Draws every section's pictures.
pub(super) fn pictures(results: &Results, rows: &[Row], sections: &mut [Section]) {
    let mut names = FileNames::default();
    for section in sections {
        let rows: Vec<&Row> =
            rows.iter().filter(|row| row.model == section.model && row.task == section.task).collect();
        let task = results.config.tasks.iter().find(|task| task.name == section.task);
        let Some(task) = task else { continue };
        let of = Drawn { config: &results.config, task, rows, trained_length: section.trained_length };
        let title = format!("{} on {}", section.model, section.task);
        section.pictures = of
            .all()
            .into_iter()
            .map(|(what, draw)| Picture {
                title: format!("{title}: {what}"),
                svg: draw(&format!("{title}: {what}")),
                name: names.unique(&format!("{}-{}-{what}", section.model, section.task)),
            })
            .collect();
    }
}

/// What a picture shows, and how it is drawn under a title.
type Sketch<'a> = (String, Box<dyn FnOnce(&str) -> String + 'a>);

/// One model's figures on one task.
struct Drawn<'a> {
    config: &'a Config,
    task: &'a TaskEntry,
    rows: Vec<&'a Row>,
    trained_length: usize,
}

impl<'a> Drawn<'a> {
    fn all(&self) -> Vec<Sketch<'a>> {
        let metrics = self.task.task.metrics();
        // Losses are drawn, not their exp: a collapse would flatten every other curve.
        let main = metrics.iter().find(|metric| metric.name == "loss").or(metrics.first());
        let mut sketches = Vec::new();
        if let Some(metric) = main {
            sketches.extend(self.by_span(
                metric,
                "position",
                "position of the token in the document",
                position,
            ));
            sketches.extend(self.by_span(metric, "bucket", "bucket of the sample", bucket));
            sketches.extend(self.sweeps(metric));
        }
        sketches.extend(metrics.iter().filter_map(|metric| self.grid(metric)));
        sketches
    }

    /// Curves over buckets; none where there are fewer than two.
    fn by_span(
        &self,
        metric: &Metric,
        by: &str,
        x: &'static str,
        span: fn(&Group) -> Option<Span>,
    ) -> Option<Sketch<'a>> {
        let rows: Vec<(Span, &Row)> =
            self.rows_of(metric).filter_map(|row| Some((span(&row.group)?, row))).collect();
        let spans: Vec<Span> =
            rows.iter().map(|(span, _)| *span).collect::<BTreeSet<_>>().into_iter().collect();
        if spans.len() < 2 {
            return None;
        }
        let curve = |encoding: &EncodingEntry| {
            let of = |(tick, span): (usize, &Span)| {
                let found = rows.iter().find(|(own, row)| own == span && row.encoding == encoding.name);
                found.map(|(_, row)| value(tick, row))
            };
            let points: Vec<Value> = spans.iter().enumerate().filter_map(of).collect();
            (!points.is_empty()).then(|| Curve { name: encoding.name.clone(), points })
        };
        let curves = self.config.encodings.iter().filter_map(curve).collect();
        let limit = limit(&spans, self.trained_length);
        let ticks = spans.iter().map(Span::to_string).collect();
        Some(self.chart(
            metric,
            format!("{} by {by}", metric.name.replace('_', " ")),
            x,
            ticks,
            limit,
            curves,
        ))
    }

    fn chart(
        &self,
        metric: &Metric,
        what: String,
        x: &'static str,
        ticks: Vec<String>,
        limit: Option<(f64, String)>,
        curves: Vec<Curve>,
    ) -> Sketch<'a> {
        let highest = if metric.name == "loss" { HIGHEST_LOSS } else { f64::INFINITY };
        let y = axis(self.task, metric);
        let draw =
            move |title: &str| Chart { title: title.into(), x, y, ticks, limit, highest, curves }.svg();
        (what, Box::new(draw))
    }

    /// For each key that a sweep goes over, a picture of the metric against its values.
    fn sweeps(&self, metric: &Metric) -> Vec<Sketch<'a>> {
        let mut done: HashSet<(&str, &str)> = HashSet::new();
        let mut sketches = Vec::new();
        for sweep in self.config.encodings.iter().filter_map(|encoding| encoding.sweep.as_ref()) {
            for key in &sweep.keys {
                if done.insert((&sweep.of, key)) {
                    sketches.extend(self.sweep(metric, &sweep.of, key, sweep.keys.len() == 1));
                }
            }
        }
        sketches
    }

    /// The metric against one swept key: a curve for each bucket where the sweep has one key, else a curve
    /// over all samples for each combination of the other keys.
    fn sweep(&self, metric: &Metric, of: &str, key: &str, alone: bool) -> Option<Sketch<'a>> {
        let members: Vec<&EncodingEntry> =
            self.config.encodings.iter().filter(|e| e.sweep.as_ref().is_some_and(|s| s.of == of)).collect();
        let mut ticks: Vec<String> = Vec::new();
        for value in members.iter().filter_map(|encoding| encoding.value(key)) {
            if !ticks.contains(&value) {
                ticks.push(value);
            }
        }
        let mut curves: Vec<Curve> = Vec::new();
        for row in self
            .rows_of(metric)
            .filter(|row| if alone { of_samples(&row.group) } else { row.group == Group::All })
        {
            let Some(encoding) = members.iter().find(|encoding| encoding.name == row.encoding) else {
                continue;
            };
            let tick = ticks.iter().position(|tick| Some(tick) == encoding.value(key).as_ref());
            let name = if alone { row.group.to_string() } else { others(encoding, key) };
            let point = value(tick.expect("every member's value is a tick"), row);
            match curves.iter_mut().find(|curve| curve.name == name) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve { name, points: vec![point] }),
            }
        }
        for curve in &mut curves {
            curve.points.sort_by_key(|point| point.tick);
        }
        let what = format!("{} by {key} of {of}", metric.name.replace('_', " "));
        let x = "value of the swept key";
        (!curves.is_empty()).then(|| self.chart(metric, what, x, ticks, None, curves))
    }

    /// The grid of lengths and depths; none without cells.
    fn grid(&self, metric: &Metric) -> Option<Sketch<'a>> {
        let cell = |row: &&'a Row| match row.group {
            Group::Cell { length, depth } => Some((length, depth, *row)),
            _ => None,
        };
        let cells: Vec<(usize, u8, &Row)> = self.rows_of(metric).filter_map(|row| cell(&row)).collect();
        let lengths: Vec<usize> =
            cells.iter().map(|cell| cell.0).collect::<BTreeSet<_>>().into_iter().collect();
        let depths: Vec<u8> = cells.iter().map(|cell| cell.1).collect::<BTreeSet<_>>().into_iter().collect();
        let panel = |encoding: &EncodingEntry| {
            let of = |length, depth| {
                let found = cells
                    .iter()
                    .find(|(l, d, row)| (*l, *d) == (length, depth) && row.encoding == encoding.name);
                found.map(|(.., row)| row.estimate.value)
            };
            let row = |depth: &u8| lengths.iter().map(|length| of(*length, *depth)).collect();
            Panel { name: encoding.name.clone(), cells: depths.iter().map(row).collect() }
        };
        let measured = |panel: &Panel| panel.cells.iter().flatten().any(Option::is_some);
        let panels: Vec<Panel> = self.config.encodings.iter().map(panel).filter(measured).collect();
        let values = || cells.iter().map(|(.., row)| row.estimate.value);
        let range =
            range(values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max), metric);
        let within = lengths.iter().filter(|length| **length <= self.trained_length).count();
        let words = format!(
            "{}, from {} (dark) to {} (light); dashed line: the training length of {} tokens",
            metric.name.replace('_', " "),
            super::number::number(range.0),
            super::number::number(range.1),
            self.trained_length
        );
        let what = format!("{} by length and depth", metric.name.replace('_', " "));
        let draw = move |title: &str| {
            HeatMap { title: title.into(), lengths, depths, within: (within, words), range, panels }.svg()
        };
        (!cells.is_empty()).then(|| -> Sketch { (what, Box::new(draw)) })
    }

    fn rows_of(&self, metric: &Metric) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().copied().filter(move |row| row.metric == *metric)
    }
}

fn position(group: &Group) -> Option<Span> {
    match group {
        Group::Position(span) => Some(*span),
        _ => None,
    }
}

fn bucket(group: &Group) -> Option<Span> {
    match group {
        Group::Bucket(span) => Some(*span),
        _ => None,
    }
}

fn value(tick: usize, row: &Row) -> Value {
    Value { tick, value: row.estimate.value, low: row.estimate.low, high: row.estimate.high }
}

/// Where the training length lies among the buckets; none where it is not among them.
fn limit(spans: &[Span], trained_length: usize) -> Option<(f64, String)> {
    let number = spans.iter().position(|span| trained_length < span.to)?;
    let span = spans[number];
    let inside = trained_length.saturating_sub(span.from) as f64 / (span.to - span.from) as f64;
    (trained_length > spans[0].from)
        .then(|| (number as f64 - 0.5 + inside, format!("trained to {trained_length}")))
}

/// A metric as an axis's name.
fn axis(task: &TaskEntry, metric: &Metric) -> String {
    match metric.name {
        "loss" => "loss, nats a token".into(),
        name if words(task, metric).ends_with("by bucket") => name.replace('_', " "),
        name => name.into(),
    }
}

/// The swept keys of an encoding but one, with their values.
fn others(encoding: &EncodingEntry, key: &str) -> String {
    let keys = encoding.sweep.iter().flat_map(|sweep| &sweep.keys).filter(|other| *other != key);
    let words: Vec<String> =
        keys.map(|other| format!("{other}={}", encoding.value(other).unwrap_or_default())).collect();
    words.join(" ")
}

/// The scale of a grid: 0 to 1 for shares, what was measured for anything else.
fn range(least: f64, most: f64, metric: &Metric) -> (f64, f64) {
    let share = metric.better == Better::Higher && least >= 0.0 && most <= 1.0;
    if share { (0.0, 1.0) } else { (least, most.max(least + 1e-9)) }
}

/// Names of files, each given once.
#[derive(Default)]
pub(super) struct FileNames(HashSet<String>);

impl FileNames {
    /// A name as a file's, of letters, digits, dots, underscores and dashes; numbered where an earlier one
    /// reads the same, also on a disk that does not tell capitals from small letters.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        let mut names = [name.clone()].into_iter().chain((2..).map(|n| format!("{name}-{n}")));
        names.find(|name| self.0.insert(name.to_lowercase())).expect("there is always another number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_the_same_are_numbered() {
        let mut names = FileNames::default();
        let given = ["a b", "a-b", "A b", "c"].map(|name| names.unique(name));
        assert_eq!(given, ["a-b", "a-b-2", "A-b-3", "c"]);
    }

    #[test]
    fn the_training_length_among_buckets() {
        let spans = [(0, 512), (512, 1024), (1024, 4096)].map(|(from, to)| Span { from, to });
        assert_eq!(limit(&spans, 512).unwrap().0, 0.5);
        assert_eq!(limit(&spans, 768).unwrap().0, 1.0);
        assert!(limit(&spans, 4096).is_none());
        assert!(limit(&spans[1..], 512).is_none());
    }
}
