//! What `longcode run` and `longcode report` show.

use std::fmt::Write;

use super::grid::Grid;
use super::{Mark, Report, Table, caption};
use crate::terminal::visible_line;

const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The tables; the best figures are bold where the terminal can show that (`styled`), else starred.
pub fn render(report: &Report, styled: bool) -> String {
    let mut text = format!("{}\n", plain(&report.results.config.name));
    report.overview.iter().for_each(|table| write_table(&mut text, table, styled));
    if !report.overview.is_empty() {
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
