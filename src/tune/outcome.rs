//! What a search found: in words, as a row to paste, as a table of all trials and as a picture of its path.

use std::fmt::Write;
use std::path::Path;

use longcode_stats::{Among, Bootstrap, Comparison, Estimate, FEWEST, Pair};

use super::objective::Objective;
use crate::config::{Config, EncodingEntry};
use crate::draw::chart::{Chart, Curve, DataPoint};
use crate::draw::number::{difference, difference_and_interval, interval, number};
use crate::draw::png::png;
use crate::draw::quote::{csv_cell, markdown as escape};
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_whole;

/// Rows of a rung that are named in words.
const NAMED: usize = 3;

/// A rung after the comparison.
pub(super) struct Compared {
    /// How many documents it had.
    pub(super) documents: usize,
    /// Rows and their figures, best first.
    pub(super) figures: Vec<(usize, f64)>,
    /// How many of them were kept.
    pub(super) kept: usize,
    /// The baseline's figure on the same documents.
    pub(super) baseline: Option<f64>,
}

/// The path of a search, and its choice on documents that had no part in it.
pub(super) struct Choice<'a> {
    config: &'a Config,
    objective: Objective,
    path: Vec<Compared>,
    /// The chosen row and the runner-up.
    best: [usize; 2],
    /// Their figures on the other documents.
    checked: [Estimate; 2],
    /// The chosen one's figure minus the runner-up's, paired.
    to_second: Comparison,
    /// The chosen one's figure minus the baseline's, paired.
    to_baseline: Option<Comparison>,
    /// On how many of the other documents each of these rows failed; no figure includes those.
    failed: Vec<usize>,
}

impl<'a> Choice<'a> {
    /// `pairs`: the parts of the chosen row, of the runner-up and, if there is one, of the baseline in the
    /// objective, one for each document that had no part in the choice.
    pub(super) fn new(
        config: &'a Config,
        objective: Objective,
        path: Vec<Compared>,
        best: [usize; 2],
        bootstrap: &Bootstrap,
        pairs: &[Vec<Pair>],
        failed: Vec<usize>,
    ) -> Choice<'a> {
        let scale = objective.scale();
        let less =
            |other: &Vec<Pair>| bootstrap.compare(&pairs[0], other, scale, Among::Baseline(pairs.len()));
        Choice {
            config,
            objective,
            path,
            best,
            checked: [0, 1].map(|n| bootstrap.estimate(&pairs[n], scale)),
            to_second: less(&pairs[1]),
            to_baseline: pairs.get(2).map(less),
            failed,
        }
    }

    /// Writes `tune.md`, `trials.csv`, `best.toml` and the picture, `path.svg` and `path.png`.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub(super) fn write(&self, out: &Path) -> Result<()> {
        let svg = self.picture();
        let bytes = png(&svg).ok_or_else(|| {
            Error::new(ErrorKind::Write, "the picture cannot be drawn")
                .in_file(&out.join("path.png"))
                .fix("shorten the names in the config: they are its labels")
        })?;
        write_whole(&out.join("trials.csv"), self.csv().as_bytes())?;
        write_whole(&out.join("best.toml"), self.row().as_bytes())?;
        write_whole(&out.join("path.svg"), svg.as_bytes())?;
        write_whole(&out.join("path.png"), &bytes)?;
        write_whole(&out.join("tune.md"), self.markdown().as_bytes())
    }

    /// The words for a terminal and `tune.md`.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", escape(&self.config.name));
        let documents = self.path.last().map_or(0, |rung| rung.documents);
        let (rows, unseen) = (self.path[0].figures.len(), self.checked[0].n);
        let (model, task) = (escape(&self.config.models[0].name), &self.config.tasks[0]);
        let objective = self.objective.words(task);
        let _ = writeln!(
            text,
            "{rows} rows on {model}, {}, for the best {objective}: chosen by {documents} documents, measured on \
             {unseen} others.\n",
            escape(&task.name)
        );
        text.push_str(&self.rungs());
        let [best, second] = self.best.map(|row| escape(self.name(row)));
        let _ = writeln!(text, "\nChosen: **{best}**; runner-up: {second}.\n");
        let [of_best, of_second] = self.checked.map(|e| format!("{} {}", number(e.value), interval(&e)));
        let _ = writeln!(text, "On the {unseen} documents that had no part in the choice:\n");
        let _ = writeln!(text, "- {best}: {of_best}\n- {second}: {of_second}");
        let _ = writeln!(text, "- less the runner-up's: {}", self.difference_in_words(&self.to_second));
        if let Some(to_baseline) = &self.to_baseline {
            let advantage = if self.objective.beyond() {
                format!(
                    " (a context advantage of {})",
                    difference(-to_baseline.estimate.value, self.checked[0].value)
                )
            } else {
                String::new()
            };
            let _ =
                writeln!(text, "- less the baseline's: {}{advantage}", self.difference_in_words(to_baseline));
        }
        text.push_str(&self.failures());
        let _ = writeln!(text, "\nTo paste:\n\n```toml\n{}```", self.row());
        text
    }

    /// Which rows failed on documents; empty if none did.
    fn failures(&self) -> String {
        let mut text = String::new();
        if self.path.iter().flat_map(|rung| &rung.figures).any(|(_, figure)| figure.is_infinite()) {
            text.push_str(
                "\nA row with `inf` failed on a document (samples.jsonl says why), and comes last.\n",
            );
        }
        let names = self.best.map(|row| escape(self.name(row))).into_iter().chain(["the baseline".into()]);
        for (name, failed) in names.zip(&self.failed).filter(|(_, failed)| **failed > 0) {
            let _ = writeln!(
                text,
                "\n**{name} failed on {failed} of the other documents**; the figures are over the others."
            );
        }
        text
    }

    /// The rungs as a table.
    fn rungs(&self) -> String {
        let mut text = String::from("| rung | documents | rows | best |\n| ---: | ---: | ---: | --- |\n");
        for (place, rung) in self.path.iter().enumerate() {
            let named = rung.figures.iter().take(NAMED);
            let named = named.map(|(row, figure)| format!("{} {}", escape(self.name(*row)), number(*figure)));
            let mut names: Vec<String> = named.collect();
            names.extend(rung.baseline.map(|figure| format!("(baseline {})", number(figure))));
            let (documents, rows) = (rung.documents, rung.figures.len());
            let _ = writeln!(text, "| {} | {documents} | {rows} | {} |", place + 1, names.join("; "));
        }
        text
    }

    /// A difference from the chosen row on the other documents, and whether it is significant.
    fn difference_in_words(&self, found: &Comparison) -> String {
        let (value, interval) = difference_and_interval(found, self.checked[0].value);
        let words = words(found, self.objective, &value);
        format!("{value} {interval}, {words}")
    }

    /// The chosen row of `[[encoding]]`, with every key.
    fn row(&self) -> String {
        let entry = &self.config.encodings[self.best[0]];
        let mut table = toml::Table::from_iter([
            ("name".into(), toml::Value::String(family(entry))),
            ("kind".into(), toml::Value::String(entry.spec.kind.into())),
        ]);
        table.extend(entry.spec.keys.clone());
        format!("[[encoding]]\n{table}")
    }

    /// Every row on every rung.
    fn csv(&self) -> String {
        let mut text = String::from("rung,documents,encoding,value,place,kept\n");
        let quoted = |name: &str| format!("\"{}\"", csv_cell(name).replace('"', "\"\""));
        for (number, rung) in self.path.iter().enumerate() {
            for (place, (row, figure)) in rung.figures.iter().enumerate() {
                let (documents, kept) = (rung.documents, place < rung.kept);
                let _ = writeln!(
                    text,
                    "{},{documents},{},{figure},{},{kept}",
                    number + 1,
                    quoted(self.name(*row)),
                    place + 1
                );
            }
        }
        for (place, (row, estimate)) in self.best.iter().zip(&self.checked).enumerate() {
            let (name, documents) = (quoted(self.name(*row)), estimate.n);
            let _ =
                writeln!(text, "check,{documents},{name},{},{},{}", estimate.value, place + 1, place == 0);
        }
        text
    }

    /// How much worse than the chosen row each one was, rung by rung, on the same documents.
    fn picture(&self) -> String {
        let best = self.best[0];
        let worse_by = |rung: &Compared, row: usize| {
            rung.figures.iter().find(|(other, _)| *other == row).map(|(_, figure)| *figure)
        };
        let worse = |tick: usize, rung: &Compared, row: usize| {
            let value = self.objective.worse(worse_by(rung, row)? - worse_by(rung, best)?);
            Some(DataPoint { tick, value, low: value, high: value })
        };
        let rows = (0..self.path[0].figures.len()).map(|row| {
            let points: Vec<DataPoint> =
                self.path.iter().enumerate().filter_map(|(tick, rung)| worse(tick, rung, row)).collect();
            (row, points)
        });
        // Rows that got beyond the middle of the path are named.
        let named = |points: &[DataPoint]| points.len() > self.path.len() / 2;
        let mut styles = 0..;
        let curves: Vec<Curve> = rows
            .map(|(row, points)| Curve {
                name: self.name(row).into(),
                style: named(&points).then(|| styles.next().expect("no end")),
                points,
            })
            .collect();
        let second_rung = curves.iter().filter(|curve| curve.points.len() > 1);
        let highest = second_rung
            .flat_map(|curve| curve.points.iter().map(|point| point.value))
            .fold(f64::NEG_INFINITY, f64::max);
        let chart = Chart {
            title: format!("{}: the path of the search", self.config.name),
            x: "rows that were left, and the documents that they were compared on".into(),
            y: format!("{}, worse than the chosen", self.objective.short()),
            ticks: self.path.iter().map(tick).collect(),
            limit: None,
            // A round number, as the picture shows it.
            lowest: f64::NEG_INFINITY,
            highest: if highest > 0.0 { (200.0 * highest).ceil() / 100.0 } else { f64::INFINITY },
            curves,
        };
        chart.svg()
    }

    fn name(&self, row: usize) -> &'a str {
        &self.config.encodings[row].name
    }
}

/// Whether a difference that is shown as `value` is significant, in words.
fn words(found: &Comparison, objective: Objective, value: &str) -> &'static str {
    let shown_as_nothing = value.trim_start_matches(['+', '-']).parse() == Ok(0.0);
    match (found.told_apart(), objective.worse(found.estimate.value) < 0.0) {
        (true, _) if shown_as_nothing => "the same as far as these digits go",
        (true, _) if objective.hardly_differs(found.estimate.value) => {
            "told apart, by too little to be worth naming"
        }
        (true, true) => "told apart, the chosen one is better",
        (true, false) => "told apart, the chosen one is worse",
        (false, _) if found.estimate.n < FEWEST => "too few documents to tell apart",
        (false, _) => "not told apart",
    }
}

/// The name of a row without its sweep's values.
fn family(entry: &EncodingEntry) -> String {
    entry.sweep.as_ref().map_or(&entry.name, |sweep| &sweep.of).clone()
}

/// A rung as a category of the picture.
fn tick(rung: &Compared) -> String {
    format!("{} by {}", rung.figures.len(), rung.documents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::number::difference;

    #[test]
    fn a_difference_that_hardly_shows_is_not_named() {
        for (value, n, expected) in [
            (-0.0003, 16, "the same as far as these digits go"),
            (0.0004, 16, "the same as far as these digits go"),
            (-0.004, 16, "told apart, by too little to be worth naming"),
            (0.0049, 16, "told apart, by too little to be worth naming"),
            (-0.006, 16, "told apart, the chosen one is better"),
            (0.006, 16, "told apart, the chosen one is worse"),
            (-0.006, 4, "too few documents to tell apart"),
        ] {
            let (low, high) = (value - 0.0001, value + 0.0001);
            let estimate = Estimate { value, low, high, stderr: 0.00005, n };
            let found = Comparison { estimate, low, high };
            assert_eq!(words(&found, Objective::OF_LOSSES, &difference(value, 2.0)), expected, "{value} {n}");
        }
    }
}
