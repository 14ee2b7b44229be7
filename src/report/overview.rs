//! The table that a suite's report begins with: a row an encoding, a column a task.

use super::section::shown;
use super::{Cell, Column, Content, Section, Table};
use crate::config::{Config, TaskEntry};
use crate::task::{Group, Metric};

/// One table a model: each task's main figure over all of its samples.
pub(super) fn tables(config: &Config, sections: &[Section]) -> Vec<Table> {
    config.models.iter().filter_map(|model| table(config, &model.name, sections)).collect()
}

/// A task's main figure over all of its samples.
struct Main<'a> {
    task: &'a TaskEntry,
    metric: &'static Metric,
    table: &'a Table,
    /// Which column of the table that is.
    all: usize,
}

impl<'a> Main<'a> {
    fn of(task: &'a TaskEntry, model: &str, sections: &'a [Section]) -> Option<Main<'a>> {
        let section = sections.iter().find(|one| one.model == model && one.task == task.name)?;
        let metric = shown(task).next()?;
        let is_main = |table: &&Table| table.content == Content::Samples && table.metric == *metric;
        let table = section.tables.iter().find(is_main)?;
        let all = table.columns.iter().position(|column| column.name == Group::All.to_string())?;
        Some(Main { task, metric, table, all })
    }

    fn column(&self) -> Column {
        let samples = self.table.columns[self.all].samples.clone();
        Column { name: self.task.name.clone(), beyond: false, samples }
    }

    fn cell(&self, encoding: &str) -> Option<Cell> {
        let (_, cells) = self.table.rows.iter().find(|(row, _)| row == encoding)?;
        Some(cells[self.all].clone())
    }
}

fn table(config: &Config, model: &str, sections: &[Section]) -> Option<Table> {
    let mains: Vec<Main> = config.tasks.iter().filter_map(|task| Main::of(task, model, sections)).collect();
    let titles: Vec<String> =
        mains.iter().map(|main| format!("{}: {}", main.task.name, main.metric.title())).collect();
    let row = |name: &str| {
        let cells: Vec<_> = mains.iter().map(|main| main.cell(name)).collect();
        let any = cells.iter().any(Option::is_some);
        any.then(|| (name.to_string(), cells.into_iter().map(Option::unwrap_or_default).collect()))
    };
    Some(Table {
        title: format!("{model} on all of them. {}.", titles.join("; ")),
        metric: *mains.first()?.metric,
        content: Content::Samples,
        columns: mains.iter().map(Main::column).collect(),
        rows: config.encodings.iter().filter_map(|encoding| row(&encoding.name)).collect(),
    })
}
