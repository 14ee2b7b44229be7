//! What structure is worth as a table, a picture and lines of structure.csv.

use serde::Serialize;

use super::controls::{Placebo, family, unit};
use super::{Against, Structure, is_of_one_row};
use crate::draw::dots::{Dots, Link, Star};
use crate::draw::number::{difference_and_interval, number};
use crate::report::table::{Cell, Column, Content, Table};
use crate::task::Group;

impl<'a> Structure<'a> {
    /// The comparisons, one a row.
    pub(in crate::report) fn table(&self) -> Table {
        let has_lengths = self.against.iter().all(|one| one.mean_lengths[0].is_some());
        let lengths = has_lengths.then_some("tokens a segment");
        let names = lengths.into_iter().chain(["unit", "control", "worth", "told apart"]);
        let samples = self.counts();
        let column = |name: &str| Column { name: name.into(), beyond: false, samples: samples.clone() };
        let title = format!(
            "{}{}, of each unit and of its controls, and what the unit is worth over the control: above 0 it is better \
             (paired{}).",
            self.metric.title(),
            self.positions(),
            self.at_once("; intervals hold")
        );
        Table {
            title,
            metric: self.metric,
            content: Content::Structure,
            columns: names.map(column).collect(),
            rows: self.against.iter().map(|one| one.row(has_lengths)).collect(),
        }
    }

    /// Samples of the comparisons; a range where they have different ones.
    fn counts(&self) -> String {
        let counts = || self.against.iter().map(|one| one.worth.estimate.n);
        match (counts().min(), counts().max()) {
            (Some(least), Some(most)) if least < most => format!("{least}-{most}"),
            (_, most) => most.unwrap_or(0).to_string(),
        }
    }

    /// What the picture shows, in words.
    pub(in crate::report) fn picture_title(&self) -> String {
        format!("{} by segment length", self.metric.words())
    }

    /// The figure against the mean length of a segment; none where the lengths are not known.
    pub(in crate::report) fn picture(&self, title: String) -> Option<String> {
        let links = |all: &[Against<'a>]| all.iter().map(Against::link).collect::<Option<Vec<Link>>>();
        let star = |all: &[Against<'a>]| Some(Star { name: all[0].name(), links: links(all)? });
        let stars: Option<Vec<Star>> = self.against.chunk_by(is_of_one_row).map(star).collect();
        let dots = Dots {
            title,
            x: "mean length of a segment, tokens".into(),
            y: format!("{}{}", self.metric.axis_title(), self.positions()),
            centre: "the unit",
            signs: [Placebo::File, Placebo::Even, Placebo::Shuffled].map(Placebo::words),
            stars: stars?,
        };
        Some(dots.svg())
    }

    /// Lines of structure.csv.
    pub(in crate::report) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.against.iter().map(|one| Line {
            model: self.model,
            task: self.task,
            encoding: &one.real.name,
            unit: unit(one.real),
            control: unit(one.control),
            metric: match self.group {
                Group::All => self.metric.name.into(),
                group => format!("{} {group}", self.metric.name),
            },
            difference: one.worth.estimate.value,
            ci_low: one.worth.low,
            ci_high: one.worth.high,
            mean_length: one.mean_lengths[0],
        })
    }
}

/// One line of structure.csv.
#[derive(Serialize)]
pub(in crate::report) struct Line<'a> {
    model: &'a str,
    task: &'a str,
    encoding: &'a str,
    unit: String,
    control: String,
    metric: String,
    difference: f64,
    ci_low: f64,
    ci_high: f64,
    mean_length: Option<f64>,
}

impl Against<'_> {
    /// Row and unit.
    fn name(&self) -> String {
        format!("{}: {}", family(self.real), unit(self.real))
    }

    fn row(&self, has_lengths: bool) -> (String, Vec<Cell>) {
        let (worth, interval) = difference_and_interval(&self.worth, self.values[0]);
        let apart = if self.has_too_few() {
            "too few samples"
        } else if self.worth.told_apart() {
            "yes"
        } else {
            "no"
        };
        let lengths = self.mean_lengths[0].filter(|_| has_lengths).map(measured);
        let worth = Cell { interval: Some(interval), ..cell(worth, Some(self.worth.estimate.value)) };
        let others = [measured(self.values[0]), measured(self.values[1]), worth, cell(apart.into(), None)];
        (
            format!("{} against {}", self.name(), unit(self.control)),
            lengths.into_iter().chain(others).collect(),
        )
    }

    /// None where a length is not known.
    fn link(&self) -> Option<Link> {
        let [from, to] = [0, 1].map(|n| Some((self.mean_lengths[n]?, self.values[n])));
        Some(Link { from: from?, to: to?, sign: self.replaced.by as usize })
    }
}

fn cell(text: String, value: Option<f64>) -> Cell {
    Cell { text, value, ..Cell::default() }
}

fn measured(value: f64) -> Cell {
    cell(number(value), Some(value))
}
