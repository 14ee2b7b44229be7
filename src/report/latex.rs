//! report.tex: booktabs tables, laid out as the paper's: models below each other, and the metrics of a
//! bucket side by side.

use std::fmt::Write;
use std::iter;
use std::ops::Range;

use super::{Column, Content, Mark, Report, Section, Table};
use crate::terminal::visible_line;

/// Columns of figures that fit a page; wider tables are made smaller.
const FIT: usize = 8;

/// Tables to `\input` into a document that uses the packages booktabs and graphicx.
pub(super) fn render(report: &Report) -> String {
    let mut text = String::from("% \\usepackage{booktabs,graphicx}\n");
    for overview in &report.overview {
        let block = Block { model: String::new(), tables: vec![overview.clone()] };
        table(&mut text, &report.results.config.name, vec![block], "");
    }
    for task in &report.results.config.tasks {
        let sections: Vec<&Section> =
            report.sections.iter().filter(|section| section.task == task.name).collect();
        for section in &sections {
            if let Some(failed) = report.failures.of(section) {
                let _ = writeln!(text, "\n\\paragraph{{{}}} {}", escape(&section.title()), escape(&failed));
            }
            for words in section.words() {
                let _ = writeln!(text, "\n\\paragraph{{{}}} {}", escape(&section.title()), escape(words));
            }
        }
        for sentence in sections.iter().filter_map(|section| section.reach(report.baseline_entry())) {
            let _ = writeln!(text, "\n{}", escape(&sentence));
        }
        for content in [
            Content::Contributions,
            Content::Structure,
            Content::Samples,
            Content::Positions,
            Content::ByContext,
            Content::Gains,
            Content::Differences,
            Content::Paper,
        ] {
            for part in parts(&sections, content) {
                let block = |section: &&'_ Section| Block {
                    model: section.model.clone(),
                    tables: tables(section, content).skip(part.start).take(part.len()).cloned().collect(),
                };
                let blocks = sections.iter().map(block).filter(|block| !block.tables.is_empty()).collect();
                table(&mut text, &task.name, blocks, &sections[0].legend("Bold"));
            }
        }
    }
    text
}

/// Which of a section's tables are side by side: all metrics of the same samples; others stand alone.
fn parts(sections: &[&Section], content: Content) -> Vec<Range<usize>> {
    let most = sections.iter().map(|section| tables(section, content).count()).max().unwrap_or(0);
    match content {
        Content::Samples if most > 0 => iter::once(0..most).collect(),
        _ => (0..most).map(|n| n..n + 1).collect(),
    }
}

fn tables(section: &Section, content: Content) -> impl Iterator<Item = &Table> {
    section.tables.iter().filter(move |table| table.content == content)
}

/// A model's tables over the same columns.
struct Block {
    model: String,
    tables: Vec<Table>,
}

fn table(text: &mut String, task: &str, blocks: Vec<Block>, legend: &str) {
    let columns = columns(&blocks);
    let metrics: Vec<&str> = blocks[0].tables.iter().map(|table| table.metric.name).collect();
    let titles: Vec<&str> = blocks[0].tables.iter().map(|table| table.title.as_str()).collect();
    let caption = escape(&format!("{task}. {} {legend}", titles.join(" ")));
    let width = columns.len() * metrics.len();
    let (before, after) = if width > FIT { ("\\resizebox{\\textwidth}{!}{%\n", "}") } else { ("", "") };
    let _ = writeln!(text, "\n\\begin{{table*}}\n\\centering\n\\small");
    let _ = writeln!(text, "{before}\\begin{{tabular}}{{l{}}}\n\\toprule", "r".repeat(width));
    header(text, &columns, &metrics);
    for block in &blocks {
        text.push_str("\\midrule\n");
        if blocks.len() > 1 {
            let name = escape(&block.model);
            let _ = writeln!(text, "\\multicolumn{{{}}}{{l}}{{\\emph{{{name}}}}} \\\\", width + 1);
        }
        rows(text, block, &columns);
    }
    let _ = writeln!(text, "\\bottomrule\n\\end{{tabular}}{after}\n\\caption{{{caption}}}\n\\end{{table*}}");
}

/// Every column of some block, by name, in the order they come.
fn columns(blocks: &[Block]) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    for column in blocks.iter().flat_map(|block| &block.tables).flat_map(|table| &table.columns) {
        if columns.iter().all(|known| known.name != column.name) {
            columns.push(column.clone());
        }
    }
    columns
}

/// The groups, and below them the metrics where there are several.
fn header(text: &mut String, columns: &[Column], metrics: &[&str]) {
    let names = columns.iter().map(|column| {
        let name = escape(&if column.beyond { format!("{} †", column.name) } else { column.name.clone() });
        match metrics.len() {
            1 => name,
            span => format!("\\multicolumn{{{span}}}{{c}}{{{name}}}"),
        }
    });
    let _ = writeln!(text, "encoding & {} \\\\", names.collect::<Vec<_>>().join(" & "));
    if metrics.len() > 1 {
        for n in 0..columns.len() {
            let from = 2 + n * metrics.len();
            let _ = write!(text, "\\cmidrule(lr){{{from}-{}}}", from + metrics.len() - 1);
        }
        let names: Vec<String> = metrics.iter().map(|metric| escape(&metric.replace('_', " "))).collect();
        let _ = writeln!(text, "\n & {} \\\\", vec![names.join(" & "); columns.len()].join(" & "));
    }
}

fn rows(text: &mut String, block: &Block, columns: &[Column]) {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in block.tables.iter().flat_map(|table| &table.rows) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for name in names {
        let cell = |table: &Table, column: &Column| {
            let place = table.columns.iter().position(|own| own.name == column.name)?;
            let (_, cells) = table.rows.iter().find(|(own, _)| own == name)?;
            Some(marked(&table.text(&cells[place]), cells[place].mark))
        };
        let cells = columns.iter().flat_map(|column| {
            block.tables.iter().map(move |table| cell(table, column).unwrap_or("-".into()))
        });
        let _ = writeln!(text, "{} & {} \\\\", row_name(name), cells.collect::<Vec<_>>().join(" & "));
    }
}

fn marked(text: &str, mark: Mark) -> String {
    let text = escape(text);
    match mark {
        Mark::Best => format!("\\textbf{{{text}}}"),
        Mark::Tie => format!("$\\approx$ {text}"),
        Mark::Plain => text,
    }
}

/// A name at the beginning of a row: what `\\` before it would take for its own is shielded.
fn row_name(name: &str) -> String {
    let escaped = escape(name);
    if escaped.trim_start().starts_with(['[', '*']) { format!("{{}}{escaped}") } else { escaped }
}

/// A text as LaTeX on one line; a range's hyphen becomes a dash, a difference's a minus.
fn escape(text: &str) -> String {
    let text = &*visible_line(text);
    let mut escaped = String::new();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let after = text[at + c.len_utf8()..].chars().next().unwrap_or(' ');
        match c {
            '-' if before.is_ascii_digit() && after.is_ascii_digit() => escaped.push_str("--"),
            '-' if !before.is_alphanumeric() && after.is_ascii_digit() => escaped.push_str("$-$"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '`' => escaped.push_str("\\textasciigrave{}"),
            '|' => escaped.push_str("\\textbar{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '<' | '>' => escaped.extend(['$', c, '$']),
            '≈' => escaped.push_str("$\\approx$"),
            '†' => escaped.push_str("$\\dagger$"),
            '±' => escaped.push_str("$\\pm$"),
            c => escaped.push(c),
        }
        before = c;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_latex_reads_otherwise_is_escaped() {
        assert_eq!(escape("tokens:8_x 50% a&b"), "tokens:8\\_x 50\\% a\\&b");
        assert_eq!(escape("0-512 †"), "0--512 $\\dagger$");
        assert_eq!(escape("-0.01 [-0.02, +0.01]"), "$-$0.01 [$-$0.02, +0.01]");
        assert_eq!(escape("Self-Extend"), "Self-Extend");
        assert_eq!(
            escape("a|`b`\n"),
            "a\\textbar{}\\textasciigrave{}b\\textasciigrave{}\\textbackslash{}u000a"
        );
        assert_eq!([row_name("[x]"), row_name("*x")], ["{}[x]", "{}*x"]);
    }
}
