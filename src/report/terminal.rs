//! What `longcode run` and `longcode report` show: the verdicts and one table, or everything.

use std::fmt::Write;
use std::ops::Range;

use serde_json::{Value, json};

use super::grid::Grid;
use super::{Cell, Mark, Report, Section, Standings, Table, caption};
use crate::terminal::visible_line;

/// Columns of a terminal that every line but those of `--full` fits into.
const WIDTH: usize = 100;

/// Most columns of a name in the table.
const NAME: usize = 30;

const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The verdicts and one table of everything, in lines of at most 100 columns. The best figures are bold where the
/// terminal can show that (`styled`), else starred.
pub fn summary(report: &Report, styled: bool) -> String {
    let mut text = format!("{}\n", shortened(&plain(&report.results.config.name), WIDTH));
    for line in caption(report).into_iter().chain(report.failures.head()) {
        text += &wrapped(&plain(&line), "");
    }
    for section in &report.sections {
        let _ = write!(text, "\n{}", wrapped(&plain(&section.title()), ""));
        for words in short_words(section) {
            text += &wrapped(&plain(&words), "  ");
        }
    }
    if let Some(standings) = &report.standings {
        text.push('\n');
        table_of(&mut text, standings, styled);
        let _ = write!(text, "\n{}", wrapped(&plain(&standings.title), ""));
    }
    text
}

/// What a section says, with its verdict in short: the table has the numbers.
fn short_words(section: &Section) -> Vec<String> {
    let short = section.verdict.as_ref().map(|whole| section.short_verdict.as_ref().unwrap_or(whole).clone());
    short.into_iter().chain(section.words().skip(usize::from(section.verdict.is_some())).cloned()).collect()
}

/// The same as one line of JSON, with the path of the page.
pub fn json(report: &Report, page: &str) -> String {
    let of_section = |section: &Section| {
        json!({
            "model": section.model,
            "task": section.task,
            "dataset": section.dataset,
            "trained_length": section.trained_length,
            "verdict": section.verdict,
            "finding": section.finding_words,
            "structure": section.structure,
        })
    };
    let table = report.standings.as_ref().map(|standings| {
        let rows = standings.rows.iter().map(|row| {
            let tasks = standings.tasks.iter().zip(&row.cells).map(|(task, cells)| {
                let named =
                    task.columns.iter().zip(cells).map(|(column, cell)| (column.clone(), of_cell(cell)));
                (task.name.clone(), Value::Object(named.collect()))
            });
            let tasks: serde_json::Map<String, Value> = tasks.collect();
            json!({"model": row.model, "encoding": row.encoding, "tasks": tasks})
        });
        rows.collect::<Vec<_>>()
    });
    let all = json!({
        "name": report.results.config.name,
        "baseline": report.baseline,
        "notes": caption(report),
        "sections": report.sections.iter().map(of_section).collect::<Vec<_>>(),
        "rows": table,
        "report": page,
    });
    format!("{all}\n")
}

/// A number with its interval as text, or words where it is none.
fn of_cell(cell: &Cell) -> Value {
    match cell.value {
        Some(value) => json!({"value": value, "text": cell.text, "interval": cell.interval}),
        None => json!(cell.text),
    }
}

/// Everything that the report's files hold too, table by table.
pub fn full(report: &Report, styled: bool) -> String {
    let mut text = format!("{}\n", plain(&report.results.config.name));
    let leading = report.leading();
    leading.iter().for_each(|table| write_table(&mut text, table, styled));
    if !leading.is_empty() {
        text.push('\n');
    }
    for line in caption(report) {
        let _ = writeln!(text, "{}", plain(&line));
    }
    for line in report.failures.head() {
        let _ = writeln!(text, "{}", plain(&line));
    }
    for section in &report.sections {
        let _ = write!(text, "\n{}\n", plain(&section.title()));
        for words in section.words() {
            let _ = write!(text, "\n{}\n", plain(words));
        }
        section.tables.iter().for_each(|table| write_table(&mut text, table, styled));
        let _ = write!(text, "\n{}\n", section.legend(if styled { "Bold" } else { "*" }));
        if let Some(failed) = report.failures.of(section) {
            let _ = write!(text, "\n{}\n", plain(&failed));
        }
    }
    text
}

/// The table, with intervals where it fits so, else in blocks of as many tasks as fit side by side.
fn table_of(text: &mut String, standings: &Standings, styled: bool) {
    let tasks = 0..standings.tasks.len();
    let whole = Columns::new(standings, tasks.clone(), true, styled);
    if whole.width() <= WIDTH {
        whole.write(text);
        return;
    }
    let mut start = 0;
    while start < tasks.end {
        let fits = |end: &usize| Columns::new(standings, start..*end, false, styled).width() <= WIDTH;
        let end = (start + 1..=tasks.end).take_while(fits).last().unwrap_or(start + 1);
        if start > 0 {
            text.push('\n');
        }
        Columns::new(standings, start..end, false, styled).write(text);
        start = end;
    }
}

/// Some tasks of the table as text, column by column: a line over the heads that names the task, heads, and cells.
struct Columns {
    /// The name of a task, and how many columns it has.
    tasks: Vec<(String, usize)>,
    /// Names first.
    columns: Vec<Vec<String>>,
    names: usize,
}

impl Columns {
    fn new(standings: &Standings, tasks: Range<usize>, intervals: bool, styled: bool) -> Columns {
        let name = |text: &str| shortened(&plain(text), NAME);
        let head = |what: &str| vec![what.to_string()];
        let mut columns = Vec::new();
        if standings.several_models {
            columns.push(
                head("model").into_iter().chain(standings.rows.iter().map(|row| name(&row.model))).collect(),
            );
        }
        let encodings = standings.rows.iter().map(|row| name(&row.encoding));
        columns.push(head("encoding").into_iter().chain(encodings).collect());
        let names = columns.len();
        let mut shown = Vec::new();
        for number in tasks {
            let task = &standings.tasks[number];
            for (place, heading) in task.columns.iter().enumerate() {
                let cell = |cell: &Cell| {
                    let interval = cell.interval.as_ref().filter(|_| intervals);
                    let text = interval.map_or(cell.text.clone(), |found| format!("{} {found}", cell.text));
                    marked(plain(&text), cell.mark, styled)
                };
                let cells = standings.rows.iter().map(|row| cell(&row.cells[number][place]));
                columns.push(head(&name(heading)).into_iter().chain(cells).collect());
            }
            shown.push((name(&task.name), task.columns.len()));
        }
        Columns { tasks: shown, columns, names }
    }

    fn widths(&self) -> Vec<usize> {
        let widest = |column: &Vec<String>| column.iter().map(|cell| room(cell)).max().unwrap_or(0);
        let mut widths: Vec<usize> = self.columns.iter().map(widest).collect();
        let mut first = self.names;
        for (name, count) in &self.tasks {
            let own: usize = widths[first..first + count].iter().sum::<usize>() + 2 * (count - 1);
            widths[first] += name.chars().count().saturating_sub(own);
            first += count;
        }
        widths
    }

    fn width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + 2 * (widths.len() - 1)
    }

    fn write(&self, text: &mut String) {
        let widths = self.widths();
        let mut over = " ".repeat(widths[..self.names].iter().map(|width| width + 2).sum());
        let mut first = self.names;
        for (name, count) in &self.tasks {
            let own: usize = widths[first..first + count].iter().sum::<usize>() + 2 * (count - 1);
            over += &format!("{name:>own$}  ");
            first += count;
        }
        let _ = writeln!(text, "{}", over.trim_end());
        for line in 0..self.columns[0].len() {
            let cell = |(number, column): (usize, &Vec<String>)| {
                let space = " ".repeat(widths[number] - room(&column[line]));
                if number < self.names {
                    format!("{}{space}", column[line])
                } else {
                    format!("{space}{}", column[line])
                }
            };
            let cells: Vec<String> = self.columns.iter().enumerate().map(cell).collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
    }
}

/// Columns that a cell takes.
fn room(cell: &str) -> usize {
    let hidden = if cell.contains(BOLD) { BOLD.len() + PLAIN.len() } else { 0 };
    cell.chars().count() - hidden
}

/// A text in lines that fit, each after the first set in by two columns more than `indent`.
fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = Vec::new();
    let mut line = indent.to_string();
    for word in text.split(' ') {
        if line.chars().count() + word.chars().count() > WIDTH && !line.trim().is_empty() {
            lines.push(std::mem::replace(&mut line, format!("{indent}  ")));
        }
        line += word;
        line.push(' ');
    }
    lines.push(line);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The beginning and the end of a name that is too long, as names of a sweep differ in their ends.
fn shortened(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.into();
    }
    let first = most / 2;
    let chars = || name.chars();
    chars().take(first).chain(['…']).chain(chars().skip(count - (most - first - 1))).collect()
}

fn write_table(text: &mut String, table: &Table, styled: bool) {
    let _ = write!(text, "\n{}\n\n", plain(&table.title));
    let grid = Grid::new(table, plain, |text, mark| marked(text, mark, styled));
    for row in grid.aligned(|cell| if cell.contains(BOLD) { BOLD.len() + PLAIN.len() } else { 0 }) {
        let _ = writeln!(text, "  {}", row.join("  ").trim_end());
    }
}

/// A text on one line, without anything that a terminal would obey.
fn plain(text: &str) -> String {
    visible_line(text).into_owned()
}

fn marked(text: String, mark: Mark, styled: bool) -> String {
    match (mark, styled) {
        (Mark::Best, true) => format!("{BOLD}{text}{PLAIN}"),
        (Mark::Best, false) => format!("* {text}"),
        (Mark::Tie, _) => format!("≈ {text}"),
        (Mark::Plain, _) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_lose_no_word() {
        let text = format!("{} {} end", "word ".repeat(60).trim_end(), "x".repeat(130));
        let lines = wrapped(&text, "  ");
        assert!(lines.lines().filter(|line| !line.contains('x')).all(|line| line.chars().count() <= WIDTH));
        assert!(
            lines.starts_with("  word")
                && lines.lines().nth(1).is_some_and(|line| line.starts_with("    word"))
        );
        assert_eq!(lines.split_whitespace().collect::<Vec<_>>().join(" "), text);
        assert_eq!(wrapped("", ""), "\n");
    }

    #[test]
    fn a_long_name_keeps_its_ends() {
        assert_eq!(shortened("HiRoPE", 8), "HiRoPE");
        assert_eq!(shortened("HiRoPE window=256", 9), "HiRo…=256");
    }
}
