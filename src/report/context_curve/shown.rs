//! Context curves in tables, in a sentence, as a picture and as lines of curve.csv.

use std::borrow::Cow;
use std::collections::BTreeSet;

use longcode_stats::FEWEST;
use serde::Serialize;

use super::{ContextCurve, ContextCurves, Effective, Over, Point};
use crate::config::EncodingEntry;
use crate::draw::chart::{Chart, Curve, DataPoint};
use crate::draw::number::{difference, grouped, interval, number};
use crate::draw::quote::in_list;
use crate::report::{Cell, Column, Content, Section, Table};

/// A column of its own, and beside the context advantage.
const EFFECTIVE: &str = "effective context";

/// A context in the order of the points: all comes last.
type Place = usize;

const ALL: Place = usize::MAX;

fn place(context: Option<usize>) -> Place {
    context.unwrap_or(ALL)
}

fn words(place: Place) -> String {
    if place == ALL { "all".into() } else { place.to_string() }
}

impl std::fmt::Display for Effective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Effective::TooFew | Effective::NoDoubling => f.write_str("-"),
            Effective::AtMost(tokens) => write!(f, "at most {}", grouped(*tokens)),
            Effective::UpTo(tokens) => f.write_str(&grouped(*tokens)),
            Effective::AtLeast(tokens) => write!(f, "at least {}", grouped(*tokens)),
        }
    }
}

impl Effective {
    fn cell(self) -> Cell {
        Cell { text: self.to_string(), value: self.value(), ..Cell::default() }
    }
}

impl std::fmt::Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Over::Positions(from) => write!(f, "at positions from {from} on"),
            Over::LongerThan(tokens) => write!(f, "over samples of more than {tokens} tokens"),
        }
    }
}

/// Puts the tables of the curves at the end of their section, and the effective context beside the context advantage.
pub(super) fn add_tables(curves: &ContextCurves, section: &mut Section) {
    for table in section.tables.iter_mut().filter(|table| table.content == Content::Contributions) {
        if table.columns.first().is_some_and(|column| column.name == "context advantage") {
            curves.add_column(table);
        }
    }
    let trained_length = section.trained_length;
    section.tables.extend([curves.figures(trained_length), curves.gains(trained_length)]);
}

impl ContextCurves {
    /// A curve's effective context stands in the row that is given most.
    fn add_column(&self, table: &mut Table) {
        let samples = self.samples(|_| true);
        table.columns.insert(1, Column { name: EFFECTIVE.into(), beyond: false, samples });
        for (name, cells) in &mut table.rows {
            cells.insert(1, self.effective(name).unwrap_or_default());
        }
    }

    /// The effective context of the curve that ends in a row.
    pub(in crate::report) fn effective(&self, row: &str) -> Option<Cell> {
        let ends_in = |curve: &&ContextCurve| curve.points.last().is_some_and(|last| last.encoding == row);
        self.curves.iter().find(ends_in).map(|curve| curve.effective().cell())
    }

    /// Samples of the curves for which something is so; a range where they have different ones.
    fn samples(&self, wanted: impl Fn(&ContextCurve) -> bool) -> String {
        let counts: BTreeSet<usize> =
            self.curves.iter().filter(|curve| wanted(curve)).map(ContextCurve::samples).collect();
        match (counts.first(), counts.last()) {
            (Some(least), Some(most)) if least < most => format!("{least}-{most}"),
            (_, most) => most.copied().unwrap_or(0).to_string(),
        }
    }

    /// All contexts that some curve has a point at.
    fn places(&self) -> BTreeSet<Place> {
        self.curves.iter().flat_map(|curve| &curve.points).map(|point| place(point.context)).collect()
    }

    fn is_beyond(&self, place: Place, trained_length: usize) -> bool {
        place.min(self.longest) > trained_length
    }

    /// The figure at every context.
    fn figures(&self, trained_length: usize) -> Table {
        let places = self.places();
        let column = |&at: &Place| Column {
            name: words(at),
            beyond: self.is_beyond(at, trained_length),
            samples: self.samples(|curve| curve.at(at).is_some()),
        };
        let row = |curve: &ContextCurve| {
            let cells = places.iter().map(|&at| curve.at(at).map(figure).unwrap_or_default());
            (curve.name.clone(), cells.collect())
        };
        Table {
            title: format!(
                "{} {} by the context that is read, tokens (all: the whole sample).",
                self.metric.title(),
                self.over
            ),
            metric: self.metric,
            content: Content::ByContext,
            columns: places.iter().map(column).collect(),
            rows: self.curves.iter().map(row).collect(),
        }
    }

    /// What every step gains, and how far all of them do.
    fn gains(&self, trained_length: usize) -> Table {
        let steps: BTreeSet<(Place, Place)> = self.curves.iter().flat_map(ContextCurve::steps).collect();
        let step_column = |&(from, to): &(Place, Place)| Column {
            name: format!("{} to {}", words(from), words(to)),
            beyond: self.is_beyond(to, trained_length),
            samples: self.samples(|curve| curve.steps().any(|step| step == (from, to))),
        };
        let first = Column { name: EFFECTIVE.into(), beyond: false, samples: self.samples(|_| true) };
        let row = |curve: &ContextCurve| {
            let step = |&(from, to): &(Place, Place)| {
                let known = curve.steps().any(|step| step == (from, to));
                curve.at(to).filter(|_| known).and_then(gain).unwrap_or_default()
            };
            let cells = std::iter::once(curve.effective().cell()).chain(steps.iter().map(step));
            (curve.name.clone(), cells.collect())
        };
        Table {
            title: format!(
                "What each step of context gains: {} {}, paired, with intervals that hold for all steps of a row at once \
                 (95% of rows). Effective context: the largest up to which every doubling gains, told apart from 0 (at \
                 most: the first gains nothing; at least: none was read beyond; not given with fewer than {FEWEST} samples).",
                self.metric.words(),
                self.over
            ),
            metric: self.metric,
            content: Content::Gains,
            columns: std::iter::once(first).chain(steps.iter().map(step_column)).collect(),
            rows: self.curves.iter().map(row).collect(),
        }
    }

    /// How far the curves reach, in words; `baseline` is the row that differences are taken from.
    pub(in crate::report) fn sentence(&self, model: &str, task: &str, baseline: &EncodingEntry) -> String {
        let known = |curve: &&ContextCurve| curve.effective().value().is_some();
        let mut parts: Vec<String> = self
            .curves
            .iter()
            .filter(known)
            .map(|curve| format!("{} {}{}", curve.name, curve.effective(), curve.later_gains()))
            .collect();
        let unknown = |why: Effective| -> Vec<Cow<str>> {
            let of = self.curves.iter().filter(move |curve| curve.effective() == why);
            of.map(|curve| in_list(&curve.name)).collect()
        };
        for (why, said) in [
            (Effective::TooFew, format!("not given with fewer than {FEWEST} samples")),
            (Effective::NoDoubling, "not given, as the first two contexts are no doubling".into()),
        ] {
            let names = unknown(why);
            if !names.is_empty() {
                parts.push(format!("{}: {said}", names.join(", ")));
            }
        }
        // A value of a sweep is a point of its curve; a row of its own is what others are held against.
        if let Some(context) = baseline.spec.context.filter(|_| baseline.sweep.is_none()) {
            let tokens = grouped(context.tokens);
            parts.push(format!("{} gains nothing beyond {tokens} by definition", baseline.name));
        }
        let samples = self.samples(|_| true);
        format!(
            "Effective context of {model} on {task}, by {} {} (n {samples}): {}.",
            self.metric.words(),
            self.over,
            parts.join("; ")
        )
    }

    /// What the picture shows.
    pub(in crate::report) fn picture_name(&self) -> String {
        format!("{} by context", self.metric.words())
    }

    /// One curve a kind, with a line at the trained length.
    pub(in crate::report) fn picture(&self, title: String, trained_length: usize) -> String {
        let axis = Axis::new(&self.places());
        let curve = |(style, curve): (usize, &ContextCurve)| {
            let point = |point: &Point| DataPoint {
                tick: axis.tick(place(point.context)),
                value: point.estimate.value,
                low: point.estimate.low,
                high: point.estimate.high,
            };
            let points = curve.points.iter().map(point).collect();
            Curve { name: curve.name.clone(), style: Some(style), points }
        };
        Chart {
            title,
            x: format!("context, tokens ({}), {}", axis.scale(), self.over),
            y: self.metric.axis_title(),
            limit: axis.limit(trained_length),
            highest: self.metric.ceiling,
            lowest: f64::NEG_INFINITY,
            curves: self.curves.iter().enumerate().map(curve).collect(),
            ticks: axis.ticks.iter().copied().map(words).collect(),
        }
        .svg()
    }

    /// Lines of curve.csv.
    pub(in crate::report) fn lines<'a>(&'a self, model: &'a str, task: &'a str) -> Vec<Line<'a>> {
        let of_curve = |curve: &'a ContextCurve| {
            let before = std::iter::once(None).chain(curve.points.iter().map(Some));
            curve.points.iter().zip(before).map(move |(point, before)| Line {
                model,
                task,
                curve: &curve.name,
                kind: curve.kind,
                encoding: &point.encoding,
                context: words(place(point.context)),
                over: self.over.to_string(),
                metric: self.metric.name,
                value: point.estimate.value,
                ci_low: point.estimate.ends().map(|ends| ends[0]),
                ci_high: point.estimate.ends().map(|ends| ends[1]),
                before: before.map(|before| words(place(before.context))),
                gain: point.gain.map(|gain| gain.estimate.value),
                gain_low: point.gain.map(|gain| gain.low),
                gain_high: point.gain.map(|gain| gain.high),
                told_apart: point.gain.map(|gain| gain.told_apart()),
                effective: curve.effective().to_string(),
                n: point.estimate.n,
            })
        };
        self.curves.iter().flat_map(of_curve).collect()
    }
}

impl ContextCurve {
    fn at(&self, wanted: Place) -> Option<&Point> {
        self.points.iter().find(|point| place(point.context) == wanted)
    }

    /// The steps beyond the effective context that gain all the same, in words: it must not read as if nothing did.
    fn later_gains(&self) -> String {
        let reach = self.effective().value().unwrap_or_default();
        let gains =
            |point: &Point| point.gain.is_some_and(|gain| gain.told_apart() && gain.estimate.value > 0.0);
        let later = self.points.windows(2).zip(self.steps());
        let later = later.filter(|(pair, (from, _))| *from as f64 >= reach && gains(&pair[1]));
        let later: Vec<String> =
            later.map(|(_, (from, to))| format!("{} to {}", words(from), words(to))).collect();
        if later.is_empty() { String::new() } else { format!(" (later steps gain: {})", later.join(", ")) }
    }

    /// From each context to the next.
    fn steps(&self) -> impl Iterator<Item = (Place, Place)> {
        self.points.windows(2).map(|pair| (place(pair[0].context), place(pair[1].context)))
    }
}

fn figure(point: &Point) -> Cell {
    Cell {
        text: number(point.estimate.value),
        value: Some(point.estimate.value),
        interval: Some(interval(&point.estimate)),
        ..Cell::default()
    }
}

fn gain(point: &Point) -> Option<Cell> {
    let gain = point.gain?;
    let [text, low, high] =
        [gain.estimate.value, gain.low, gain.high].map(|value| difference(value, point.estimate.value));
    let interval = Some(format!("[{low}, {high}]"));
    Some(Cell { text, value: Some(gain.estimate.value), interval, ..Cell::default() })
}

/// One line of curve.csv. `gain_low` and `gain_high` hold for all steps of the curve at once.
#[derive(Serialize)]
pub(in crate::report) struct Line<'a> {
    model: &'a str,
    task: &'a str,
    curve: &'a str,
    kind: &'a str,
    encoding: &'a str,
    context: String,
    over: String,
    metric: &'a str,
    value: f64,
    ci_low: Option<f64>,
    ci_high: Option<f64>,
    before: Option<String>,
    gain: Option<f64>,
    gain_low: Option<f64>,
    gain_high: Option<f64>,
    told_apart: Option<bool>,
    effective: String,
    n: usize,
}

/// The categories of the picture: a doubling each where every context is one of the others times a power of 2, else
/// the contexts as they are.
struct Axis {
    ticks: Vec<Place>,
    doublings: bool,
}

impl Axis {
    fn new(places: &BTreeSet<Place>) -> Axis {
        let limited: Vec<usize> = places.iter().copied().filter(|&at| at != ALL).collect();
        let least = limited.first().copied().unwrap_or(1);
        let is_power = |&at: &usize| at % least == 0 && (at / least).is_power_of_two();
        let doublings = limited.iter().all(is_power);
        let mut ticks = match (doublings, limited.last()) {
            (true, Some(&most)) => {
                std::iter::successors(Some(least), |at| Some(2 * at)).take_while(|&at| at <= most).collect()
            }
            _ => limited,
        };
        ticks.extend(places.get(&ALL));
        Axis { ticks, doublings }
    }

    fn scale(&self) -> &'static str {
        if self.doublings { "log2" } else { "in order" }
    }

    fn tick(&self, at: Place) -> usize {
        self.ticks.iter().position(|&tick| tick == at).unwrap_or_default()
    }

    /// Where the trained length lies among the contexts; none where it is not among them.
    fn limit(&self, trained_length: usize) -> Option<(f64, String)> {
        let words = format!("trained to {trained_length}");
        let log = |tokens: usize| (tokens as f64).log2();
        if let Some(tick) = self.ticks.iter().position(|&tick| tick == trained_length) {
            return Some((tick as f64, words));
        }
        let between = |pair: &[Place]| pair[0] < trained_length && trained_length < pair[1] && pair[1] != ALL;
        let number = self.ticks.windows(2).position(between)?;
        let [from, to] = [self.ticks[number], self.ticks[number + 1]].map(log);
        Some((number as f64 + (log(trained_length) - from) / (to - from), words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_a_place_a_doubling() {
        let axis = Axis::new(&BTreeSet::from([128, 512, 1024, ALL]));
        assert_eq!(axis.ticks, [128, 256, 512, 1024, ALL]);
        assert!((axis.scale(), axis.tick(1024), axis.tick(ALL)) == ("log2", 3, 4));
        assert_eq!(axis.limit(512), Some((2.0, "trained to 512".into())));
        assert!((axis.limit(724).unwrap().0 - 2.5).abs() < 1e-3);
        assert!(axis.limit(64).is_none() && axis.limit(2048).is_none());
        let axis = Axis::new(&BTreeSet::from([100, 300, ALL]));
        assert!(axis.ticks == [100, 300, ALL] && axis.scale() == "in order");
    }

    #[test]
    fn the_effective_context_in_words() {
        let words =
            [Effective::AtMost(64), Effective::UpTo(4096), Effective::AtLeast(1024), Effective::TooFew];
        let words = words.map(|one| one.to_string());
        assert_eq!(words, ["at most 64", "4,096", "at least 1,024", "-"]);
    }
}
