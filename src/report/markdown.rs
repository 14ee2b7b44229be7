//! report.md.

use std::fmt::Write;

use super::grid::Grid;
use super::{Mark, Report, Table, caption};

/// The report's text.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("# {}\n", report.results.config.name);
    for table in &report.overview {
        let _ = write!(text, "\n{}\n\n{}", table.title, markdown(table));
    }
    for line in caption(report) {
        let _ = write!(text, "\n{line}\n");
    }
    for section in &report.sections {
        let _ = write!(text, "\n## {}\n", section.title());
        if let Some(verdict) = &section.verdict {
            let _ = write!(text, "\n{verdict}\n");
        }
        for table in &section.tables {
            let _ = write!(text, "\n{}\n\n{}", table.title, markdown(table));
        }
        let _ = write!(text, "\n{}\n", section.legend("**Bold**"));
        for picture in &section.pictures {
            let _ = write!(text, "\n![{}]({})\n", picture.title, picture.svg_file());
        }
    }
    text
}

fn markdown(table: &Table) -> String {
    let rows = Grid::new(table, marked).aligned(|_| 0);
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
