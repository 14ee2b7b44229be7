//! What the structure of segments is worth: rows that differ in `unit` alone, each real unit held against its controls.
//!
//! A control keeps the number or the lengths of a unit's segments and not their places, so what a unit gains over it is
//! due to structure. Sentence, table, picture and `structure.csv` are of the same comparisons.

use std::collections::{BTreeSet, HashMap};

use longcode_stats::{Among, Comparison, FEWEST};
use serde::Serialize;

use super::figures::{Measurements, Paired};
use super::table::{Cell, Column, Content, Table};
use super::{Mark, Row};
use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::draw::dots::{Dots, Link, Star};
use crate::draw::number::{difference_and_interval, number};
use crate::store::{Results, StoredSample};
use crate::structure::{Control, Unit};
use crate::task::{Better, Group, Metric, Range};

/// The key that a unit and its controls differ in.
const KEY: &str = "unit";

/// What stands in place of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Placebo {
    /// One segment a file.
    File,
    /// As many segments of equal length.
    Even,
    /// The same lengths in other places.
    Shuffled,
}

impl Placebo {
    /// What `other` is to a unit; none where it is no control of it.
    fn of(unit: Unit, other: Unit) -> Option<Placebo> {
        match other.control() {
            None => (other == Unit::FILE).then_some(Placebo::File),
            Some(_) if other.without_control() != unit => None,
            Some(Control::Even) => Some(Placebo::Even),
            Some(Control::Shuffled) => Some(Placebo::Shuffled),
        }
    }

    /// In the order of a picture's signs.
    fn words(self) -> &'static str {
        match self {
            Placebo::File => "one segment a file",
            Placebo::Even => "of equal length",
            Placebo::Shuffled => "in the wrong places",
        }
    }
}

/// Whether a unit is no control, as a whole file is one too.
fn is_real(unit: Unit) -> bool {
    unit.control().is_none() && unit != Unit::FILE
}

/// Where the units of a control's row differ from those of a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Replaced {
    by: Placebo,
    /// The first level that differs.
    level: usize,
    /// Whether all levels do, or that one alone.
    all: bool,
}

impl Replaced {
    /// None where the first row's units are controls themselves, or the second row's are no control of them: in one level
    /// or in all, by one kind of control.
    fn of(units: &[Unit], others: &[Unit]) -> Option<Replaced> {
        if units.len() != others.len() || !units.iter().copied().all(is_real) {
            return None;
        }
        let levels: Vec<usize> = (0..units.len()).filter(|&level| units[level] != others[level]).collect();
        let level = *levels.first()?;
        let by = Placebo::of(units[level], others[level])?;
        let is_same = |&level: &usize| Placebo::of(units[level], others[level]) == Some(by);
        let all = levels.len() == units.len();
        ((all || levels.len() == 1) && levels.iter().all(is_same)).then_some(Replaced { by, level, all })
    }
}

/// A real unit's row and that of one of its controls: numbers in the config.
#[derive(Debug, Clone, Copy)]
struct Held {
    real: usize,
    control: usize,
    replaced: Replaced,
}

/// Every real unit with each of its controls, in the order of the config.
fn held(encodings: &[EncodingEntry]) -> Vec<Held> {
    let mut all = Vec::new();
    for real in 0..encodings.len() {
        let of_control = |control: usize| {
            let (one, other) = (&encodings[real].spec, &encodings[control].spec);
            let replaced = Replaced::of(one.units(), other.units())?;
            (one.kind == other.kind && without_unit(&encodings[real]) == without_unit(&encodings[control]))
                .then_some(Held { real, control, replaced })
        };
        let mut found: Vec<Held> = (0..encodings.len()).filter_map(of_control).collect();
        found.sort_by_key(|one| one.replaced.by);
        all.extend(found);
    }
    all
}

/// All keys but the unit.
fn without_unit(encoding: &EncodingEntry) -> toml::Table {
    let mut keys = encoding.spec.keys.clone();
    keys.remove(KEY);
    keys
}

/// A unit against one of its controls on one task.
#[derive(Debug)]
struct Against<'a> {
    real: &'a EncodingEntry,
    control: &'a EncodingEntry,
    replaced: Replaced,
    /// The figure of the unit and of the control, over the samples that both have.
    values: [f64; 2],
    /// Tokens a segment of each, over the same samples; none of results without the number of segments.
    mean_lengths: [Option<f64>; 2],
    /// By what the unit is better: above 0 structure gains.
    worth: Comparison,
    /// By what the unit's row is better than the baseline, where it is told apart from it.
    gain: Option<f64>,
}

/// One model's comparisons on one task.
#[derive(Debug)]
pub(super) struct Structure<'a> {
    pub(super) model: &'a str,
    pub(super) task: &'a str,
    metric: Metric,
    group: Group,
    /// Not empty.
    against: Vec<Against<'a>>,
}

/// Every model on every task where some unit and a control of it have figures.
pub(super) fn structures<'a>(
    results: &'a Results,
    measured: &Measurements<'a>,
    rows: &[Row],
) -> Vec<Structure<'a>> {
    let held = held(&results.config.encodings);
    if held.is_empty() {
        return Vec::new();
    }
    let comparing = Comparing {
        config: &results.config,
        paired: measured.paired(results.config.seed),
        lengths: Lengths::new(results, measured),
        held,
    };
    let numbers = |model| (0..results.config.tasks.len()).map(move |task| [model, task]);
    let all = (0..results.config.models.len()).flat_map(numbers);
    all.filter_map(|[model, task]| comparing.structure(model, task, rows)).collect()
}

/// What comparisons are made from.
struct Comparing<'a, 'm> {
    config: &'a Config,
    paired: Paired<'m, 'a>,
    lengths: Lengths<'a>,
    held: Vec<Held>,
}

impl<'a> Comparing<'a, '_> {
    /// Of numbers of the config; none without figures.
    fn structure(&self, model: usize, task: usize, rows: &[Row]) -> Option<Structure<'a>> {
        let (names, entry) = (&self.config.models[model].name, &self.config.tasks[task]);
        let rows: Vec<&Row> =
            rows.iter().filter(|row| row.model == *names && row.task == entry.name).collect();
        let (group, metric) = figure(entry, &rows)?;
        let against: Vec<Against> = self
            .held
            .iter()
            .filter_map(|held| self.against([model, task], held, (group, metric), &rows))
            .collect();
        (!against.is_empty()).then_some(Structure { model: names, task: &entry.name, metric, group, against })
    }

    fn against(
        &self,
        [model, task]: [usize; 2],
        held: &Held,
        (group, metric): (Group, Metric),
        rows: &[&Row],
    ) -> Option<Against<'a>> {
        let encodings = &self.config.encodings;
        let (real, control) = (&encodings[held.real], &encodings[held.control]);
        let names = [&self.config.models[model].name[..], &self.config.tasks[task].name];
        let among = Among::Baseline(self.held.len() + 1);
        let found = self.paired.compare(names, [&real.name, &control.name], (group, &metric), among)?;
        let length =
            |encoding: usize| self.lengths.mean([model, encoding, task], held.replaced.level, &found.numbers);
        let row = rows
            .iter()
            .find(|row| row.encoding == real.name && row.group == group && row.metric.name == metric.name);
        let gained = row.and_then(|row| row.difference).map(|difference| better(difference, &metric));
        let gain = gained.filter(|gained| gained.told_apart()).map(|gained| gained.estimate.value);
        Some(Against {
            real,
            control,
            replaced: held.replaced,
            values: found.values,
            mean_lengths: [length(held.real), length(held.control)],
            worth: better(found.difference, &metric),
            gain: gain.filter(|&gain| gain > 0.0),
        })
    }
}

/// A difference as what is gained: above 0 the first figure is better.
fn better(difference: Comparison, metric: &Metric) -> Comparison {
    match metric.better {
        Better::Lower => difference.reversed(),
        Better::Higher => difference,
    }
}

/// What is compared: the figure that the verdict is taken from, else the main one over all samples. Of a perplexity it is
/// the loss.
fn figure(task: &TaskEntry, rows: &[&Row]) -> Option<(Group, Metric)> {
    let metrics = task.task.metrics();
    let first = metrics.first()?;
    let main = *metrics.iter().find(|metric| metric.name == first.of)?;
    let from = rows
        .iter()
        .find_map(|row| row.group.from().filter(|_| main.parts.is_some() && row.metric.name == main.name));
    Some((from.map_or(Group::All, Group::From), main))
}

/// Tokens and segments of the samples, by model, encoding and task, and by the sample's number.
struct Lengths<'a>(HashMap<[usize; 3], HashMap<usize, &'a StoredSample>>);

impl<'a> Lengths<'a> {
    fn new(results: &'a Results, measured: &Measurements) -> Lengths<'a> {
        let mut all: HashMap<[usize; 3], HashMap<usize, &StoredSample>> = HashMap::new();
        for one in &results.samples {
            let of = [one.model, one.encoding, one.task];
            all.entry(of).or_default().insert(measured.number(&results.config, one), one);
        }
        Lengths(all)
    }

    /// Tokens a segment of a level over these samples; none where one has no number of segments.
    fn mean(&self, of: [usize; 3], level: usize, numbers: &[usize]) -> Option<f64> {
        let samples = self.0.get(&of)?;
        let mut sums = (0.0, 0.0);
        for number in numbers {
            let one = samples.get(number)?;
            sums = (sums.0 + one.tokens as f64, sums.1 + *one.segments.get(level)? as f64);
        }
        (sums.1 > 0.0).then(|| sums.0 / sums.1)
    }
}

impl<'a> Structure<'a> {
    /// What the report's first page says.
    pub(super) fn sentence(&self) -> String {
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
    fn positions(&self) -> String {
        self.group.from().map_or(String::new(), |from| format!(" at positions from {from} on"))
    }

    /// For how many comparisons intervals hold, where it is not one alone.
    fn at_once(&self, beginning: &str) -> String {
        match self.against.len() {
            1 => String::new(),
            count => format!("{beginning} for all {count} comparisons at once"),
        }
    }

    /// The comparisons, one a row.
    pub(super) fn table(&self) -> Table {
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
    pub(super) fn picture_title(&self) -> String {
        format!("{} by segment length", self.metric.words())
    }

    /// The figure against the mean length of a segment; none where the lengths are not known.
    pub(super) fn picture(&self, title: String) -> Option<String> {
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
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
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
pub(super) struct Line<'a> {
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
    fn has_too_few(&self) -> bool {
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

fn is_of_one_row(one: &Against, other: &Against) -> bool {
    one.real.name == other.real.name
}

fn cell(text: String, value: Option<f64>) -> Cell {
    Cell { text, value, interval: None, mark: Mark::Plain }
}

fn measured(value: f64) -> Cell {
    cell(number(value), Some(value))
}

/// The units of a row as written, from fine to coarse.
fn unit(encoding: &EncodingEntry) -> String {
    let units: Vec<String> = encoding.spec.units().iter().map(Unit::to_string).collect();
    units.join("/")
}

/// A row's name without the unit that a sweep added.
fn family(encoding: &EncodingEntry) -> String {
    match (&encoding.sweep, encoding.value(KEY)) {
        (Some(sweep), _) if sweep.keys == [KEY] => sweep.of.clone(),
        (Some(_), Some(value)) => encoding.name.replace(&format!(" {KEY}={value}"), ""),
        _ => encoding.name.clone(),
    }
}

/// Segments of a unit in words.
fn plural(unit: Unit) -> String {
    let name = unit.to_string();
    match name.strip_prefix("tokens:") {
        Some(count) => format!("blocks of {count} tokens"),
        None if unit == Unit::FUNCTION_AUTHORS => "functions as the authors' extractor takes them".into(),
        None => format!("{name}s"),
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

    use super::*;

    /// Encodings of a config: a name and keys each.
    fn encodings(entries: &[(&str, &str)]) -> Vec<EncodingEntry> {
        let mut text = String::from("name = 'x'\n[[model]]\npath = 'm'\n");
        for (name, keys) in entries {
            text += &format!("[[encoding]]\nname = '{name}'\nkind = 'hirope'\n{keys}\n");
        }
        text += "[[task]]\nkind = 'language_modeling'\ndataset = 'd'\nbuckets = [0, 64]\nsamples = 2\n";
        Config::parse(&text, &[], Vec::new()).unwrap().encodings
    }

    const SWEPT: &str = "unit = ['function', 'shuffled:function', 'file', 'even:function', 'tokens:32']";

    fn found(encodings: &[EncodingEntry]) -> Vec<String> {
        let words = |one: &Held| format!("{} {}", encodings[one.real].name, unit(&encodings[one.control]));
        held(encodings).iter().map(words).collect()
    }

    #[test]
    fn a_unit_is_held_against_its_own_controls() {
        let swept = encodings(&[("H", SWEPT)]);
        let expected = [
            "H unit=function file",
            "H unit=function even:function",
            "H unit=function shuffled:function",
            "H unit=tokens:32 file",
        ];
        assert_eq!(found(&swept), expected);
        // Of a row that differs in something else nothing is asked; an explicit default is no difference.
        let rows = encodings(&[
            ("a", "window = 8\nunit = 'function'"),
            ("b", "window = 9\nunit = 'file'"),
            ("c", "window = 8\nsplit = 0.5\nlogn = false\nunit = 'even:function'"),
            ("d", "window = 8\nunit = 'even:file'"),
            ("e", "window = 8\ncontext = 64\nunit = 'file'"),
        ]);
        assert_eq!(found(&rows), ["a even:function"]);
    }

    #[test]
    fn of_several_levels_one_or_all_are_replaced() {
        let names = [
            "statement/function",
            "statement/shuffled:function",
            "even:statement/even:function",
            "even:statement/shuffled:function",
            "file/file",
            "statement/file",
            "function/function",
        ];
        let row = |name: &&'static str| (*name, format!("split = '0.4/0.7'\nunit = '{name}'"));
        let rows: Vec<(&str, String)> = names.iter().map(row).collect();
        let rows: Vec<(&str, &str)> = rows.iter().map(|(name, keys)| (*name, &keys[..])).collect();
        let expected = [
            "statement/function file/file",
            "statement/function statement/file",
            "statement/function even:statement/even:function",
            "statement/function statement/shuffled:function",
            "function/function file/file",
        ];
        assert_eq!(found(&encodings(&rows)), expected);
    }

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
