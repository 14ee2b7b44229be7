//! Confidence intervals by paired bootstrap over samples (protocols.md section 5).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Resamples a figure's interval is taken from.
pub const RESAMPLES: usize = 10_000;

/// A figure, or the difference of two, with a 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// As measured.
    pub value: f64,
    /// 2.5th percentile of the resampled figures.
    pub low: f64,
    /// 97.5th percentile of the resampled figures.
    pub high: f64,
    /// Standard deviation of the resampled figures: the standard error of the figure.
    pub stderr: f64,
    /// Samples.
    pub n: usize,
}

impl Estimate {
    /// Whether a difference is told apart from none: its interval excludes 0. One sample tells nothing.
    pub fn excludes_zero(&self) -> bool {
        self.n > 1 && (self.low > 0.0 || self.high < 0.0)
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

    /// The ratio of the sums of `(numerator, denominator)` pairs, one a sample, in every resample.
    pub fn resample(&self, pairs: &[(f64, f64)]) -> Resampled {
        assert_eq!(pairs.len(), self.n, "one pair a sample");
        let drawn = |resample: &[u16]| {
            ratio(
                pairs
                    .iter()
                    .zip(resample)
                    .map(|(pair, &times)| (pair.0 * f64::from(times), pair.1 * f64::from(times))),
            )
        };
        Resampled {
            value: ratio(pairs.iter().copied()),
            ratios: self.draws.chunks_exact(self.n.max(1)).map(drawn).collect(),
            n: self.n,
        }
    }
}

/// A ratio of sums as measured and in every resample, in the order of the draws.
#[derive(Debug, Clone)]
pub struct Resampled {
    value: f64,
    ratios: Vec<f64>,
    n: usize,
}

impl Resampled {
    /// The figure `f(ratio)`, where `f` increases, as `exp` makes perplexity of a loss.
    pub fn estimate(&self, f: impl Fn(f64) -> f64) -> Estimate {
        let mut ratios = self.ratios.clone();
        ratios.sort_unstable_by(f64::total_cmp);
        let (low, high) = (f(percentile(&ratios, 0.025)), f(percentile(&ratios, 0.975)));
        let stderr = deviation(ratios.iter().map(|&ratio| f(ratio)));
        Estimate { value: f(self.value), low, high, stderr, n: self.n }
    }

    /// The difference `f(ratio) - f(other ratio)` of two figures over the same samples, paired: both are
    /// taken from the same draws.
    pub fn difference(&self, other: &Resampled, f: impl Fn(f64) -> f64) -> Estimate {
        assert_eq!(self.n, other.n, "the same samples");
        let difference = |(a, b): (&f64, &f64)| f(*a) - f(*b);
        let ratios = self.ratios.iter().zip(&other.ratios).map(difference).collect();
        Resampled { value: difference((&self.value, &other.value)), ratios, n: self.n }.estimate(|x| x)
    }
}

/// The ratio of the sums of numerators and denominators.
pub fn ratio(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (numerator, denominator) = pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    numerator / denominator
}

/// The sample standard deviation.
fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    (values.map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
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

    fn estimate(n: usize, seed: u64, pairs: &[(f64, f64)]) -> Estimate {
        Bootstrap::new(n, seed).resample(pairs).estimate(|x| x)
    }

    #[test]
    fn one_sample_has_no_spread_and_tells_nothing() {
        let estimate = estimate(1, 0, &[(3.0, 2.0)]);
        assert_eq!((estimate.value, estimate.low, estimate.high, estimate.stderr), (1.5, 1.5, 1.5, 0.0));
        assert!(!estimate.excludes_zero());
    }

    /// The interval of a mean of n normal-like values is close to +- 1.96 sigma / sqrt(n).
    #[test]
    fn interval_of_a_mean_has_the_width_of_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from((i * 7919) % 400) / 400.0).collect();
        let estimate = estimate(400, 1, &values.iter().map(|&v| (v, 1.0)).collect::<Vec<_>>());
        let error = (1.0_f64 / 12.0).sqrt() / 20.0;
        assert!((estimate.value - 0.5).abs() < 0.002);
        assert!(((estimate.high - estimate.low) / 2.0 / (1.96 * error) - 1.0).abs() < 0.05, "{estimate:?}");
        assert!((estimate.stderr / error - 1.0).abs() < 0.05, "{estimate:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let pairs: Vec<_> = (0..20).map(|i| (f64::from(i), 1.0)).collect();
        assert_eq!(estimate(20, 3, &pairs), estimate(20, 3, &pairs));
        assert_ne!(Bootstrap::new(20, 3).draws, Bootstrap::new(20, 4).draws);
    }

    /// Documents differ by much more than encodings do, but alike: only the paired difference sees it.
    #[test]
    fn a_small_difference_is_seen_where_it_is_paired() {
        let bootstrap = Bootstrap::new(50, 0);
        let documents = (0..50).map(|i| f64::from(i % 10));
        let one = bootstrap.resample(&documents.clone().map(|loss| (loss, 1.0)).collect::<Vec<_>>());
        let other: Vec<_> =
            documents.zip([0.01, 0.03].into_iter().cycle()).map(|(a, b)| (a + b, 1.0)).collect();
        let other = bootstrap.resample(&other);
        let difference = other.difference(&one, |x| x);
        assert!((difference.value - 0.02).abs() < 1e-9 && difference.excludes_zero(), "{difference:?}");
        assert!(one.estimate(|x| x).high > other.estimate(|x| x).low);
        assert!(!one.difference(&one, |x| x).excludes_zero());
        assert!(other.difference(&one, f64::exp).low > 0.0);
    }
}
