//! A comparison as text for a terminal.

use std::fmt::Write;

use longcode_base::terminal::visible_line;

use crate::found::{Compared, Differing, FigureCompared, Named, SideShown};

/// Samples named in a line.
const NAMED: usize = 3;

/// The whole comparison.
pub fn render(compared: &Compared) -> String {
    let mut text = String::new();
    for (letter, side) in [("A", &compared.a), ("B", &compared.b)] {
        let _ = writeln!(text, "{letter}: {}", side_line(side));
        side.notes.iter().for_each(|note| line(&mut text, &format!("   note: {note}")));
    }
    compared.notes.iter().for_each(|note| line(&mut text, &format!("note: {note}")));
    for figure in &compared.figures {
        text.push('\n');
        sentences(figure).iter().for_each(|sentence| line(&mut text, sentence));
        table(&mut text, &figure.differ_most);
    }
    text
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "{}", visible_line(line));
}

pub(crate) fn side_line(side: &SideShown) -> String {
    visible_line(&format!("{} ({})", side.name, side.stored_by)).into_owned()
}

/// What a figure's comparison says, a sentence a line.
pub(crate) fn sentences(figure: &FigureCompared) -> Vec<String> {
    let better = match figure.higher_is_better {
        Some(true) => "; more is better",
        Some(false) => "; less is better",
        None => "",
    };
    let mut said = vec![
        format!("{}: {}, {} samples{better}", figure.task, figure.metric, figure.n),
        format!(
            "  A {}   B {}   A less B {}, 95% interval [{}, {}], permutation p {:.4}",
            number(figure.a),
            number(figure.b),
            signed(figure.difference),
            signed(figure.interval.low),
            signed(figure.interval.high),
            figure.permutation_p
        ),
        format!("  {}", verdict(figure)),
        format!("  {}", counts(figure)),
    ];
    said.extend(decided(figure).map(|words| format!("  {words}")));
    said.extend(missing(figure).into_iter().map(|words| format!("  {words}")));
    said
}

/// In how many samples which side is ahead.
fn counts(figure: &FigureCompared) -> String {
    let (ahead, a, b) = match figure.higher_is_better {
        Some(true) => ("better", figure.a_more, figure.b_more),
        Some(false) => ("better", figure.b_more, figure.a_more),
        None => ("higher", figure.a_more, figure.b_more),
    };
    format!("A is {ahead} in {a} samples, B in {b}; equal in {}", figure.same)
}

/// The side that the difference is for: the better one or, where it is not known which that is, the higher one.
fn ahead(figure: &FigureCompared) -> &'static str {
    let is_a = (figure.difference > 0.0) == figure.higher_is_better.unwrap_or(true);
    if is_a { "A" } else { "B" }
}

/// Whether the two are told apart, in words.
fn verdict(figure: &FigureCompared) -> String {
    if figure.told_apart {
        let better = if figure.higher_is_better.is_some() { "better" } else { "higher" };
        format!("{} is {better}: the interval excludes 0", ahead(figure))
    } else if figure.n < longcode_stats::FEWEST {
        format!("not told apart: fewer than {} samples", longcode_stats::FEWEST)
    } else {
        "not told apart: the interval contains 0".into()
    }
}

/// How few samples decide it; none where nothing is decided.
fn decided(figure: &FigureCompared) -> Option<String> {
    let sign = figure.sign_decided_by?;
    let without = |count: usize| {
        let samples = if count == 1 { "sample that favours" } else { "samples that favour" };
        format!("without the {count} {samples} {} most", ahead(figure))
    };
    Some(match figure.told_apart_decided_by {
        Some(apart) => {
            format!("{} the two are not told apart; without {sign} the difference is gone", without(apart))
        }
        None => format!("{} the difference is gone", without(sign)),
    })
}

/// Samples that do not count.
fn missing(figure: &FigureCompared) -> Vec<String> {
    let sorts = [
        (&figure.only_a, "samples only A has"),
        (&figure.only_b, "samples only B has"),
        (&figure.without_value, "samples without a value on a side"),
        (&figure.other_record, "samples whose records differ"),
    ];
    let said = sorts.into_iter().filter(|(named, _)| named.count > 0);
    said.map(|(named, what)| format!("{} {what}: {}", named.count, names(named))).collect()
}

fn names(named: &Named) -> String {
    let shown: Vec<&str> = named.first.iter().take(NAMED).map(String::as_str).collect();
    let more = named.count - shown.len();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn table(text: &mut String, differ_most: &[Differing]) {
    let width = differ_most.iter().map(|one| one.sample.chars().count().min(48)).max().unwrap_or(0).max(6);
    if !differ_most.is_empty() {
        let _ = writeln!(
            text,
            "  samples that differ most:\n  {:width$}  {:>9}  {:>9}  {:>9}",
            "sample", "A", "B", "A less B"
        );
    }
    for one in differ_most {
        let name = visible_line(&one.sample).chars().take(48).collect::<String>();
        let [a, b] = [one.a, one.b].map(number);
        let _ = writeln!(text, "  {name:width$}  {a:>9}  {b:>9}  {:>9}", signed(one.difference));
    }
}

/// Four digits, or fewer decimals for large figures.
pub(crate) fn number(value: f64) -> String {
    let places = match value.abs() {
        value if value >= 1000.0 => 0,
        value if value >= 100.0 => 1,
        value if value >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

/// The same with a sign.
pub(crate) fn signed(value: f64) -> String {
    let text = number(value.abs());
    match value {
        _ if text.trim_matches(['0', '.']).is_empty() => text,
        value if value < 0.0 => format!("-{text}"),
        _ => format!("+{text}"),
    }
}
