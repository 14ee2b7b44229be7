//! Differences of rows that were measured on different samples.

use crate::student::quantile;
use crate::{Among, Comparison, Estimate, LEVEL};

/// One row's figure less another's, where they share no samples: the limits of both are combined by square-and-add
/// (Newcombe 1998, method 10 for shares; Zou and Donner 2008, MOVER, for any figure with an interval). `n` is the
/// smaller number of samples.
///
/// The interval for all pairs at once is wider by the ratio of Student's quantiles at the levels of `among` and of one
/// pair, with the smaller row's degrees of freedom (Bonferroni).
pub fn unpaired(one: &Estimate, other: &Estimate, among: Among) -> Comparison {
    let value = one.value - other.value;
    let together = |a: f64, b: f64| a.hypot(b);
    let below = together(one.value - one.low, other.high - other.value);
    let above = together(one.high - one.value, other.value - other.low);
    let n = one.n.min(other.n);
    let degrees = n.saturating_sub(1) as f64;
    let wider = quantile(among.level(), degrees) / quantile(LEVEL, degrees);
    let estimate = Estimate {
        value,
        low: value - below,
        high: value + above,
        stderr: one.stderr.hypot(other.stderr),
        n,
    };
    Comparison { estimate, low: value - wider * below, high: value + wider * above }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::clopper_pearson;

    fn estimate(value: f64, low: f64, high: f64, n: usize) -> Estimate {
        Estimate { value, low, high, stderr: (high - low) / 4.0, n }
    }

    /// Newcombe's example (1998, table II, row a): 56 of 70 and 48 of 80, by Wilson's limits.
    #[test]
    fn newcombe_s_example() {
        let wilson = |hits: f64, n: f64| {
            let (p, z) = (hits / n, 1.959_964_f64);
            let (middle, reach) =
                (p + z * z / (2.0 * n), z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt());
            let scale = 1.0 + z * z / n;
            estimate(p, (middle - reach) / scale, (middle + reach) / scale, n as usize)
        };
        let found = unpaired(&wilson(56.0, 70.0), &wilson(48.0, 80.0), Among::Baseline(2));
        let Estimate { value, low, high, .. } = found.estimate;
        assert!((value - 0.2).abs() < 1e-12);
        assert!((low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5, "{low} {high}");
        assert_eq!((found.low, found.high), (low, high), "of one pair alone");
    }

    #[test]
    fn many_pairs_at_once_have_wider_intervals() {
        let (one, other) = (estimate(2.0, 1.9, 2.2, 12), estimate(1.5, 1.4, 1.6, 30));
        let found = unpaired(&one, &other, Among::Baseline(9));
        let reach = |low: f64, high: f64| high - low;
        // t at 0.05 / 2 / 8 and at 0.05, 11 degrees of freedom: 3.7254 and 2.2010 (R's qt).
        let wider = reach(found.low, found.high) / reach(found.estimate.low, found.estimate.high);
        assert!((wider - quantile(0.05 / 16.0, 11.0) / quantile(0.05, 11.0)).abs() < 1e-9, "{wider}");
        assert_eq!(found.estimate.n, 12);
        let back = unpaired(&other, &one, Among::Baseline(9));
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(back.low, -found.high) && near(back.high, -found.low));
    }

    /// Two samples of a share drawn 2,000 times: an exact interval of each leaves the difference at least 95%.
    #[test]
    fn shares_of_different_samples_are_covered() {
        use rand::{Rng, SeedableRng};
        let mut draws = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut covered = 0;
        const TABLES: usize = 2_000;
        for _ in 0..TABLES {
            let mut row = |p: f64, n: usize| {
                let hits = (0..n).filter(|_| draws.random::<f64>() < p).count() as f64;
                let (low, high) = clopper_pearson(hits, n as f64, 0.05);
                estimate(hits / n as f64, low, high, n)
            };
            let found = unpaired(&row(0.8, 25), &row(0.5, 40), Among::Baseline(2));
            covered += usize::from(found.estimate.low <= 0.3 && 0.3 <= found.estimate.high);
        }
        assert!(covered as f64 >= 0.95 * TABLES as f64, "{covered}");
    }
}
