//! Ranges of lengths and positions.

use serde::{Deserialize, Serialize};

/// A half-open range of lengths or positions. Stored as its ends; that of an open one is null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(usize, Option<usize>)", into = "(usize, Option<usize>)")]
pub struct Span {
    /// First included.
    pub from: usize,
    /// The first one excluded; [`Span::OPEN`] excludes none.
    pub to: usize,
}

impl Span {
    /// The end of a range that has none.
    pub const OPEN: usize = usize::MAX;
}

impl From<(usize, Option<usize>)> for Span {
    fn from((from, to): (usize, Option<usize>)) -> Span {
        Span { from, to: to.unwrap_or(Span::OPEN) }
    }
}

impl From<Span> for (usize, Option<usize>) {
    fn from(span: Span) -> (usize, Option<usize>) {
        (span.from, Some(span.to).filter(|&to| to != Span::OPEN))
    }
}

impl std::fmt::Display for Span {
    /// Its form in summary.csv: `0-4000`, `8000+`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to {
            Span::OPEN => write!(f, "{}+", self.from),
            to => write!(f, "{}-{to}", self.from),
        }
    }
}
