//! What a comparison finds, as it is shown and written.

use longcode_stats::{Comparison, Decisive, Estimate};
use serde::Serialize;

/// Two sets of results, compared.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// The first side.
    pub a: SideShown,
    /// The second side.
    pub b: SideShown,
    /// What a reader must know about all figures, in words.
    pub notes: Vec<String>,
    /// Every figure that both have, in the first one's order.
    pub figures: Vec<FigureCompared>,
}

/// A side, without its samples.
#[derive(Debug, Clone, Serialize)]
pub struct SideShown {
    /// Its name.
    pub name: String,
    /// What stored it.
    pub stored_by: String,
    /// What is doubtful about how it is stored.
    pub notes: Vec<String>,
}

/// Some samples: how many, and the first of them by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// How many.
    pub count: usize,
    /// The first of them.
    pub first: Vec<String>,
}

/// An interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ends {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl From<&Estimate> for Ends {
    fn from(estimate: &Estimate) -> Ends {
        Ends { low: estimate.low, high: estimate.high }
    }
}

/// A figure of both sides over the samples that both have.
#[derive(Debug, Clone, Serialize)]
pub struct FigureCompared {
    /// The task; both names where they differ.
    pub task: String,
    /// The figure; both names where they differ.
    pub metric: String,
    /// Whether more is better; none where no store says.
    pub higher_is_better: Option<bool>,
    /// Samples that both have.
    pub n: usize,
    /// The first side's figure.
    pub a: f64,
    /// Its 95% interval.
    pub a_interval: Ends,
    /// The second side's figure.
    pub b: f64,
    /// Its 95% interval.
    pub b_interval: Ends,
    /// The first one's figure less the second one's.
    pub difference: f64,
    /// The 95% interval of the difference.
    pub interval: Ends,
    /// Whether that interval excludes 0 and there are enough samples.
    pub told_apart: bool,
    /// p-value of the paired permutation test.
    pub permutation_p: f64,
    /// Samples in which the first has more.
    pub a_more: usize,
    /// Samples in which the second has more.
    pub b_more: usize,
    /// Samples in which both have the same.
    pub same: usize,
    /// Without so many samples, those that pull its way most, the difference is 0 or has the other sign.
    pub sign_decided_by: Option<usize>,
    /// Without so many of them the two are not told apart.
    pub told_apart_decided_by: Option<usize>,
    /// The samples that differ most, the most first.
    pub differ_most: Vec<Differing>,
    /// Samples that only the first has.
    pub only_a: Named,
    /// Samples that only the second has.
    pub only_b: Named,
    /// Samples that have no value on a side, such as those that failed.
    pub without_value: Named,
    /// Samples of the same id that are made of different records; they do not count.
    pub other_record: Named,
}

/// A sample of both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differing {
    /// Its id.
    pub sample: String,
    /// The first side's value.
    pub a: f64,
    /// The second side's value.
    pub b: f64,
    /// Their difference.
    pub difference: f64,
    /// Its share in the figure's denominator, 0 to 1.
    pub weight: f64,
}

impl FigureCompared {
    pub(crate) fn of_estimates(&mut self, [a, b]: [Estimate; 2], difference: &Comparison) {
        (self.a, self.a_interval) = (a.value, Ends::from(&a));
        (self.b, self.b_interval) = (b.value, Ends::from(&b));
        (self.difference, self.interval) = (difference.estimate.value, Ends::from(&difference.estimate));
        self.told_apart = difference.told_apart();
    }

    pub(crate) fn decided_by(&mut self, decisive: Option<Decisive>) {
        self.sign_decided_by = decisive.map(|decisive| decisive.sign);
        self.told_apart_decided_by = decisive.and_then(|decisive| decisive.told_apart);
    }
}
