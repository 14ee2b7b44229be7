//! How far a task with right answers is done: what every row reaches at the longest prompts, and up to which length it
//! holds. Where figures are not by length in tokens: which rows are the best.

use longcode_stats::Estimate;

use super::{Mark, Row};
use crate::draw::number::{grouped, number};
use crate::task::{Better, Group, Metric, Range};

/// Part of its figure within the trained length that a row keeps where it holds. RULER (Hsieh et al. 2024,
/// arXiv 2404.06654) asks for 85.6 of 100.
pub(super) const KEEPS: f64 = 0.85;

/// Part of the scale below which a row does not do the task at all, so that there is nothing to hold.
const ANYTHING: f64 = 0.05;

/// What the rows of one model reach on one task, by the length of the prompt.
#[derive(Debug, Clone)]
pub(super) struct Finding {
    metric: Metric,
    trained_length: usize,
    /// Tokens of the longest prompts, or the upper end of their bucket.
    pub(super) longest: usize,
    /// In the order of the rows; not empty.
    pub(super) rows: Vec<Reached>,
}

/// What one row reaches.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    pub(super) encoding: String,
    /// At the longest prompts.
    pub(super) at_longest: Estimate,
    pub(super) holds: Holds,
}

/// How far a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    /// It does not do the task within the trained length either.
    Nothing,
    /// To this length in tokens: at every length up to there it keeps [`KEEPS`] of its figure.
    To(usize),
}

impl Holds {
    /// From figures by length, ascending, as parts of the scale. What is to be kept is their mean within the trained
    /// length, or the first where none is.
    fn of(figures: &[(usize, f64)], trained_length: usize) -> Holds {
        let within: Vec<f64> = figures
            .iter()
            .filter(|(length, _)| *length <= trained_length)
            .map(|(_, figure)| *figure)
            .collect();
        let own = match (within.len(), figures.first()) {
            (0, Some((_, first))) => *first,
            (count, _) => within.iter().sum::<f64>() / count as f64,
        };
        let kept = figures.iter().take_while(|(_, figure)| *figure >= KEEPS * own);
        match kept.last() {
            Some((length, _)) if own >= ANYTHING => Holds::To(*length),
            _ => Holds::Nothing,
        }
    }

    pub(super) fn words(self) -> String {
        match self {
            Holds::Nothing => "-".into(),
            Holds::To(length) => grouped(length),
        }
    }

    /// As a table sorts by it.
    pub(super) fn value(self) -> f64 {
        match self {
            Holds::Nothing => 0.0,
            Holds::To(length) => length as f64,
        }
    }
}

/// The length in tokens of a group of samples.
fn length(group: Group) -> Option<usize> {
    match group {
        Group::Length(length) => Some(length),
        Group::Bucket(span) => Some(span.to),
        _ => None,
    }
}

impl Finding {
    /// Of the rows of one model on one task; none where the main figure, `metric`, is no share of right answers, or is
    /// not by length in tokens.
    pub(super) fn new(rows: &[&Row], metric: Metric, trained_length: usize) -> Option<Finding> {
        if metric.better != Better::Higher || !matches!(metric.range, Range::Share | Range::Percent) {
            return None;
        }
        let mut all: Vec<(usize, &Row)> = rows
            .iter()
            .filter(|row| row.metric == metric)
            .filter_map(|row| Some((length(row.group)?, *row)))
            .collect();
        all.sort_by_key(|(length, _)| *length);
        let longest = all.iter().map(|(length, _)| *length).max()?;
        let mut names: Vec<&str> = Vec::new();
        for row in rows.iter().filter(|row| all.iter().any(|(_, placed)| placed.encoding == row.encoding)) {
            if !names.contains(&&row.encoding[..]) {
                names.push(&row.encoding);
            }
        }
        let reached = |name: &str| {
            let own: Vec<&(usize, &Row)> = all.iter().filter(|(_, row)| row.encoding == name).collect();
            let (_, last) = own.last().filter(|(length, _)| *length == longest)?;
            let whole = metric.range.whole();
            let figures: Vec<(usize, f64)> =
                own.iter().map(|(length, row)| (*length, row.estimate.value / whole)).collect();
            let holds = Holds::of(&figures, trained_length);
            Some(Reached { encoding: name.into(), at_longest: last.estimate, holds })
        };
        let rows: Vec<Reached> = names.into_iter().filter_map(reached).collect();
        (!rows.is_empty()).then_some(Finding { metric, trained_length, longest, rows })
    }

    /// What a row reaches, by the row's name.
    pub(super) fn of(&self, encoding: &str) -> Option<&Reached> {
        self.rows.iter().find(|row| row.encoding == encoding)
    }

    /// Who reaches what at the longest prompts, and how far each holds.
    pub(super) fn sentence(&self) -> String {
        let at = format!("at {} tokens{}", grouped(self.longest), self.times());
        if let [one] = &self.rows[..] {
            let held = match one.holds {
                Holds::Nothing => "does not do the task within it either".into(),
                holds => format!("holds to {}", holds.words()),
            };
            return format!("{} finds {} {at}; {held}.", one.encoding, number(one.at_longest.value));
        }
        let mut rows: Vec<&Reached> = self.rows.iter().collect();
        rows.sort_by(|a, b| b.holds.cmp(&a.holds).then(b.at_longest.value.total_cmp(&a.at_longest.value)));
        let named = |row: &&Reached| format!("{} ({})", row.encoding, number(row.at_longest.value));
        let alike = |rows: &[&Reached]| {
            let names: Vec<String> = rows.iter().map(named).collect();
            let held = match rows[0].holds {
                Holds::Nothing => format!("Not done within {} tokens either", grouped(self.trained_length)),
                holds => format!("Holds to {}", holds.words()),
            };
            format!("{held}: {}.", names.join("; "))
        };
        let held: Vec<String> = rows.chunk_by(|a, b| a.holds == b.holds).map(alike).collect();
        format!("{} {at} in brackets. {}", self.metric.title(), held.join(" "))
    }

    /// `, 16 times the trained length`, or that it is within.
    fn times(&self) -> String {
        let times = self.longest as f64 / self.trained_length.max(1) as f64;
        match times {
            times if times > 1.0 => format!(", {} times the trained length", short(times)),
            _ => ", within the trained length".into(),
        }
    }
}

/// Whole numbers from 10 on, else one decimal where it is not 0.
fn short(times: f64) -> String {
    let text = if times >= 10.0 { format!("{times:.0}") } else { format!("{times:.1}") };
    text.strip_suffix(".0").map_or(text.clone(), String::from)
}

/// Who is the best over all samples, as measured, and who is not told apart from it.
pub(super) fn best(rows: &[&Row], metric: &Metric) -> Option<String> {
    let all: Vec<&&Row> =
        rows.iter().filter(|row| row.group == Group::All && row.metric == *metric).collect();
    let sign = if metric.better == Better::Lower { 1.0 } else { -1.0 };
    let first = all.iter().min_by(|a, b| (sign * a.estimate.value).total_cmp(&(sign * b.estimate.value)))?;
    let value = |row: &&Row| format!("{} ({})", row.encoding, number(row.estimate.value));
    let names = |mark: Mark| -> Vec<String> {
        let others = all.iter().filter(|row| row.mark == mark && row.encoding != first.encoding);
        others.map(|row| value(row)).collect()
    };
    let head = format!("{} over all samples: {}", metric.title(), value(first));
    Some(match first.mark {
        _ if all.len() < 2 => format!("{head}."),
        Mark::Best => format!("{head} is the best, told apart from every other row."),
        Mark::Tie => {
            let ties = names(Mark::Tie);
            format!("{head} is the best as measured; not told apart from it: {}.", ties.join("; "))
        }
        Mark::Plain => format!("{head} is the best as measured; too few samples tell it apart from none."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_as_long_as_it_keeps_what_it_has() {
        let figures = [(256, 0.9), (512, 0.8), (1024, 0.8), (2048, 0.7), (4096, 0.9)];
        // 0.85 of the mean of 0.9 and 0.8 is 0.7225.
        assert_eq!(Holds::of(&figures, 512), Holds::To(1024));
        assert_eq!(Holds::of(&figures, 4096), Holds::To(4096), "of 0.82 all keep 0.697");
        assert_eq!(Holds::of(&figures[2..], 512), Holds::To(4096), "of the shortest where none is within");
        assert_eq!(Holds::of(&[(512, 0.02), (1024, 0.02)], 512), Holds::Nothing);
        assert_eq!(Holds::of(&[(512, 0.9), (1024, 0.1)], 512), Holds::To(512));
    }

    #[test]
    fn sixteen_times_has_no_decimals() {
        assert_eq!([16.0, 2.0, 1.5, 15.9].map(short), ["16", "2", "1.5", "16"]);
    }

    fn finding(rows: &[(&str, f64, Holds)]) -> Finding {
        let metric = Metric::share("exact_match", Better::Higher);
        let reached = |&(name, value, holds): &(&str, f64, Holds)| Reached {
            encoding: name.into(),
            at_longest: Estimate::as_measured(value, 9),
            holds,
        };
        Finding { metric, trained_length: 512, longest: 8192, rows: rows.iter().map(reached).collect() }
    }

    #[test]
    fn how_far_in_words() {
        let one = finding(&[("HiRoPE", 0.88, Holds::To(8192))]).sentence();
        assert_eq!(one, "HiRoPE finds 0.880 at 8,192 tokens, 16 times the trained length; holds to 8,192.");
        let several = finding(&[
            ("RoPE", 0.0, Holds::To(512)),
            ("a", 0.8, Holds::To(8192)),
            ("NTK", 0.0, Holds::Nothing),
            ("b", 0.9, Holds::To(8192)),
        ]);
        assert_eq!(
            several.sentence(),
            "Exact match at 8,192 tokens, 16 times the trained length in brackets. Holds to 8,192: b (0.900); a (0.800). \
             Holds to 512: RoPE (0.000). Not done within 512 tokens either: NTK (0.000)."
        );
    }
}
