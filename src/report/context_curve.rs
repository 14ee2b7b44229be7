//! Context curves: the loss of the same tokens, or the share of the same samples that hit, by how much context an
//! encoding is given. Rows of one kind that differ in `context` alone are the points of a curve.

mod family;
mod shown;

use std::collections::HashMap;

use longcode_stats::curve::{gaining, gains};
use longcode_stats::{Comparison, Estimate, FEWEST, Pair};

use super::Section;
use super::figures::{Bootstraps, Measurements, shared_by_all};
use crate::config::TaskEntry;
use crate::draw::number::grouped;
use crate::error::Result;
use crate::store::{Results, StoredSample};
use crate::task::{Better, Group, Metric};
use family::{Family, families};

/// The curves of one model on one task, all of them over the same positions or samples.
#[derive(Debug)]
pub(super) struct ContextCurves {
    metric: Metric,
    over: Over,
    /// Tokens of the longest sample.
    longest: usize,
    curves: Vec<ContextCurve>,
}

/// What the points of the curves are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Tokens from this position on, of all samples that reach it: the first stored border at or beyond the largest
    /// context.
    Positions(usize),
    /// Samples of more tokens than this, the largest context.
    LongerThan(usize),
}

/// How well one kind does by how much context it is given.
#[derive(Debug)]
struct ContextCurve {
    name: String,
    kind: &'static str,
    points: Vec<Point>,
}

#[derive(Debug)]
struct Point {
    /// The row's name.
    encoding: String,
    /// Tokens; none: all.
    context: Option<usize>,
    estimate: Estimate,
    /// Over the point before it, above 0 where this one is better; none of the first. Its wide interval holds for all
    /// steps of the curve at once.
    gain: Option<Comparison>,
}

/// How much context a curve makes use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effective {
    /// Fewer than [`FEWEST`] samples.
    TooFew,
    /// The first two points are no doubling.
    NoDoubling,
    /// The least context that was given: its doubling gains nothing.
    AtMost(usize),
    /// The largest context up to which every doubling gains; the next does not.
    UpTo(usize),
    /// The same, and no doubling was given beyond.
    AtLeast(usize),
}

impl Effective {
    /// From the contexts of a curve's points, and of how many of its first steps gain.
    fn of(contexts: &[Option<usize>], gaining: usize, samples: usize) -> Effective {
        let doubles = |pair: &&[Option<usize>]| matches!(pair, [Some(a), Some(b)] if 2 * a == *b);
        let doublings = contexts.windows(2).take_while(doubles).count();
        let at = |steps: usize| contexts[steps].unwrap_or_default();
        match gaining.min(doublings) {
            _ if samples < FEWEST => Effective::TooFew,
            _ if doublings == 0 => Effective::NoDoubling,
            steps if steps == doublings => Effective::AtLeast(at(steps)),
            0 => Effective::AtMost(at(0)),
            steps => Effective::UpTo(at(steps)),
        }
    }

    /// As a table sorts by it.
    fn value(self) -> Option<f64> {
        match self {
            Effective::TooFew | Effective::NoDoubling => None,
            Effective::AtMost(tokens) | Effective::UpTo(tokens) | Effective::AtLeast(tokens) => {
                Some(tokens as f64)
            }
        }
    }
}

impl ContextCurve {
    fn effective(&self) -> Effective {
        let contexts: Vec<_> = self.points.iter().map(|point| point.context).collect();
        let gains: Vec<Comparison> = self.points.iter().filter_map(|point| point.gain).collect();
        Effective::of(&contexts, gaining(&gains), self.samples())
    }

    /// Samples of every point.
    fn samples(&self) -> usize {
        self.points.first().map_or(0, |point| point.estimate.n)
    }
}

/// Finds the curves of every section, and puts their tables into it. Gives what must be said of rows that are in none.
///
/// # Errors
/// [`crate::error::ErrorKind::Results`] for a stored outcome that its task cannot read.
pub(super) fn add(
    results: &Results,
    measured: &Measurements,
    sections: &mut [Section],
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let bootstraps = Bootstraps::new(results.config.seed);
    for section in sections {
        let (families, of_rows) = families(&results.encodings_of(&section.model)?);
        for note in of_rows {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        if families.is_empty() {
            continue;
        }
        let maker = Maker::new(results, measured, &bootstraps, section);
        let made = maker.curves(&families, &mut notes)?;
        if let Some(curves) = &made {
            shown::add_tables(curves, section);
        }
        section.context_curves = made;
    }
    Ok(notes)
}

/// Makes the curves of one section.
struct Maker<'a> {
    results: &'a Results,
    measured: &'a Measurements<'a>,
    bootstraps: &'a Bootstraps,
    task: &'a TaskEntry,
    model: &'a str,
    samples: Vec<&'a StoredSample>,
    longest: usize,
}

impl<'a> Maker<'a> {
    fn new(
        results: &'a Results,
        measured: &'a Measurements<'a>,
        bootstraps: &'a Bootstraps,
        section: &'a Section,
    ) -> Maker<'a> {
        let config = &results.config;
        let task = config.tasks.iter().find(|task| task.name == section.task);
        let task = task.expect("a section's task is in the config");
        let of_section = |one: &&StoredSample| {
            config.models[one.model].name == section.model && config.tasks[one.task].name == section.task
        };
        let samples: Vec<&StoredSample> = results.samples.iter().filter(of_section).collect();
        let longest = samples.iter().map(|one| one.tokens).max().unwrap_or(0);
        Maker { results, measured, bootstraps, task, model: &section.model, samples, longest }
    }

    /// The curves of all families that have one here; none without any.
    fn curves(&self, families: &[Family], notes: &mut Vec<String>) -> Result<Option<ContextCurves>> {
        let Some(metric) = self.metric() else { return Ok(None) };
        let contexts = || families.iter().flat_map(|family| &family.rows).filter_map(|row| row.context);
        if contexts().any(|context| context >= self.longest) {
            notes.push(self.too_long(contexts()));
        }
        let Some(largest) = contexts().filter(|&context| context < self.longest).max() else {
            return Ok(None);
        };
        let over = self.task.task.border(largest).map_or(Over::LongerThan(largest), Over::Positions);
        let mut curves = Vec::new();
        for family in families {
            curves.extend(self.curve(family, metric, over)?);
        }
        let made = ContextCurves { metric, over, longest: self.longest, curves };
        Ok(Some(made).filter(|made| !made.curves.is_empty()))
    }

    /// What the curves are of: of a perplexity the loss.
    fn metric(&self) -> Option<Metric> {
        let metrics = self.task.task.metrics();
        let first = metrics.first()?;
        metrics.iter().find(|metric| metric.name == first.of).copied()
    }

    /// That some contexts read all there is.
    fn too_long(&self, contexts: impl Iterator<Item = usize>) -> String {
        let mut above: Vec<usize> = contexts.filter(|&context| context >= self.longest).collect();
        above.sort_unstable();
        above.dedup();
        let above: Vec<String> = above.into_iter().map(grouped).collect();
        format!(
            "No curve of {} on {} has a point at a context of {}: the longest sample has {} tokens, all of which it reads.",
            self.model,
            self.task.name,
            above.join(", "),
            grouped(self.longest)
        )
    }

    /// The curve of a family; none where fewer than two limited rows have samples in common.
    fn curve(&self, family: &Family, metric: Metric, over: Over) -> Result<Option<ContextCurve>> {
        let mut rows = Vec::new();
        for row in family.rows.iter().filter(|row| row.context.is_none_or(|tokens| tokens < self.longest)) {
            let pairs = self.pairs(row.encoding, metric, over)?;
            if !pairs.is_empty() {
                rows.push((row, pairs));
            }
        }
        let all: Vec<&[(usize, Pair)]> = rows.iter().map(|(_, pairs)| &pairs[..]).collect();
        let (numbers, figures) = shared_by_all(&all);
        if rows.iter().filter(|(row, _)| row.context.is_some()).count() < 2 || numbers.is_empty() {
            return Ok(None);
        }
        let figures: Vec<&[Pair]> = figures.iter().map(Vec::as_slice).collect();
        let bootstrap = self.bootstraps.of(self.measured.design(&self.task.name, &numbers));
        let sign = if metric.better == Better::Lower { 1.0 } else { -1.0 };
        let gains = gains(&bootstrap, &figures, metric.scale(), sign).into_iter().map(Some);
        let gains = std::iter::once(None).chain(gains);
        let point = |(((row, _), pairs), gain): ((&(&family::OfFamily, _), &&[Pair]), _)| Point {
            encoding: self.results.config.encodings[row.encoding].name.clone(),
            context: row.context,
            estimate: bootstrap.estimate(pairs, metric.scale()),
            gain,
        };
        let points = rows.iter().zip(&figures).zip(gains).map(point).collect();
        Ok(Some(ContextCurve { name: family.name.clone(), kind: family.kind, points }))
    }

    /// What each sample has in a point, by the sample's number, ascending.
    fn pairs(&self, encoding: usize, metric: Metric, over: Over) -> Result<Vec<(usize, Pair)>> {
        let key = [self.model, &self.results.config.encodings[encoding].name, &self.task.name];
        match over {
            Over::Positions(from) => self.measured.pairs_from(self.results, key, from),
            Over::LongerThan(tokens) => Ok(self.of_whole(key, metric, tokens)),
        }
    }

    /// Figures of whole samples, of those that are longer than a context.
    fn of_whole(&self, key: [&str; 3], metric: Metric, tokens: usize) -> Vec<(usize, Pair)> {
        let number = |one: &StoredSample| self.measured.number(&self.results.config, one);
        let lengths: HashMap<usize, usize> =
            self.samples.iter().map(|one| (number(one), one.tokens)).collect();
        let pairs = self.measured.pairs(key, Group::All, &metric);
        pairs.iter().filter(|(number, _)| lengths.get(number) > Some(&tokens)).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(contexts: &[usize], gaining: usize, samples: usize) -> Effective {
        let contexts: Vec<_> = contexts.iter().map(|&tokens| (tokens > 0).then_some(tokens)).collect();
        Effective::of(&contexts, gaining, samples)
    }

    #[test]
    fn every_doubling_up_to_it_gains() {
        let contexts = [128, 256, 512, 1024, 0];
        assert_eq!(of(&contexts, 2, 10), Effective::UpTo(512));
        assert_eq!(of(&contexts, 1, 10), Effective::UpTo(256));
        assert_eq!(of(&contexts, 0, 10), Effective::AtMost(128));
    }

    #[test]
    fn beyond_the_last_doubling_nothing_is_claimed() {
        for gaining in [3, 4] {
            assert_eq!(of(&[128, 256, 512, 1024, 0], gaining, 10), Effective::AtLeast(1024));
        }
        assert_eq!(of(&[128, 256, 1024, 2048], 3, 10), Effective::AtLeast(256), "a gap of two doublings");
    }

    #[test]
    fn few_documents_and_points_that_do_not_double_have_none() {
        assert_eq!(of(&[128, 256, 512], 2, 5), Effective::TooFew);
        assert_eq!(of(&[128, 300, 600], 2, 10), Effective::NoDoubling);
        assert_eq!(of(&[512, 0], 1, 10), Effective::NoDoubling);
        assert_eq!(of(&[128, 300, 600], 2, 10).value(), None);
    }
}
