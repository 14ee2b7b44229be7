//! Exact intervals of shares of hits, and of paired differences of two of them.
//!
//! When few samples hit, or few miss, no interval from a standard error keeps its promise: with a true share
//! of 0.05 a studentised one of 10 samples contains it in 36% of cases, as most often no sample hits and
//! there is no spread.

use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF};

/// Clopper and Pearson's interval (1934) of a share with `hits` of `n`, which contains the truth in at least
/// `1 - level` of cases, even if samples of different strata have different shares (Hoeffding 1956). Hits
/// need not be whole: a score between 0 and 1 varies no more than hits with the same mean.
pub fn clopper_pearson(hits: f64, n: f64, level: f64) -> (f64, f64) {
    let quantile = |a: f64, b: f64, q: f64| Beta::new(a, b).map_or(f64::NAN, |beta| beta.inverse_cdf(q));
    let low = if hits <= 0.0 { 0.0 } else { quantile(hits, n - hits + 1.0, level / 2.0) };
    let high = if hits >= n { 1.0 } else { quantile(hits + 1.0, n - hits, 1.0 - level / 2.0) };
    (low, high)
}

/// How many samples hit under two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hits {
    /// Under both.
    pub both: u64,
    /// Only under the first.
    pub first: u64,
    /// Only under the second.
    pub second: u64,
    /// Under neither.
    pub none: u64,
}

impl Hits {
    fn n(&self) -> f64 {
        (self.both + self.first + self.second + self.none) as f64
    }

    /// The share of the first minus that of the second.
    pub fn difference(&self) -> f64 {
        (self.first as f64 - self.second as f64) / self.n()
    }

    /// Interval of the difference: square-and-add of both shares' exact limits with their correlation
    /// (Newcombe 1998, method 10). It excludes 0 only if McNemar's exact test does. By computation over a
    /// grid of shares and correlations at n = 6, 10, 20 and 30 it contains the truth in at least 96%, and
    /// excludes a true 0 in at most 3%.
    pub fn interval(&self, level: f64) -> (f64, f64) {
        let n = self.n();
        let (one, other) = ((self.both + self.first) as f64, (self.both + self.second) as f64);
        let ((low, high), (other_low, other_high)) =
            (clopper_pearson(one, n, level), clopper_pearson(other, n, level));
        let (below, above) = (one / n - low, high - one / n);
        let (other_below, other_above) = (other / n - other_low, other_high - other / n);
        let together = |a: f64, b: f64| (a * a - 2.0 * self.correlation() * a * b + b * b).max(0.0).sqrt();
        let difference = self.difference();
        let low = (difference - together(below, other_above)).max(-1.0);
        let high = (difference + together(above, other_below)).min(1.0);
        if self.mcnemar() > level { (low.min(0.0), high.max(0.0)) } else { (low, high) }
    }

    /// Phi, with Newcombe's correction if it is positive.
    fn correlation(&self) -> f64 {
        let [both, first, second, none] =
            [self.both, self.first, self.second, self.none].map(|count| count as f64);
        let product = ((both + first) * (second + none) * (both + second) * (first + none)).sqrt();
        let across = both * none - first * second;
        let across = if across > 0.0 { (across - self.n() / 2.0).max(0.0) } else { across };
        if product > 0.0 { across / product } else { 0.0 }
    }

    /// McNemar's exact two-sided p-value: how likely it is that the samples that hit under only one row are
    /// divided between the rows this unevenly.
    pub fn mcnemar(&self) -> f64 {
        let apart = self.first + self.second;
        let fewer = self.first.min(self.second);
        Binomial::new(0.5, apart).map_or(1.0, |binomial| (2.0 * binomial.cdf(fewer)).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near((low, high): (f64, f64), expected: (f64, f64)) {
        assert!((low - expected.0).abs() < 1e-4 && (high - expected.1).abs() < 1e-4, "{low} {high}");
    }

    /// Values from R's binom.test.
    #[test]
    fn exact_intervals_of_shares() {
        near(clopper_pearson(0.0, 10.0, 0.05), (0.0, 0.30850));
        near(clopper_pearson(9.0, 10.0, 0.05), (0.55498, 0.99747));
        near(clopper_pearson(10.0, 10.0, 0.05), (0.69150, 1.0));
        near(clopper_pearson(50.0, 100.0, 0.05), (0.39832, 0.60168));
    }

    #[test]
    fn the_exact_test_of_pairs() {
        let hits = |first, second| Hits { both: 4, first, second, none: 4 };
        assert_eq!(hits(0, 0).mcnemar(), 1.0);
        assert!((hits(6, 0).mcnemar() - 2.0 / 64.0).abs() < 1e-12);
        assert!((hits(1, 7).mcnemar() - 18.0 / 256.0).abs() < 1e-12);
    }

    #[test]
    fn an_interval_of_a_difference_excludes_zero_only_where_the_test_does() {
        for first in 0..=12 {
            for second in 0..=12 {
                let hits = Hits { both: 3, first, second, none: 5 };
                let (low, high) = hits.interval(0.05);
                assert!((-1.0..=1.0).contains(&low) && low < high && high <= 1.0);
                assert!(low <= hits.difference() && hits.difference() <= high);
                assert!(hits.mcnemar() <= 0.05 || (low <= 0.0 && high >= 0.0), "{hits:?}");
            }
        }
    }
}
