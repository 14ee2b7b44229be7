//! Figures and differences with their intervals.

use crate::FEWEST;

/// How a figure is made from a ratio of sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// The ratio.
    Plain,
    /// exp of the ratio, like the perplexity of a loss.
    Exponential,
    /// A share of hits, or a bounded score: each sample has 0 to this value, which is 1 or 100.
    Share(f64),
    /// One such share minus another: each sample has minus this value to this value.
    Gain(f64),
}

impl Scale {
    /// The figure of a ratio.
    pub fn of(self, ratio: f64) -> f64 {
        match self {
            Scale::Exponential => ratio.exp(),
            Scale::Plain | Scale::Share(_) | Scale::Gain(_) => ratio,
        }
    }

    /// The derivative of the figure.
    pub(crate) fn slope(self, ratio: f64) -> f64 {
        match self {
            Scale::Exponential => ratio.exp(),
            Scale::Plain | Scale::Share(_) | Scale::Gain(_) => 1.0,
        }
    }

    /// Smallest and largest possible figure.
    pub(crate) fn ends(self) -> (f64, f64) {
        match self {
            Scale::Plain => (f64::NEG_INFINITY, f64::INFINITY),
            Scale::Exponential => (0.0, f64::INFINITY),
            Scale::Share(whole) => (0.0, whole),
            Scale::Gain(whole) => (-whole, whole),
        }
    }

    /// Smallest and largest possible difference of two figures.
    pub(crate) fn ends_of_difference(self) -> (f64, f64) {
        match self {
            Scale::Plain | Scale::Exponential => (f64::NEG_INFINITY, f64::INFINITY),
            Scale::Share(whole) => (-whole, whole),
            Scale::Gain(whole) => (-2.0 * whole, 2.0 * whole),
        }
    }
}

/// A figure, or the difference of two, with a 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The measured value.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Standard error; NaN for one sample.
    pub stderr: f64,
    /// How many samples it is from.
    pub n: usize,
}

impl Estimate {
    /// Whether a difference is told apart from none: its interval excludes 0, and there are enough samples.
    pub fn excludes_zero(&self) -> bool {
        self.n >= FEWEST && (self.low > 0.0 || self.high < 0.0)
    }

    /// The ends of its interval; none of one sample, which tells nothing of the others.
    pub fn ends(&self) -> Option<[f64; 2]> {
        (self.n > 1).then_some([self.low, self.high])
    }

    /// A value without an interval.
    pub fn as_measured(value: f64, n: usize) -> Estimate {
        Estimate { value, low: value, high: value, stderr: f64::NAN, n }
    }

    /// Clamps it to the ends of a scale.
    pub(crate) fn within(self, (least, most): (f64, f64)) -> Estimate {
        Estimate { low: self.low.max(least), high: self.high.min(most), ..self }
    }
}

/// The paired difference of one row of a table from another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The difference, with the 95% interval of this pair alone.
    pub estimate: Estimate,
    /// Lower end of the interval that holds for all pairs of rows of the table at once, in 95% of tables.
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
}

impl Comparison {
    /// Whether the two rows are told apart: the interval for all pairs at once excludes 0, and there are
    /// enough samples. Marks, verdicts and `excludes_0` all use this.
    pub fn told_apart(&self) -> bool {
        self.estimate.n >= FEWEST && (self.low > 0.0 || self.high < 0.0)
    }

    /// The ends of the interval that holds for all pairs at once; none of one sample.
    pub fn ends(&self) -> Option<[f64; 2]> {
        (self.estimate.n > 1).then_some([self.low, self.high])
    }

    /// The difference seen from the other row.
    pub fn reversed(self) -> Comparison {
        let Estimate { value, low, high, .. } = self.estimate;
        let estimate = Estimate { value: -value, low: -high, high: -low, ..self.estimate };
        Comparison { estimate, low: -self.high, high: -self.low }
    }
}
