//! What `longcode run` and `longcode report` show.

use std::fmt::Write;

use super::grid::Grid;
use super::{Mark, Report, Table, caption};

const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The tables; the best figures are bold where the terminal can show that (`styled`), else starred.
pub fn render(report: &Report, styled: bool) -> String {
    let mut text = format!("{}\n", report.results.config.name);
    report.overview.iter().for_each(|table| write_table(&mut text, table, styled));
    if !report.overview.is_empty() {
        text.push('\n');
    }
    for line in caption(report) {
        let _ = writeln!(text, "{line}");
    }
    for section in &report.sections {
        let _ = write!(text, "\n{}\n", section.title());
        if let Some(verdict) = &section.verdict {
            let _ = write!(text, "\n{verdict}\n");
        }
        section.tables.iter().for_each(|table| write_table(&mut text, table, styled));
        let _ = write!(text, "\n{}\n", section.legend(if styled { "Bold" } else { "*" }));
    }
    text
}

fn write_table(text: &mut String, table: &Table, styled: bool) {
    let _ = write!(text, "\n{}\n\n", table.title);
    let grid = Grid::new(table, |text, mark| marked(text, mark, styled));
    for row in grid.aligned(|cell| if cell.contains(BOLD) { BOLD.len() + PLAIN.len() } else { 0 }) {
        let _ = writeln!(text, "  {}", row.join("  ").trim_end());
    }
}

fn marked(text: String, mark: Mark, styled: bool) -> String {
    match (mark, styled) {
        (Mark::Best, true) => format!("{BOLD}{text}{PLAIN}"),
        (Mark::Best, false) => format!("* {text}"),
        (Mark::Tie, _) => format!("≈ {text}"),
        (Mark::Plain, _) => text,
    }
}
