//! Studentised intervals of figures and of paired differences.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::sums::linearised;
use super::{Design, Estimate, LEVEL, MANY, Pair, Scale, percentile, student, widening};

/// Resamples that an interval is taken from.
pub const RESAMPLES: usize = 10_000;

/// Resamples that are counted beside each other: see [`linearised`].
pub(super) const LANES: usize = 8;

/// How often each sample of a design is drawn in each resample; the same for every encoding, so that
/// differences between encodings are paired. Designs of very few or of many samples have no draws: their
/// intervals are Student's.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    design: Design,
    /// Of [`LANES`] resamples at a time, one entry a sample.
    draws: Vec<[u16; LANES]>,
}

impl Bootstrap {
    /// Draws for a design, seeded.
    pub fn new(design: Design, seed: u64) -> Bootstrap {
        let n = design.n();
        let mut draws = Vec::new();
        if (super::FEWEST..=MANY).contains(&n) {
            const { assert!(RESAMPLES.is_multiple_of(LANES)) };
            draws.resize(RESAMPLES / LANES * n, [0u16; LANES]);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for block in draws.chunks_exact_mut(n) {
                (0..LANES).for_each(|lane| {
                    let mut start = 0;
                    for &size in design.strata() {
                        for _ in 0..size {
                            block[start + rng.random_range(0..size)][lane] += 1;
                        }
                        start += size;
                    }
                });
            }
        }
        Bootstrap { design, draws }
    }

    /// The design that was drawn from.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// How often each sample is drawn in the first so many resamples, [`LANES`] resamples at a time. None where the
    /// design has no draws.
    pub(super) fn resamples(&self, most: usize) -> impl Iterator<Item = Vec<[f64; LANES]>> {
        let blocks = self.draws.chunks_exact(self.design.n().max(1)).take(most.div_ceil(LANES));
        blocks.map(|block| block.iter().map(|drawn| drawn.map(f64::from)).collect())
    }

    /// Whether intervals are resampled.
    pub(super) fn resamples_any(&self) -> bool {
        !self.draws.is_empty()
    }

    /// A figure over the samples, one pair each. Its interval is that of the ratio of sums, on its scale.
    pub fn estimate(&self, pairs: &[Pair], scale: Scale) -> Estimate {
        self.studentised(&Statistic { pairs, less: None, scale: Scale::Plain }).map(scale)
    }

    /// One figure less another over the same samples, paired.
    pub fn difference(&self, pairs: &[Pair], others: &[Pair], scale: Scale) -> Estimate {
        self.studentised(&Statistic { pairs, less: Some(others), scale })
    }

    /// The interval of a statistic.
    fn studentised(&self, statistic: &Statistic) -> Estimate {
        let n = self.design.n();
        statistic.assert_of(n);
        let (once, mut influences) = (self.design.once(), Vec::new());
        let [value] = statistic.of(&once, &mut influences);
        if n < 2 {
            return Estimate::as_measured(value, n);
        }
        let [stderr] = self.design.standard_error(&influences, &once);
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
        let mut influences = Vec::new();
        let off = |times: Vec<[f64; LANES]>| -> [f64; LANES] {
            let resampled = statistic.of(&times, &mut influences);
            let own = self.design.standard_error(&influences, &times);
            std::array::from_fn(|lane| {
                // A resample of one sample alone has no spread of its own.
                let error = if own[lane] > 1e-9 * stderr { own[lane] } else { stderr };
                if resampled[lane] == value { 0.0 } else { (resampled[lane] - value) / error }
            })
        };
        let mut off: Vec<f64> = self.resamples(RESAMPLES).flat_map(off).collect();
        off.sort_unstable_by(f64::total_cmp);
        let wide = widening(n);
        around(percentile(&off, 0.975) * wide, -percentile(&off, 0.025) * wide)
    }
}

/// A figure, or one less another, of the same samples.
struct Statistic<'a> {
    pairs: &'a [Pair],
    less: Option<&'a [Pair]>,
    scale: Scale,
}

impl Statistic<'_> {
    fn assert_of(&self, n: usize) {
        let all = [Some(self.pairs), self.less];
        assert!(all.iter().flatten().all(|pairs| pairs.len() == n), "one pair a sample");
    }

    /// Its value where each sample is counted so many times, and the samples' influences.
    fn of<const L: usize>(&self, times: &[[f64; L]], influences: &mut Vec<[f64; L]>) -> [f64; L] {
        let value = linearised(self.pairs, self.scale, times, influences);
        let Some(less) = self.less else { return value };
        let mut of_less = Vec::with_capacity(less.len());
        let less = linearised(less, self.scale, times, &mut of_less);
        for (ours, theirs) in influences.iter_mut().zip(&of_less) {
            for lane in 0..L {
                ours[lane] -= theirs[lane];
            }
        }
        std::array::from_fn(|lane| value[lane] - less[lane])
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
