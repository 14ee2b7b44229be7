//! Confidence intervals by paired bootstrap over samples (protocols.md section 5).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamples a figure's interval is taken from.
const RESAMPLES: usize = 10_000;

/// A figure: sum of numerators over sum of denominators, with a 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The ratio of the sums.
    pub value: f64,
    /// 2.5th percentile of the resampled ratios.
    pub low: f64,
    /// 97.5th percentile of the resampled ratios.
    pub high: f64,
    /// Samples.
    pub n: usize,
}

impl Estimate {
    /// The figure after an increasing function, as `exp` makes perplexity of a loss.
    pub fn map(self, f: impl Fn(f64) -> f64) -> Estimate {
        Estimate { value: f(self.value), low: f(self.low), high: f(self.high), n: self.n }
    }
}

/// How often each of `n` samples is drawn in each resample; the same for every encoding, so that
/// differences between encodings are paired.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    n: usize,
    draws: Vec<u16>,
}

impl Bootstrap {
    /// Draws for `n` samples, seeded.
    pub fn new(n: usize, seed: u64) -> Bootstrap {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draws = vec![0u16; RESAMPLES * n];
        for resample in draws.chunks_exact_mut(n.max(1)) {
            for _ in 0..n {
                resample[rng.random_range(0..n)] += 1;
            }
        }
        Bootstrap { n, draws }
    }

    /// The figure of `(numerator, denominator)` pairs, one a sample.
    pub fn estimate(&self, pairs: &[(f64, f64)]) -> Estimate {
        assert_eq!(pairs.len(), self.n, "one pair a sample");
        let value = ratio(pairs.iter().copied());
        let drawn = |resample: &[u16]| {
            ratio(
                pairs
                    .iter()
                    .zip(resample)
                    .map(|(pair, &times)| (pair.0 * f64::from(times), pair.1 * f64::from(times))),
            )
        };
        let mut ratios: Vec<f64> = self.draws.chunks_exact(self.n.max(1)).map(drawn).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        Estimate { value, low: percentile(&ratios, 0.025), high: percentile(&ratios, 0.975), n: self.n }
    }
}

fn ratio(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (numerator, denominator) = pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    numerator / denominator
}

/// Percentile of sorted values by linear interpolation (numpy's default).
fn percentile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let rank = q * last as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_interpolate() {
        let values: Vec<f64> = (0..=10).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.25), 2.5);
        assert_eq!(percentile(&values, 1.0), 10.0);
    }

    #[test]
    fn one_sample_has_no_spread() {
        let estimate = Bootstrap::new(1, 0).estimate(&[(3.0, 2.0)]);
        assert_eq!((estimate.value, estimate.low, estimate.high), (1.5, 1.5, 1.5));
    }

    /// The interval of a mean of n normal-like values is close to +- 1.96 sigma / sqrt(n).
    #[test]
    fn interval_of_a_mean_has_the_width_of_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from((i * 7919) % 400) / 400.0).collect();
        let estimate = Bootstrap::new(400, 1).estimate(&values.iter().map(|&v| (v, 1.0)).collect::<Vec<_>>());
        let half_width = 1.96 * (1.0_f64 / 12.0).sqrt() / 20.0;
        assert!((estimate.value - 0.5).abs() < 0.002);
        assert!(((estimate.high - estimate.low) / 2.0 / half_width - 1.0).abs() < 0.05, "{estimate:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let pairs: Vec<_> = (0..20).map(|i| (f64::from(i), 1.0)).collect();
        assert_eq!(Bootstrap::new(20, 3).estimate(&pairs), Bootstrap::new(20, 3).estimate(&pairs));
        assert_ne!(Bootstrap::new(20, 3).draws, Bootstrap::new(20, 4).draws);
    }
}
