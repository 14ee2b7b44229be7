//! report.tex: booktabs tables, laid out as the paper's: models below each other, and the metrics of a
//! bucket side by side where they fit.

use std::collections::HashSet;
use std::fmt::Write;
use std::ops::Range;

use super::{Cell, Column, Content, Mark, Report, Section, Table};
use crate::terminal::visible_line;

/// Characters that fit side by side on a page, in small letters; a wider table is divided.
const FIT: usize = 96;

/// Tables to `\input` into a document that uses the package booktabs. Of metrics those that were asked for, else each
/// task's main one.
pub(super) fn render(report: &Report) -> String {
    let mut writer = Writer { text: String::from("% \\usepackage{booktabs}\n"), labels: HashSet::new() };
    for overview in &report.leading() {
        let block = Block { model: String::new(), tables: vec![overview.clone()] };
        writer.table(&report.results.config.name, "overview", vec![block], "");
    }
    for task in &report.results.config.tasks {
        let sections: Vec<&Section> =
            report.sections.iter().filter(|section| section.task == task.name).collect();
        writer.words(report, &sections);
        for (content, what) in CONTENTS {
            for part in parts(report, &sections, *content) {
                let block = |section: &&'_ Section| Block {
                    model: section.model.clone(),
                    tables: wanted(report, section, *content)
                        .skip(part.start)
                        .take(part.len())
                        .cloned()
                        .collect(),
                };
                let blocks = sections.iter().map(block).filter(|block| !block.tables.is_empty()).collect();
                writer.table(&task.name, what, blocks, &sections[0].legend("Bold"));
            }
        }
    }
    writer.text
}

/// What tables are of, in their order, and how labels name it.
const CONTENTS: &[(Content, &str)] = &[
    (Content::Contributions, "contributions"),
    (Content::Structure, "structure"),
    (Content::Samples, "samples"),
    (Content::Positions, "positions"),
    (Content::ByContext, "context"),
    (Content::Gains, "gains"),
    (Content::Differences, "differences"),
    (Content::Paper, "paper"),
];

/// Which of a section's tables are side by side: several metrics of the same samples, where they were asked for and fit.
fn parts(report: &Report, sections: &[&Section], content: Content) -> Vec<Range<usize>> {
    let most = sections.iter().map(|section| wanted(report, section, content).count()).max().unwrap_or(0);
    let width: usize = sections.first().map_or(0, |section| {
        wanted(report, section, content)
            .map(|table| table.columns.iter().map(|c| width(table, c) + 2).sum::<usize>())
            .sum()
    });
    if content == Content::Samples && most > 0 && width <= FIT {
        std::iter::once(0..most).collect()
    } else {
        (0..most).map(|n| n..n + 1).collect()
    }
}

/// A section's tables of some content: those of the metrics that were asked for, else the first, which is the main one.
fn wanted<'a>(report: &'a Report, section: &'a Section, content: Content) -> impl Iterator<Item = &'a Table> {
    let most = if report.in_latex.is_empty() { 1 } else { usize::MAX };
    let is_shown = move |table: &&Table| {
        report.in_latex.is_empty() || report.in_latex.iter().any(|name| name == table.metric.name)
    };
    section.tables.iter().filter(move |table| table.content == content).filter(is_shown).take(most)
}

/// Characters of a column's widest cell, in whose second line letters are smaller.
fn width(table: &Table, column: &Column) -> usize {
    let Some(place) = table.columns.iter().position(|own| own.name == column.name) else { return 1 };
    let of_cell = |cell: &Cell| {
        let second = interval(table, cell).map_or(0, |found| found.chars().count() * 3 / 5);
        second.max(cell.text.chars().count())
    };
    let cells = table.rows.iter().map(|(_, cells)| of_cell(&cells[place]));
    cells.chain([column.name.chars().count()]).max().unwrap_or(1)
}

/// A cell's interval where its table shows them: it stands below the value.
fn interval<'a>(table: &Table, cell: &'a Cell) -> Option<&'a str> {
    cell.interval.as_deref().filter(|_| table.text(cell) != cell.text)
}

/// A model's tables over the same columns.
struct Block {
    model: String,
    tables: Vec<Table>,
}

struct Writer {
    text: String,
    /// Those that are given.
    labels: HashSet<String>,
}

impl Writer {
    /// The sentences of a task's sections.
    fn words(&mut self, report: &Report, sections: &[&Section]) {
        for section in sections {
            let title = escape(&section.title());
            for words in report.failures.of(section).iter().chain(section.words()) {
                let _ = writeln!(self.text, "\n\\paragraph{{{title}}} {}", escape(words));
            }
        }
        for sentence in sections.iter().filter_map(|section| section.reach.as_ref()) {
            let _ = writeln!(self.text, "\n{}", escape(sentence));
        }
    }

    /// A table, or as many as it takes for each to be readable.
    fn table(&mut self, task: &str, what: &str, blocks: Vec<Block>, legend: &str) {
        let all = columns(&blocks);
        let names = blocks.iter().flat_map(|block| &block.tables).flat_map(|table| &table.rows);
        let name = names.map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let divided = divided(&blocks, &all, FIT.saturating_sub(name));
        let metrics: Vec<&str> = blocks[0].tables.iter().map(|table| table.metric.name).collect();
        let titles: Vec<&str> = blocks[0].tables.iter().map(|table| table.title.as_str()).collect();
        for (number, columns) in divided.iter().enumerate() {
            let part = match divided.len() {
                1 => String::new(),
                count => format!(" Columns {} of {count}.", number + 1),
            };
            let caption = escape(&format!("{task}. {}{part} {legend}", titles.join(" ")));
            let label = self.label(&format!("{task}-{what}-{}", metrics.join("-")));
            let _ = writeln!(self.text, "\n\\begin{{table*}}\n\\centering\n\\small");
            let count = columns.len() * metrics.len();
            let _ = writeln!(self.text, "\\begin{{tabular}}{{l{}}}\n\\toprule", "r".repeat(count));
            header(&mut self.text, columns, &metrics);
            for block in &blocks {
                self.text.push_str("\\midrule\n");
                if blocks.len() > 1 {
                    let name = escape(&block.model);
                    let _ =
                        writeln!(self.text, "\\multicolumn{{{}}}{{l}}{{\\emph{{{name}}}}} \\\\", count + 1);
                }
                rows(&mut self.text, block, columns);
            }
            let _ = writeln!(
                self.text,
                "\\bottomrule\n\\end{{tabular}}\n\\caption{{{caption}}}\n\\label{{{label}}}\n\\end{{table*}}"
            );
        }
    }

    /// `tab:` and a name in small letters, digits and dashes, numbered where it is given already.
    fn label(&mut self, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let name: String = name.chars().map(plain).collect();
        let name = format!("tab:{name}");
        let mut names = [name.clone()].into_iter().chain((2..).map(|n| format!("{name}-{n}")));
        names.find(|name| self.labels.insert(name.clone())).expect("there is always another number")
    }
}

/// Columns that fit side by side, at least one each.
fn divided(blocks: &[Block], all: &[Column], room: usize) -> Vec<Vec<Column>> {
    let wide = |column: &Column| {
        let of_block =
            |block: &Block| block.tables.iter().map(|table| width(table, column) + 2).sum::<usize>();
        blocks.iter().map(of_block).max().unwrap_or(0)
    };
    let mut divided: Vec<Vec<Column>> = Vec::new();
    let mut used = usize::MAX;
    for column in all {
        let more = wide(column);
        match divided.last_mut().filter(|_| used.saturating_add(more) <= room) {
            Some(last) => {
                last.push(column.clone());
                used += more;
            }
            None => {
                divided.push(vec![column.clone()]);
                used = more;
            }
        }
    }
    divided
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
            Some(shown(table, &cells[place]))
        };
        let cells = columns.iter().flat_map(|column| {
            block.tables.iter().map(move |table| cell(table, column).unwrap_or("-".into()))
        });
        let _ = writeln!(text, "{} & {} \\\\", row_name(name), cells.collect::<Vec<_>>().join(" & "));
    }
}

/// A cell with its mark, and its interval below.
fn shown(table: &Table, cell: &Cell) -> String {
    let text = escape(&cell.text);
    let text = match cell.mark {
        Mark::Best => format!("\\textbf{{{text}}}"),
        Mark::Tie => format!("$\\approx$ {text}"),
        Mark::Plain => text,
    };
    match interval(table, cell) {
        Some(found) => format!("\\shortstack[r]{{{text} \\\\ {{\\tiny {}}}}}", escape(found)),
        None => text,
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
