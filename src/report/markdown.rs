//! report.md, which is also what the terminal shows.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::table::Table;
use super::{Picture, Row};
use crate::config::TaskEntry;
use crate::store::{ModelHash, Results};
use crate::task::{Better, Group};

/// Marks a column whose context exceeds the training length.
const BEYOND: &str = "†";

/// The report's text.
pub(super) fn report(results: &Results, rows: &[Row], pictures: &[Picture]) -> String {
    let environment = &results.environment;
    let mut text = format!("# {}\n\n", results.config.name);
    let stored = results.samples.len();
    let _ = writeln!(
        text,
        "longcode {} ({}), {}, {} of {} samples x encodings, seed {}.",
        environment.session.version,
        environment.session.git_commit,
        environment.device,
        stored,
        environment.planned,
        results.config.seed
    );
    if stored < environment.planned {
        let _ = writeln!(text, "\n**Unfinished**: figures are of the samples stored so far.");
    }
    for model in &environment.models {
        for task in &results.config.tasks {
            let rows: Vec<&Row> =
                rows.iter().filter(|row| row.model == model.name && row.task == task.name).collect();
            if !rows.is_empty() {
                section(&mut text, results, model, task, &rows);
                for picture in pictures.iter().filter(|p| p.model == model.name && p.task == task.name) {
                    let _ = writeln!(
                        text,
                        "\n![{} on {}: loss by position]({})",
                        model.name, task.name, picture.file
                    );
                }
            }
        }
    }
    text
}

/// One model on one task.
fn section(text: &mut String, results: &Results, model: &ModelHash, task: &TaskEntry, rows: &[&Row]) {
    let _ = writeln!(text, "\n## {} on {} ({})", model.name, task.name, task.dataset);
    for view in VIEWS {
        if let Some(table) = table(results, model, rows, view) {
            let _ = write!(text, "\n{}\n\n{table}", view.title);
        }
    }
    let _ = writeln!(
        text,
        "\n{BEYOND} beyond the training length of {} tokens. **Bold**: best of the column. n: documents. 95% \
         intervals are in summary.csv.",
        model.trained_length
    );
}

/// A table of one metric over one sort of groups.
struct View {
    title: &'static str,
    metric: &'static str,
    of: fn(&Group) -> bool,
}

const VIEWS: &[View] = &[
    View {
        title: "Perplexity by document length in tokens: exp of the mean loss over all predicted tokens of the \
                bucket, one pass a document.",
        metric: "ppl",
        of: |group| !matches!(group, Group::Position(_)),
    },
    View {
        title: "Next-token accuracy by document length.",
        metric: "accuracy",
        of: |group| !matches!(group, Group::Position(_)),
    },
    View {
        title: "Loss in nats by position in the document, from the same pass: what the model loses when this much \
                context stands before a token.",
        metric: "loss",
        of: |group| matches!(group, Group::Position(_)),
    },
];

fn table(results: &Results, model: &ModelHash, rows: &[&Row], view: &View) -> Option<String> {
    let rows: Vec<&Row> =
        rows.iter().copied().filter(|row| row.metric.name == view.metric && (view.of)(&row.group)).collect();
    let groups: Vec<Group> = rows.iter().map(|row| row.group).collect::<BTreeSet<_>>().into_iter().collect();
    if groups.is_empty() {
        return None;
    }
    let at = |encoding: &str, group: &Group| {
        rows.iter().find(|row| row.encoding == encoding && row.group == *group).copied()
    };
    let mut header = vec!["encoding".to_string()];
    header.extend(groups.iter().map(|group| heading(group, model.trained_length)));
    let mut table = Table::new(header);
    for encoding in &results.config.encodings {
        let cell = |group: &Group| at(&encoding.name, group).map_or("-".into(), |row| cell(row, &rows));
        if groups.iter().any(|group| at(&encoding.name, group).is_some()) {
            table.push([encoding.name.clone()].into_iter().chain(groups.iter().map(cell)).collect());
        }
    }
    let count =
        |group: &Group| samples(rows.iter().filter(|row| row.group == *group).map(|row| row.estimate.n));
    table.push(["n".to_string()].into_iter().chain(groups.iter().map(count)).collect());
    Some(table.markdown())
}

/// A column's name, marked where the context exceeds the training length.
fn heading(group: &Group, trained_length: usize) -> String {
    let beyond = match group {
        Group::Bucket(span) => span.to > trained_length,
        Group::Position(span) => span.from >= trained_length,
        Group::Cell { length, .. } => *length > trained_length,
        Group::All => false,
    };
    let name = match group {
        Group::Bucket(span) | Group::Position(span) => span.to_string(),
        Group::Cell { .. } => group.to_string(),
        Group::All => "all".into(),
    };
    if beyond { format!("{name} {BEYOND}") } else { name }
}

/// A figure, bold where none in its column, as printed, is better.
fn cell(row: &Row, rows: &[&Row]) -> String {
    let column = rows.iter().filter(|other| other.group == row.group);
    let own = number(row.estimate.value);
    let beaten = column.into_iter().any(|other| {
        let better = match row.metric.better {
            Better::Lower => other.estimate.value < row.estimate.value,
            Better::Higher => other.estimate.value > row.estimate.value,
        };
        better && number(other.estimate.value) != own
    });
    if beaten { own } else { format!("**{own}**") }
}

/// Four digits, or fewer decimals for large figures.
fn number(value: f64) -> String {
    match value {
        value if value >= 1000.0 => format!("{value:.0}"),
        value if value >= 100.0 => format!("{value:.1}"),
        value if value >= 10.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

/// The number of samples of a column; a range where encodings have different ones.
fn samples(counts: impl Iterator<Item = usize> + Clone) -> String {
    match (counts.clone().min(), counts.max()) {
        (Some(least), Some(most)) if least < most => format!("{least}-{most}"),
        (_, most) => most.unwrap_or(0).to_string(),
    }
}
