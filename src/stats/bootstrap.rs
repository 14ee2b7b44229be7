//! Studentised intervals of figures and of paired differences.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::sums::linearised;
use super::{Design, Estimate, LEVEL, MANY, Pair, Scale, percentile, student, widening};

/// Resamples that an interval is taken from.
pub const RESAMPLES: usize = 10_000;

/// How often each sample of a design is drawn in each resample; the same for every encoding, so that
/// differences between encodings are paired. Designs of very few or of many samples have no draws: their
/// intervals are Student's.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    design: Design,
    draws: Vec<u16>,
}

impl Bootstrap {
    /// Draws for a design, seeded.
    pub fn new(design: Design, seed: u64) -> Bootstrap {
        let n = design.n();
        let mut draws = Vec::new();
        if (super::FEWEST..=MANY).contains(&n) {
            draws.resize(RESAMPLES * n, 0u16);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for resample in draws.chunks_exact_mut(n) {
                let mut start = 0;
                for &size in design.strata() {
                    for _ in 0..size {
                        resample[start + rng.random_range(0..size)] += 1;
                    }
                    start += size;
                }
            }
        }
        Bootstrap { design, draws }
    }

    /// The design that was drawn from.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// Resamples: how often each sample is drawn. None where the design has no draws.
    pub(super) fn resamples(&self) -> impl Iterator<Item = &[u16]> {
        self.draws.chunks_exact(self.design.n().max(1))
    }

    /// A figure over the samples, one pair each. Its interval is that of the ratio of sums, on its scale.
    pub fn estimate(&self, pairs: &[Pair], scale: Scale) -> Estimate {
        assert_eq!(pairs.len(), self.design.n(), "one pair a sample");
        let statistic = |times: &dyn Fn(usize) -> f64, influences: &mut Vec<f64>| {
            linearised(pairs, Scale::Plain, times, influences)
        };
        self.studentised(statistic).map(scale)
    }

    /// One figure less another over the same samples, paired.
    pub fn difference(&self, pairs: &[Pair], others: &[Pair], scale: Scale) -> Estimate {
        assert!([pairs, others].iter().all(|pairs| pairs.len() == self.design.n()), "one pair a sample");
        let mut of_others = Vec::new();
        let statistic = |times: &dyn Fn(usize) -> f64, influences: &mut Vec<f64>| {
            let value = linearised(pairs, scale, times, influences);
            let other = linearised(others, scale, times, &mut of_others);
            influences.iter_mut().zip(&of_others).for_each(|(a, b)| *a -= b);
            value - other
        };
        self.studentised(statistic)
    }

    /// The interval of a statistic, which gives its value and the samples' influences by how often each is
    /// counted.
    fn studentised(
        &self,
        mut statistic: impl FnMut(&dyn Fn(usize) -> f64, &mut Vec<f64>) -> f64,
    ) -> Estimate {
        let n = self.design.n();
        let mut influences = Vec::new();
        let value = statistic(&|_| 1.0, &mut influences);
        if n < 2 {
            return Estimate::as_measured(value, n);
        }
        let stderr = self.design.standard_error(&influences, |_| 1.0);
        let around = |below: f64, above: f64| Estimate {
            value,
            low: value - below * stderr,
            high: value + above * stderr,
            stderr,
            n,
        };
        if stderr == 0.0 {
            // No sample moves it, so no resample would: shares of tokens, and an encoding that is another one.
            return around(0.0, 0.0);
        }
        if self.draws.is_empty() {
            let t = student::quantile(LEVEL, self.design.degrees());
            return around(t, t);
        }
        let mut off: Vec<f64> = self
            .resamples()
            .map(|drawn| {
                let times = |i: usize| f64::from(drawn[i]);
                let resampled = statistic(&times, &mut influences);
                let own = self.design.standard_error(&influences, times);
                // A resample of one sample alone has no spread of its own.
                let error = if own > 1e-9 * stderr { own } else { stderr };
                if resampled == value { 0.0 } else { (resampled - value) / error }
            })
            .collect();
        off.sort_unstable_by(f64::total_cmp);
        let wide = widening(n);
        around(percentile(&off, 0.975) * wide, -percentile(&off, 0.025) * wide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: usize, seed: u64) -> Bootstrap {
        Bootstrap::new(Design::single(n), seed)
    }

    #[test]
    fn one_sample_has_no_spread_and_tells_nothing() {
        let estimate = of(1, 0).estimate(&[(3.0, 2.0)], Scale::Plain);
        assert_eq!((estimate.value, estimate.low, estimate.high), (1.5, 1.5, 1.5));
        assert!(estimate.stderr.is_nan() && !estimate.excludes_zero());
    }

    #[test]
    fn few_samples_tell_nothing_apart() {
        let (pairs, others): (Vec<Pair>, Vec<Pair>) =
            (0..5).map(|i| ((f64::from(i), 1.0), (f64::from(i) + 1.0 + f64::from(i) / 100.0, 1.0))).unzip();
        let five = of(5, 0).difference(&pairs, &others, Scale::Plain);
        assert!(five.high < 0.0 && !five.excludes_zero(), "{five:?}");
    }

    /// The interval of a mean of n normal-like values is close to +- 1.96 sigma / sqrt(n).
    #[test]
    fn interval_of_a_mean_has_the_width_of_theory() {
        for n in [90usize, 400] {
            let values = (0..n).map(|i| ((i * 7919) % n) as f64 / n as f64);
            let estimate = of(n, 1).estimate(&values.map(|v| (v, 1.0)).collect::<Vec<_>>(), Scale::Plain);
            let error = (1.0_f64 / 12.0 / n as f64).sqrt();
            assert!((estimate.value - 0.5).abs() < 0.01);
            let width = (estimate.high - estimate.low) / 2.0 / (1.96 * error);
            assert!((width - 1.0).abs() < 0.06, "{n}: {estimate:?}");
            assert!((estimate.stderr / error - 1.0).abs() < 0.05, "{n}: {estimate:?}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let pairs: Vec<_> = (0..20).map(|i| (f64::from(i), 1.0)).collect();
        assert_eq!(of(20, 3).estimate(&pairs, Scale::Plain), of(20, 3).estimate(&pairs, Scale::Plain));
        assert_ne!(of(20, 3).draws, of(20, 4).draws);
    }

    /// Documents differ by much more than encodings do, but alike: only the paired difference sees it.
    #[test]
    fn a_small_difference_is_seen_where_it_is_paired() {
        let bootstrap = of(50, 0);
        let documents = (0..50).map(|i| f64::from(i % 10));
        let one: Vec<Pair> = documents.clone().map(|loss| (loss, 1.0)).collect();
        let other: Vec<Pair> =
            documents.zip([0.01, 0.03].into_iter().cycle()).map(|(a, b)| (a + b, 1.0)).collect();
        let difference = bootstrap.difference(&other, &one, Scale::Plain);
        assert!((difference.value - 0.02).abs() < 1e-9 && difference.excludes_zero(), "{difference:?}");
        let [low, high] = [&one, &other].map(|pairs| bootstrap.estimate(pairs, Scale::Plain));
        assert!(low.high > high.low);
        assert!(!bootstrap.difference(&one, &one, Scale::Plain).excludes_zero());
        assert!(bootstrap.difference(&other, &one, Scale::Exponential).low > 0.0);
    }

    /// Buckets whose means differ widen an interval only where they are resampled as one.
    #[test]
    fn buckets_are_resampled_within_themselves() {
        let pairs: Vec<Pair> = (0..20).map(|i| (f64::from(i / 4 * 100 + i % 4), 1.0)).collect();
        let width = |design| {
            let estimate = Bootstrap::new(design, 0).estimate(&pairs, Scale::Plain);
            estimate.high - estimate.low
        };
        assert!(width(Design::new([4; 5])) < width(Design::single(20)) / 50.0);
    }
}
