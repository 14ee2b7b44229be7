//! What structure is worth in a sentence.

use std::collections::BTreeSet;

use longcode_stats::{Comparison, FEWEST};

use super::controls::{Placebo, Replaced, family, plural};
use super::{Against, Structure, is_of_one_row};
use crate::task::{Metric, Range};

impl Structure<'_> {
    /// What the report's first page says.
    pub(in crate::report) fn sentence(&self) -> String {
        let mut parts: Vec<String> =
            self.against.chunk_by(is_of_one_row).map(|all| self.of_row(all)).collect();
        if self.against.iter().any(|one| one.worth.estimate.n >= FEWEST) {
            let title = self.metric.title();
            parts.push(format!("{title}{}{}.", self.positions(), self.at_once(", with intervals that hold")));
        }
        parts.join(" ")
    }

    /// Of one row: what is told apart, what is not, and what part that is of the row's gain.
    fn of_row(&self, all: &[Against]) -> String {
        let name = self.heading(&all[0]);
        if all.iter().all(Against::has_too_few) {
            return format!(
                "Structure ({name}): fewer than {FEWEST} samples, too few to tell what it is worth."
            );
        }
        let clauses: Vec<String> = [gains(all, &self.metric), losses(all, &self.metric), undecided(all)]
            .into_iter()
            .flatten()
            .chain(too_few(all))
            .collect();
        format!("Structure ({name}): {}{}.", clauses.join(", "), share_of_gain(all).unwrap_or_default())
    }

    /// The units in words, with the row's name where units of several rows are compared.
    fn heading(&self, one: &Against) -> String {
        let families: BTreeSet<String> = self.against.iter().map(|one| family(one.real)).collect();
        match families.len() {
            1 => one.unit_words(),
            _ => format!("{}; {}", one.unit_words(), family(one.real)),
        }
    }

    /// ` at positions from 512 on`, where not all count.
    pub(super) fn positions(&self) -> String {
        self.group.from().map_or(String::new(), |from| format!(" at positions from {from} on"))
    }

    /// For how many comparisons intervals hold, where it is not one alone.
    pub(super) fn at_once(&self, beginning: &str) -> String {
        match self.against.len() {
            1 => String::new(),
            count => format!("{beginning} for all {count} comparisons at once"),
        }
    }
}

impl Against<'_> {
    pub(super) fn has_too_few(&self) -> bool {
        self.worth.estimate.n < FEWEST
    }

    /// Whether the unit is told apart from its control, and better.
    fn is_worth(&self) -> bool {
        self.worth.told_apart() && self.worth.estimate.value > 0.0
    }

    /// The row's units, as `functions` or `statements and functions`.
    fn unit_words(&self) -> String {
        let words: Vec<String> = self.real.spec.units().iter().map(|unit| plural(*unit)).collect();
        words.join(" and ")
    }

    /// The control, as `functions in the wrong places`.
    fn control_words(&self) -> String {
        let Replaced { by, level, all } = self.replaced;
        let replaced = if all { self.unit_words() } else { plural(self.real.spec.units()[level]) };
        let words = match by {
            Placebo::File => "one segment",
            Placebo::Even => "as many blocks of equal length",
            Placebo::Shuffled => return format!("{replaced} {}", by.words()),
        };
        if all { words.into() } else { format!("{words} in place of {replaced}") }
    }
}

/// `worth 0.004 [0.002, 0.008] nats a token over one segment`.
fn gains(all: &[Against], metric: &Metric) -> Option<String> {
    let found: Vec<&Against> = all.iter().filter(|one| one.is_worth()).collect();
    let clause = |(number, one): (usize, &&Against)| {
        let unit = if number == 0 { format!(" {}", unit_of(metric)) } else { String::new() };
        format!("{}{unit} over {}", amount(&one.worth, metric), one.control_words())
    };
    let clauses: Vec<String> = found.iter().enumerate().map(clause).collect();
    (!clauses.is_empty()).then(|| format!("worth {}", listed(clauses)))
}

/// `0.004 [0.002, 0.008] nats a token worse than one segment`.
fn losses(all: &[Against], metric: &Metric) -> Option<String> {
    let found = all.iter().filter(|one| one.worth.told_apart() && !one.is_worth());
    let clause = |one: &Against| {
        let amount = amount(&one.worth.reversed(), metric);
        format!("{amount} {} worse than {}", unit_of(metric), one.control_words())
    };
    let clauses: Vec<String> = found.map(clause).collect();
    (!clauses.is_empty()).then(|| listed(clauses))
}

/// `not told apart from one segment`.
fn undecided(all: &[Against]) -> Option<String> {
    let found = all.iter().filter(|one| !one.worth.told_apart() && !one.has_too_few());
    let names: Vec<String> = found.map(Against::control_words).collect();
    (!names.is_empty()).then(|| format!("not told apart from {}", listed(names)))
}

fn too_few(all: &[Against]) -> Option<String> {
    let names: Vec<String> = all.iter().filter(|one| one.has_too_few()).map(Against::control_words).collect();
    (!names.is_empty()).then(|| format!("with fewer than {FEWEST} samples beside {}", listed(names)))
}

/// What part of the row's gain over the baseline the first worth is; none where either is not told apart.
fn share_of_gain(all: &[Against]) -> Option<String> {
    let mut found = all.iter().filter(|one| one.is_worth());
    let one = found.next()?;
    let percent = 100.0 * one.worth.estimate.value / one.gain?;
    let percent = if percent < 1.0 { "less than 1".into() } else { format!("{percent:.0}") };
    let over = found.next().map_or(String::new(), |_| format!("over {} ", one.control_words()));
    Some(format!("; {over}{percent}% of what {} gains", family(one.real)))
}

/// What a difference of a metric is counted in.
fn unit_of(metric: &Metric) -> String {
    match metric.range {
        Range::Open if metric.parts.is_some() => "nats a token".into(),
        Range::Open | Range::Share => format!("of {}", metric.words()),
        Range::Percent | Range::PercentGain => format!("percent points of {}", metric.words()),
    }
}

/// A difference and its interval, with one decimal more where an end would read as 0.
fn amount(found: &Comparison, metric: &Metric) -> String {
    let values = [found.estimate.value, found.low, found.high];
    let places = if metric.range.whole() > 1.0 { 1 } else { 3 };
    let is_lost = values.iter().any(|value| *value != 0.0 && value.abs() < 0.5 * 0.1f64.powi(places));
    let places = places as usize + usize::from(is_lost);
    let [value, low, high] = values.map(|value| format!("{value:.places$}"));
    format!("{value} [{low}, {high}]")
}

/// `a, b and c`.
fn listed(names: Vec<String>) -> String {
    match names.split_last() {
        Some((last, others @ [_, ..])) => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use longcode_stats::Estimate;

    use super::super::controls::tests::{SWEPT, encodings};
    use super::super::controls::{Held, held};
    use super::*;
    use crate::report::structure::better;
    use crate::task::{Better, Group};

    fn comparison(value: f64, reach: f64, n: usize) -> Comparison {
        let (low, high) = (value - reach, value + reach);
        let estimate = Estimate { value, low, high, stderr: reach / 4.0, n };
        Comparison { estimate, low, high }
    }

    fn loss() -> Metric {
        let task = crate::task::find_kind("language_modeling").unwrap();
        let keys = "buckets = [0, 64]\nsamples = 2".parse().unwrap();
        let (task, _) = crate::task::parse(task, keys).unwrap();
        *task.metrics().iter().find(|metric| metric.name == "loss").unwrap()
    }

    /// The sentence on functions where each comparison with a control came out as this, in the order file, even, shuffled.
    fn sentence(metric: Metric, worth: &[Comparison], gain: Option<f64>) -> String {
        let rows = encodings(&[("HiRoPE", SWEPT)]);
        let against = |(held, &worth): (&Held, &Comparison)| Against {
            real: &rows[held.real],
            control: &rows[held.control],
            replaced: held.replaced,
            values: [2.0, 2.0],
            mean_lengths: [None; 2],
            worth,
            gain,
        };
        let against = held(&rows).iter().zip(worth).map(against).collect();
        Structure { model: "m", task: "t", metric, group: Group::From(512), against }.sentence()
    }

    #[test]
    fn what_functions_are_worth_beside_what_is_not_told_apart() {
        let worth = [comparison(0.004, 0.002, 20), comparison(0.001, 0.004, 20), comparison(0.0, 0.001, 20)];
        assert_eq!(
            sentence(loss(), &worth, Some(0.044)),
            "Structure (functions): worth 0.004 [0.002, 0.006] nats a token over one segment, not told apart from as many \
             blocks of equal length and functions in the wrong places; 9% of what HiRoPE gains. Loss in nats a token at \
             positions from 512 on, with intervals that hold for all 3 comparisons at once."
        );
        let alone = sentence(loss(), &worth[..1], None);
        let expected = "Structure (functions): worth 0.004 [0.002, 0.006] nats a token over one segment. Loss in nats a \
                        token at positions from 512 on.";
        assert_eq!(alone, expected);
    }

    #[test]
    fn a_unit_may_be_worth_something_over_several_or_be_worse() {
        let worth =
            [comparison(0.02, 0.01, 20), comparison(0.0009, 0.0006, 20), comparison(-0.01, 0.005, 20)];
        let text = sentence(loss(), &worth, Some(0.01));
        assert!(
            text.starts_with(
                "Structure (functions): worth 0.020 [0.010, 0.030] nats a token over one segment and 0.0009 [0.0003, 0.0015] \
                 over as many blocks of equal length, 0.010 [0.005, 0.015] nats a token worse than functions in the wrong \
                 places; over one segment 200% of what HiRoPE gains. "
            ),
            "{text}"
        );
    }

    #[test]
    fn nothing_is_told_apart_and_so_no_share_of_the_gain_is_given() {
        let text = sentence(loss(), &[comparison(0.001, 0.002, 20)], Some(0.05));
        assert!(text.starts_with("Structure (functions): not told apart from one segment. "), "{text}");
    }

    #[test]
    fn shares_and_percents_say_of_what() {
        let worth = [comparison(0.25, 0.1, 30)];
        let text = sentence(Metric::share("exact_match", Better::Higher), &worth, None);
        assert!(text.contains("worth 0.250 [0.150, 0.350] of exact match over one segment. "), "{text}");
        let worth = [comparison(4.0, 2.5, 30)];
        let text = sentence(Metric::percent("edit_similarity", Better::Higher), &worth, None);
        assert!(
            text.contains("worth 4.0 [1.5, 6.5] percent points of edit similarity over one segment. "),
            "{text}"
        );
    }

    #[test]
    fn few_samples_tell_nothing() {
        let expected = "Structure (functions): fewer than 6 samples, too few to tell what it is worth.";
        assert_eq!(sentence(loss(), &[comparison(0.5, 0.1, 5); 3], Some(1.0)), expected);
        let some = [comparison(0.5, 0.1, 6), comparison(0.5, 0.1, 5)];
        let text = sentence(loss(), &some, None);
        assert!(
            text.contains(
                "over one segment, with fewer than 6 samples beside as many blocks of equal length. "
            ),
            "{text}"
        );
    }

    #[test]
    fn worth_has_the_direction_of_what_is_better() {
        let difference = comparison(-0.5, 0.1, 20);
        assert_eq!(better(difference, &loss()).estimate.value, 0.5);
        let share = Metric::share("exact_match", Better::Higher);
        assert_eq!(better(difference, &share).estimate.value, -0.5);
    }
}
