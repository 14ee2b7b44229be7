//! Figures: what a sample's outcome adds to which of them, over which samples or positions.

use longcode_stats::Scale;

use super::Span;

/// A figure that a task gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As in summary.csv.
    pub name: &'static str,
    /// The metric whose measures it is made of; its own name unless it transforms another's.
    pub of: &'static str,
    /// exp() of the mean, as perplexity is of the loss.
    pub exponential: bool,
    /// Which direction is better.
    pub better: Better,
    /// What titles call it; its name where empty.
    title: &'static str,
    /// Over what it is taken: what follows in the title of its table.
    pub over: &'static str,
    /// The title of its table by position; without one there is no such table.
    pub by_position: Option<&'static str>,
    /// Whether tables show it; summary.csv has every metric that is not a part of others.
    pub in_tables: bool,
    /// Whether it is only what others are made of, and no figure of its own.
    pub part: bool,
    /// What a sample's value lies within.
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

    /// One percentage less another.
    pub const fn percent_gain(name: &'static str, better: Better) -> Metric {
        Metric { range: Range::PercentGain, ..Metric::mean(name, better) }
    }

    /// exp() of the mean of another metric's measures; lower is better.
    pub const fn exp_of(name: &'static str, of: &'static str) -> Metric {
        Metric { of, exponential: true, ..Metric::mean(name, Better::Lower) }
    }

    /// The mean loss in nats, which a difference's parts are taken from.
    pub const fn loss() -> Metric {
        Metric::mean("loss", Better::Lower)
    }

    /// Prompts that were cut.
    pub(super) const fn truncated(over: &'static str) -> Metric {
        Metric::percent("truncated", Better::Lower).titled("Prompts that were cut, percent", over)
    }

    /// With a title of its own, and over what it is taken.
    pub const fn titled(self, title: &'static str, over: &'static str) -> Metric {
        Metric { title, over, ..self }
    }

    /// With a table by position.
    pub const fn by_position(self, title: &'static str) -> Metric {
        Metric { by_position: Some(title), ..self }
    }

    /// In summary.csv alone, where others show the same in another weighting or form.
    pub const fn not_in_tables(self) -> Metric {
        Metric { in_tables: false, ..self }
    }

    /// In no listing: what others are made of.
    pub const fn part_of_others(self) -> Metric {
        Metric { in_tables: false, part: true, ..self }
    }

    /// What it makes of a ratio of sums over samples.
    pub fn scale(&self) -> Scale {
        match self.range {
            _ if self.exponential => Scale::Exponential,
            Range::Open => Scale::Plain,
            Range::Share => Scale::Share(1.0),
            Range::Percent => Scale::Share(100.0),
            Range::PercentGain => Scale::Gain(100.0),
        }
    }

    /// What titles call it.
    pub fn title(&self) -> String {
        match self.title {
            "" => capitalised(&self.name.replace('_', " ")),
            title => title.into(),
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// What a sample's value lies within, and so every figure over samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Losses, and whatever else has no end.
    Open,
    /// 0 to 1.
    Share,
    /// 0 to 100.
    Percent,
    /// One percentage less another: -100 to 100.
    PercentGain,
}

/// Which direction of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Losses.
    Lower,
    /// Shares of something right.
    Higher,
}

/// One sample's part in a figure, which is the sum of numerators over the sum of denominators.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Over which samples or positions.
    pub group: Group,
    /// The metric.
    pub metric: &'static str,
    /// Summed over samples.
    pub numerator: f64,
    /// Summed over samples; the sample's weight.
    pub denominator: f64,
}

impl Measure {
    /// A sample's figures by metric, over each of the groups that it is in; every sample weighs the same.
    pub(super) fn of_sample(groups: &[Group], figures: &[(&'static str, f64)]) -> Vec<Measure> {
        let of = |&group: &Group| {
            let measure = move |&(metric, numerator)| Measure { group, metric, numerator, denominator: 1.0 };
            figures.iter().map(measure)
        };
        groups.iter().flat_map(of).collect()
    }
}

/// 100 or 0.
pub(super) fn percent(yes: bool) -> f64 {
    if yes { 100.0 } else { 0.0 }
}

/// The samples or positions that a figure is taken over: a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Samples of a bucket.
    Bucket(Span),
    /// Samples of a bucket by the length that their records state, in words.
    Words(Span),
    /// Samples that were made as long as this, in tokens.
    Length(usize),
    /// Samples of a part of a benchmark: a language, a class of lines.
    Part(&'static str),
    /// All samples of the task.
    All,
    /// Tokens at these positions, of all samples that reach them.
    Position(Span),
    /// Tokens from this position on, of all samples that reach it.
    From(usize),
    /// Those of them by how far back stands what they could be known from.
    Distance(By, Back),
    /// Samples of one length with what is asked for at one depth: a field of a grid.
    Cell {
        /// Tokens.
        length: usize,
        /// Percent of the length.
        depth: u8,
    },
    /// All samples, by a bar in tenths that an answer must come up to.
    Bar(u8),
}

impl std::fmt::Display for Group {
    /// As in summary.csv.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Group::Bucket(span) | Group::Words(span) => write!(f, "{span}"),
            Group::Length(length) => write!(f, "{length}"),
            Group::All => f.write_str("all"),
            Group::Position(span) => write!(f, "position {span}"),
            Group::From(position) => write!(f, "from {position}"),
            Group::Part(part) => f.write_str(part),
            Group::Bar(tenths) => write!(f, "at {}.{}", tenths / 10, tenths % 10),
            Group::Distance(by, back) => write!(f, "{by} {back}"),
            Group::Cell { length, depth } => write!(f, "length {length} depth {depth}"),
        }
    }
}

/// What a token could be known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// The same pair of tokens.
    Copy,
    /// The last use of the same identifier.
    Reference,
    /// The definition of the function, method or class of that name.
    Definition,
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            By::Copy => "copy",
            By::Reference => "reference",
            By::Definition => "definition",
        })
    }
}

/// How far back it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Back {
    /// Nowhere: this is the first.
    New,
    /// Tokens.
    At(Span),
    /// There is nothing that the token could be known from in this way, as it is no identifier.
    Other,
}

impl std::fmt::Display for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Back::New => f.write_str("new"),
            Back::At(span) => write!(f, "{span}"),
            Back::Other => f.write_str("other"),
        }
    }
}
