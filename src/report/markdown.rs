//! report.md.

use std::fmt::Write;

use super::grid::Grid;
use super::{Mark, Report, Table, caption};
use crate::draw::quote::markdown as escape;

/// The report's text.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("# {}\n", escape(&report.results.config.name));
    for table in &report.leading() {
        let _ = write!(text, "\n{}\n\n{}", escape(&table.title), markdown(table));
    }
    if let Some(picture) = &report.picture {
        let _ = write!(text, "\n![{}]({})\n", escape(&picture.title), picture.svg_file());
    }
    for line in caption(report).into_iter().chain(report.failures.head()) {
        let _ = write!(text, "\n{}\n", escape(&line));
    }
    for section in &report.sections {
        let _ = write!(text, "\n## {}\n", escape(&section.title()));
        for words in section.words() {
            let _ = write!(text, "\n{}\n", escape(words));
        }
        for table in &section.tables {
            let _ = write!(text, "\n{}\n\n{}", escape(&table.title), markdown(table));
        }
        let _ = write!(text, "\n{}\n", section.legend("**Bold**"));
        if let Some(failed) = report.failures.of(section) {
            let _ = write!(text, "\n{}\n", escape(&failed));
        }
        for picture in &section.pictures {
            let _ = write!(text, "\n![{}]({})\n", escape(&picture.title), picture.svg_file());
        }
    }
    text
}

fn markdown(table: &Table) -> String {
    let rows = Grid::new(table, escape, marked).aligned(|_| 0);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let _ = writeln!(text, "| {} |", row.join(" | "));
        if number == 0 {
            let rule = |(column, cell): (usize, &String)| {
                let dashes = "-".repeat(cell.chars().count() - 1);
                format!("{dashes}{}", if column > 0 { ':' } else { '-' })
            };
            let rules: Vec<String> = row.iter().enumerate().map(rule).collect();
            let _ = writeln!(text, "| {} |", rules.join(" | "));
        }
    }
    text
}

fn marked(text: String, mark: Mark) -> String {
    match mark {
        Mark::Best => format!("**{text}**"),
        Mark::Tie => format!("≈ {text}"),
        Mark::Plain => text,
    }
}
