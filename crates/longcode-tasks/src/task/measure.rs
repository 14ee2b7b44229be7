//! Figures: what a sample's outcome adds to which of them, over which samples or positions.

use longcode_stats::Scale;

use super::{Axis, Group};

/// A figure that a task gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name in summary.csv.
    pub name: &'static str,
    /// The metric whose measures it uses; its own name unless it transforms another's.
    pub of: &'static str,
    /// Whether it is exp() of the mean, like the perplexity of a loss.
    pub exponential: bool,
    /// Which direction is better.
    pub better: Better,
    /// Its name in titles; `name` if empty.
    title: &'static str,
    /// What it is taken over: the suffix of its table's title.
    over: &'static str,
    /// The title of its table by position; without one there is no such table.
    by_position: Option<&'static str>,
    /// Its name on the axes of pictures; `name` if empty.
    axis_title: &'static str,
    /// The most that pictures show.
    pub ceiling: f64,
    /// Its name in lm-evaluation-harness.
    pub lm_eval_name: &'static str,
    /// The parts of its differences, if these are measured: verdicts and context advantages use it.
    pub parts: Option<Parts>,
    /// Whether tables show it; summary.csv has every metric that is not a part of others.
    pub in_tables: bool,
    /// Whether it is only a part of others, and not a figure itself.
    pub part: bool,
    /// The range of a sample's value.
    pub range: Range,
}

impl Metric {
    /// A mean, shown in a table by bucket under its name.
    pub const fn mean(name: &'static str, better: Better) -> Metric {
        Metric {
            name,
            of: name,
            exponential: false,
            better,
            title: "",
            over: " by bucket",
            by_position: None,
            axis_title: "",
            ceiling: f64::INFINITY,
            lm_eval_name: name,
            parts: None,
            in_tables: true,
            part: false,
            range: Range::Open,
        }
    }

    /// A mean of values from 0 to 1.
    pub const fn share(name: &'static str, better: Better) -> Metric {
        Metric { range: Range::Share, ..Metric::mean(name, better) }
    }

    /// A mean of values from 0 to 100.
    pub const fn percent(name: &'static str, better: Better) -> Metric {
        Metric { range: Range::Percent, ..Metric::mean(name, better) }
    }

    /// One percentage minus another.
    pub const fn percent_gain(name: &'static str, better: Better) -> Metric {
        Metric { range: Range::PercentGain, ..Metric::mean(name, better) }
    }

    /// exp() of the mean of another metric's measures; lower is better.
    pub const fn exp_of(name: &'static str, of: &'static str) -> Metric {
        Metric { of, exponential: true, ..Metric::mean(name, Better::Lower) }
    }

    /// Prompts that were cut.
    pub(super) const fn truncated(over: &'static str) -> Metric {
        Metric::percent("truncated", Better::Lower).titled("Prompts that were cut, percent", over)
    }

    /// Gives it a title, and what it is taken over.
    pub const fn titled(self, title: &'static str, over: &'static str) -> Metric {
        Metric { title, over, ..self }
    }

    /// Gives it a table by position.
    pub const fn by_position(self, title: &'static str) -> Metric {
        Metric { by_position: Some(title), ..self }
    }

    /// Gives it a name in lm-evaluation-harness.
    pub const fn in_lm_eval(self, lm_eval_name: &'static str) -> Metric {
        Metric { lm_eval_name, ..self }
    }

    /// Gives it a title on the axes of pictures, and the most that they show.
    pub const fn drawn(self, axis_title: &'static str, ceiling: f64) -> Metric {
        Metric { axis_title, ceiling, ..self }
    }

    /// Gives its differences parts.
    pub const fn made_of(self, parts: Parts) -> Metric {
        Metric { parts: Some(parts), ..self }
    }

    /// Only in summary.csv: others show the same with another weighting or form.
    pub const fn not_in_tables(self) -> Metric {
        Metric { in_tables: false, ..self }
    }

    /// In no listing: others are made of it.
    pub const fn part_of_others(self) -> Metric {
        Metric { in_tables: false, part: true, ..self }
    }

    /// How a figure is made from a ratio of sums over samples.
    pub fn scale(&self) -> Scale {
        match self.range {
            _ if self.exponential => Scale::Exponential,
            Range::Open => Scale::Plain,
            Range::Share => Scale::Share(1.0),
            Range::Percent => Scale::Share(100.0),
            Range::PercentGain => Scale::Gain(100.0),
        }
    }

    /// Its name in titles.
    pub fn title(&self) -> String {
        match self.title {
            "" => capitalised(&self.words()),
            title => title.into(),
        }
    }

    /// Its name on the axes of pictures.
    pub fn axis_title(&self) -> String {
        match self.axis_title {
            "" => self.words(),
            title => title.into(),
        }
    }

    /// Its name in words.
    pub fn words(&self) -> String {
        self.name.replace('_', " ")
    }

    /// The title of its table on an axis; none if there is no such table.
    pub fn table_title(&self, axis: Axis) -> Option<String> {
        match axis {
            Axis::Samples => Some(format!("{}{}.", self.title(), self.over)),
            Axis::Grid => Some(format!("{} by length and depth.", self.title())),
            Axis::Bars => Some(format!("{} by how alike an answer must be.", self.title())),
            Axis::Orders => {
                Some(format!("{} by the order of the options, the published one first.", self.title()))
            }
            Axis::Positions => self.by_position.map(Into::into),
            Axis::From(_) => None,
            Axis::Distance(from, by) => {
                let title = self.parts?.title;
                Some(format!("{title} {}, over the positions from {from} on.", by.tokens()))
            }
        }
    }
}

/// The parts of a metric's differences: tokens by the distance to what they could be known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The metric's name in titles of tables by distance.
    pub title: &'static str,
    /// The metric of what a group adds to the mean over all tokens.
    pub contribution: &'static str,
    /// The metric of the share of tokens in a group.
    pub share: &'static str,
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// The range of a sample's value, and so of every figure over samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Losses, and anything else without limits.
    Open,
    /// 0 to 1.
    Share,
    /// 0 to 100.
    Percent,
    /// One percentage minus another: -100 to 100.
    PercentGain,
}

impl Range {
    /// The value of a whole: 100 in percent, otherwise 1.
    pub fn whole(self) -> f64 {
        match self {
            Range::Open | Range::Share => 1.0,
            Range::Percent | Range::PercentGain => 100.0,
        }
    }
}

/// Which direction of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Losses.
    Lower,
    /// Shares of something right.
    Higher,
}

/// One sample's part in a figure, which is the sum of numerators divided by the sum of denominators.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// The samples or positions it belongs to.
    pub group: Group,
    /// The metric.
    pub metric: &'static str,
    /// Summed over samples.
    pub numerator: f64,
    /// Summed over samples; the sample's weight.
    pub denominator: f64,
}

impl Measure {
    /// A sample's figures by metric, for each of its groups; every sample has the same weight.
    pub(super) fn of_sample(groups: &[Group], figures: &[(&'static str, f64)]) -> Vec<Measure> {
        groups
            .iter()
            .flat_map(|&group| {
                let measure =
                    move |&(metric, numerator)| Measure { group, metric, numerator, denominator: 1.0 };
                figures.iter().map(measure)
            })
            .collect()
    }
}

/// 100 or 0.
pub(super) fn percent(yes: bool) -> f64 {
    if yes { 100.0 } else { 0.0 }
}
