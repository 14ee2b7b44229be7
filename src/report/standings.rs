//! One table of everything: a row for each model and encoding, and for each task its main figure, what a row gains over
//! the baseline, and how far it reaches.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use longcode_stats::Comparison;

use super::finding::Reached;
use super::section::shown;
use super::table::{Cell, Content};
use super::verdict::Verdict;
use super::{Column, Section, Table};
use crate::config::{Config, TaskEntry};
use crate::draw::forest::{Forest, Panel};
use crate::draw::number::{difference, difference_and_interval, grouped, number};
use crate::task::{Group, Metric};

/// All rows on all tasks.
#[derive(Debug)]
pub struct Standings {
    /// What its columns are, in words.
    pub title: String,
    /// The tasks, each with its columns.
    pub tasks: Vec<OfTask>,
    /// A row for each model and encoding.
    pub rows: Vec<Standing>,
    /// Whether there are several models, so that rows have to name them.
    pub several_models: bool,
}

/// The columns of one task.
#[derive(Debug)]
pub struct OfTask {
    /// The task's name.
    pub name: String,
    /// What they are.
    pub columns: Vec<String>,
}

/// One model under one encoding.
#[derive(Debug)]
pub struct Standing {
    /// The model's name.
    pub model: String,
    /// The encoding's name.
    pub encoding: String,
    /// The cells of every task, as many as it has columns.
    pub cells: Vec<Vec<Cell>>,
    rank: Rank,
}

/// What rows are sorted by: gains, then effective contexts, then lengths to which they hold, then figures at the longest
/// prompts, means over the tasks that have them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rank([Option<f64>; 4]);

impl Rank {
    /// The better one first; who has no value comes after those that have one.
    fn compare(&self, other: &Rank) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        pairs.fold(Ordering::Equal, |order, (a, b)| {
            order.then(b.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.unwrap_or(f64::NEG_INFINITY)))
        })
    }
}

/// The column of gains.
const GAINED: &str = "gained";

/// What a task's columns can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The main figure over all samples.
    Main,
    /// What a row gains over the baseline's context.
    Gained,
    /// What is said of that gain.
    Verdict,
    /// The effective context of its curve.
    Effective,
    /// The main figure at the longest prompts.
    Longest,
    /// The length to which that figure holds.
    Holds,
    /// The difference of the main figure from the baseline.
    Difference,
}

/// Everything in one table; none without sections.
pub(super) fn standings(
    config: &Config,
    sections: &[Section],
    baseline: &str,
    sorted: bool,
) -> Option<Standings> {
    let tasks: Vec<Task> =
        config.tasks.iter().filter_map(|task| Task::of(task, sections, baseline)).collect();
    let mut rows = Vec::new();
    for model in &config.models {
        for encoding in &config.encodings {
            rows.extend(standing(&tasks, &model.name, &encoding.name));
        }
    }
    if sorted {
        rows.sort_by(|a, b| a.rank.compare(&b.rank));
    }
    let first = rows.first()?;
    let several_models = rows.iter().any(|row| row.model != first.model);
    Some(Standings {
        title: title(&tasks, baseline, config),
        tasks: tasks.iter().map(Task::heading).collect(),
        rows,
        several_models,
    })
}

/// A row, where some task has a figure of it.
fn standing(tasks: &[Task], model: &str, encoding: &str) -> Option<Standing> {
    let found: Vec<_> = tasks.iter().map(|task| task.row(model, encoding)).collect();
    if found.iter().all(Option::is_none) {
        return None;
    }
    let mean = |kind: Kind| {
        let of = |(task, cells): (&Task, &Option<Vec<Cell>>)| {
            let column = task.kinds.iter().position(|own| *own == kind)?;
            cells.as_ref()?[column].value
        };
        let values: Vec<f64> = tasks.iter().zip(&found).filter_map(of).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let mut rank = Rank([Kind::Gained, Kind::Effective, Kind::Holds, Kind::Longest].map(mean));
    let is_baseline = |task: &Task| task.baseline == encoding && task.kinds.contains(&Kind::Gained);
    if tasks.iter().any(is_baseline) {
        // Over itself it gains nothing.
        rank.0[0] = Some(0.0);
    }
    let empty = |task: &Task| vec![Cell::default(); task.kinds.len()];
    let cells = tasks.iter().zip(found).map(|(task, cells)| cells.unwrap_or_else(|| empty(task))).collect();
    Some(Standing { model: model.into(), encoding: encoding.into(), cells, rank })
}

/// One task of all models.
struct Task<'a> {
    name: &'a str,
    metric: Metric,
    sections: Vec<&'a Section>,
    kinds: Vec<Kind>,
    baseline: &'a str,
}

impl<'a> Task<'a> {
    fn of(task: &'a TaskEntry, sections: &'a [Section], baseline: &'a str) -> Option<Task<'a>> {
        let sections: Vec<&Section> = sections.iter().filter(|section| section.task == task.name).collect();
        let metric = *shown(task).next()?;
        let any = |wanted: fn(&Section) -> bool| sections.iter().any(|section| wanted(section));
        let gained = any(|section| section.verdict.is_some() && !section.contributions.is_empty());
        let found = any(|section| section.finding.is_some());
        let mut kinds = vec![Kind::Main];
        kinds.extend(gained.then_some([Kind::Gained, Kind::Verdict]).into_iter().flatten());
        kinds.extend(any(Section::has_effective).then_some(Kind::Effective));
        kinds.extend(found.then_some([Kind::Longest, Kind::Holds]).into_iter().flatten());
        if kinds.len() == 1 {
            kinds.push(Kind::Difference);
        }
        (!sections.is_empty()).then_some(Task { name: &task.name, metric, sections, kinds, baseline })
    }

    fn heading(&self) -> OfTask {
        OfTask { name: self.name.into(), columns: self.kinds.iter().map(|kind| self.words(*kind)).collect() }
    }

    fn words(&self, kind: Kind) -> String {
        match kind {
            Kind::Main => self.metric.words(),
            Kind::Gained => GAINED.into(),
            Kind::Verdict => "verdict".into(),
            Kind::Effective => "effective".into(),
            Kind::Longest => {
                let longest = self.sections.iter().filter_map(|section| section.finding.as_ref());
                longest.map(|one| format!("at {}", grouped(one.longest))).next().unwrap_or_default()
            }
            Kind::Holds => "holds to".into(),
            Kind::Difference => format!("less {}", self.baseline),
        }
    }

    /// The cells of a row; none where it has no figures.
    fn row(&self, model: &str, encoding: &str) -> Option<Vec<Cell>> {
        let section = self.sections.iter().find(|section| section.model == model)?;
        let main = main(section, &self.metric, encoding)?;
        let of = |kind: &Kind| {
            let cell = match kind {
                Kind::Main => Some(main.clone()),
                Kind::Gained => section.gain(encoding).map(gained),
                Kind::Verdict => section.gain(encoding).map(verdict),
                Kind::Effective => section.effective(encoding),
                Kind::Longest => section.reached(encoding).map(at_longest),
                Kind::Holds => section.reached(encoding).map(holds),
                Kind::Difference => section.difference(encoding).map(|found| less(found, &main)),
            };
            cell.unwrap_or_default()
        };
        Some(self.kinds.iter().map(of).collect())
    }
}

/// The main figure over all samples, as the section's table has it.
fn main(section: &Section, metric: &Metric, encoding: &str) -> Option<Cell> {
    let table = section
        .tables
        .iter()
        .find(|table| table.content == Content::Samples && table.metric.name == metric.name)?;
    let all = table.columns.iter().position(|column| column.name == Group::All.to_string())?;
    let (_, cells) = table.rows.iter().find(|(name, _)| name == encoding)?;
    Some(cells[all].clone())
}

fn plain(text: String, value: Option<f64>, interval: Option<String>) -> Cell {
    Cell { text, value, interval, ..Cell::default() }
}

/// What the loss falls by.
fn gained(total: &Comparison) -> Cell {
    let (text, interval) = difference_and_interval(&total.reversed(), 1.0);
    let ends = Some((-total.high, -total.low));
    Cell { ends, ..plain(text, Some(-total.estimate.value), Some(interval)) }
}

fn verdict(total: &Comparison) -> Cell {
    plain(Verdict::of(total).word().into(), None, None)
}

fn at_longest(reached: &Reached) -> Cell {
    plain(number(reached.at_longest.value), Some(reached.at_longest.value), None)
}

fn holds(reached: &Reached) -> Cell {
    plain(reached.holds.words(), Some(reached.holds.value()), None)
}

fn less(found: &Comparison, of: &Cell) -> Cell {
    let of = of.value.unwrap_or(1.0);
    let (_, interval) = difference_and_interval(found, of);
    plain(difference(found.estimate.value, of), Some(found.estimate.value), Some(interval))
}

/// What the columns are, where their names do not say it.
fn title(tasks: &[Task], baseline: &str, config: &Config) -> String {
    let has = |kind: Kind| tasks.iter().any(|task| task.kinds.contains(&kind));
    let mut parts = Vec::new();
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    for task in tasks {
        names.entry(task.metric.name).or_insert_with(|| task.metric.title());
    }
    parts.extend(
        names
            .into_iter()
            .filter(|(name, title)| !title.eq_ignore_ascii_case(&name.replace('_', " ")))
            .map(|(name, title)| format!("{}: {}", name.replace('_', " "), first_lower(&title))),
    );
    let context = config.encodings.iter().find(|one| one.name == baseline);
    if let Some((context, is_relative)) = context
        .and_then(|one| Some((one.spec.context?, one.spec.is_relative())))
        .filter(|_| has(Kind::Gained))
    {
        // Of each model another number of tokens.
        let last = if is_relative { String::new() } else { format!("{} ", grouped(context.tokens)) };
        parts.push(format!("gained: nats a token over the last {last}tokens alone ({baseline})"));
    }
    if has(Kind::Effective) {
        parts.push("effective: context up to which every doubling gains, tokens".into());
    }
    if has(Kind::Holds) {
        parts.push(format!(
            "holds to: tokens up to which {:.0}% of the figure within the trained length is kept",
            100.0 * super::finding::KEEPS
        ));
    }
    parts.push("≈: the best and those not told apart from it".into());
    format!("{}.", parts.join("; "))
}

fn first_lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}

impl Standings {
    /// What rows gain on every task, or their main figures; a colour for each model.
    pub(super) fn picture(&self, title: String) -> String {
        let mut models: Vec<&str> = Vec::new();
        let mut rows = Vec::new();
        for row in &self.rows {
            let known = models.iter().position(|name| *name == row.model);
            rows.push((self.name(row), known.unwrap_or(models.len())));
            models.extend(known.is_none().then_some(&row.model[..]));
        }
        let panel = |(number, task): (usize, &OfTask)| {
            let column = task.columns.iter().position(|name| name == GAINED).unwrap_or(0);
            let point = |row: &Standing| {
                let cell = &row.cells[number][column];
                let (low, high) = cell.ends?;
                Some([cell.value?, low, high])
            };
            Panel {
                name: task.name.clone(),
                axis: match &task.columns[column][..] {
                    GAINED => "nats a token gained".into(),
                    name => name.into(),
                },
                points: self.rows.iter().map(point).collect(),
            }
        };
        Forest { title, rows, panels: self.tasks.iter().enumerate().map(panel).collect() }.svg()
    }

    /// The same as a table, for formats whose columns have one name.
    pub(super) fn flat(&self, metric: Metric) -> Table {
        let name = |task: &OfTask, column: &String| match self.tasks.len() {
            1 => column.clone(),
            _ => format!("{}: {column}", task.name),
        };
        let columns =
            self.tasks.iter().flat_map(|task| task.columns.iter().map(move |column| (task, column)));
        let column =
            |(task, column)| Column { name: name(task, column), beyond: false, samples: String::new() };
        let row = |row: &Standing| (self.name(row), row.cells.concat());
        Table {
            title: self.title.clone(),
            metric,
            content: Content::Samples,
            columns: columns.map(column).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    /// What a row is called.
    pub fn name(&self, row: &Standing) -> String {
        if self.several_models { format!("{}, {}", row.model, row.encoding) } else { row.encoding.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_count_first_and_who_has_none_comes_last() {
        let mut ranks = [
            Rank([None, None, Some(8192.0), Some(0.8)]),
            Rank([Some(0.1), Some(512.0), None, None]),
            Rank([None, None, Some(8192.0), Some(0.9)]),
            Rank([Some(0.1), Some(2048.0), None, None]),
            Rank([Some(0.2), None, None, None]),
            Rank([None; 4]),
        ];
        ranks.sort_by(Rank::compare);
        let order = ranks.map(|Rank([gain, effective, _, longest])| (gain.or(longest), effective));
        let expected = [
            (Some(0.2), None),
            (Some(0.1), Some(2048.0)),
            (Some(0.1), Some(512.0)),
            (Some(0.9), None),
            (Some(0.8), None),
            (None, None),
        ];
        assert_eq!(order, expected);
    }
}
