//! The paired permutation test: how likely a difference as large is, if the names of the two are exchanged at
//! random in every sample. It assumes nothing of the scores, and gives no interval.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::share::Hits;
use crate::{Pair, RESAMPLES, ratio};

/// Samples that differ up to which every exchange is counted; beyond, [`RESAMPLES`] are drawn.
const EXHAUSTIVE: usize = 16;

/// The share of all that a sum may be off by its order.
const ROUNDING: f64 = 1e-10;

/// Two-sided p-value: twice the smaller of both one-sided ones, at most 1, as `scipy.stats.permutation_test` with
/// `permutation_type="samples"` has it. Both figures are ratios of sums. Exact for hits, and where no more than 16
/// samples differ; otherwise from 10,000 exchanges, with the measured one among them.
pub fn permutation(pairs: &[Pair], others: &[Pair], seed: u64) -> f64 {
    assert_eq!(pairs.len(), others.len(), "one pair a sample");
    let differ: Vec<Exchange> =
        pairs.iter().zip(others).filter(|(a, b)| a != b).map(|(&a, &b)| Exchange { a, b }).collect();
    if let Some(hits) = alike(&differ) {
        return hits.mcnemar();
    }
    let sums = [pairs, others].map(sum);
    let measured = ratio(pairs.iter().copied()) - ratio(others.iter().copied());
    let size = [pairs, others].map(|pairs| pairs.iter().map(|pair| pair.0.abs()).sum::<f64>());
    let near = ROUNDING * (size[0] / sums[0].1).abs().max((size[1] / sums[1].1).abs());
    let mut count = Count { less: 0, more: 0, of: 0, measured, near };
    if differ.len() <= EXHAUSTIVE {
        for exchanged in 0..1u64 << differ.len() {
            count.add(difference(sums, &differ, |n| exchanged >> n & 1 == 1));
        }
        count.p(0)
    } else {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut bits = vec![0u64; differ.len().div_ceil(64)];
        for _ in 0..RESAMPLES {
            bits.iter_mut().for_each(|bits| *bits = rng.next_u64());
            count.add(difference(sums, &differ, |n| bits[n / 64] >> (n % 64) & 1 == 1));
        }
        count.p(1)
    }
}

/// What two have in a sample.
struct Exchange {
    a: Pair,
    b: Pair,
}

/// Where all samples that differ do so by the same, only how many do either way counts.
fn alike(differ: &[Exchange]) -> Option<Hits> {
    let by = |one: &Exchange| one.a.0 - one.b.0;
    let size = differ.first().map_or(0.0, |one| by(one).abs());
    let same = |one: &Exchange| one.a.1 == one.b.1 && by(one).abs() == size;
    differ.iter().all(same).then(|| {
        let first = differ.iter().filter(|one| by(one) > 0.0).count() as u64;
        Hits { first, second: differ.len() as u64 - first, ..Hits::default() }
    })
}

fn sum(pairs: &[Pair]) -> Pair {
    pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
}

/// The difference after some are exchanged.
fn difference(sums: [Pair; 2], differ: &[Exchange], is_exchanged: impl Fn(usize) -> bool) -> f64 {
    let [mut a, mut b] = sums;
    for (_, one) in differ.iter().enumerate().filter(|(n, _)| is_exchanged(*n)) {
        let moved = (one.b.0 - one.a.0, one.b.1 - one.a.1);
        a = (a.0 + moved.0, a.1 + moved.1);
        b = (b.0 - moved.0, b.1 - moved.1);
    }
    a.0 / a.1 - b.0 / b.1
}

/// How many differences are at most, and at least, the measured one.
struct Count {
    less: usize,
    more: usize,
    of: usize,
    measured: f64,
    near: f64,
}

impl Count {
    fn add(&mut self, difference: f64) {
        self.less += usize::from(difference <= self.measured + self.near);
        self.more += usize::from(difference >= self.measured - self.near);
        self.of += 1;
    }

    fn p(&self, more: usize) -> f64 {
        let share = (self.less.min(self.more) + more) as f64 / (self.of + more) as f64;
        (2.0 * share).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(values: &[f64]) -> Vec<Pair> {
        values.iter().map(|&value| (value, 1.0)).collect()
    }

    #[test]
    fn counted_by_hand() {
        // Of the 8 exchanges of three differences 1, 2 and 3 one alone gives as much, and one as little.
        let p = permutation(&pairs(&[1.0, 2.0, 3.0]), &pairs(&[0.0; 3]), 0);
        assert!((p - 0.25).abs() < 1e-12, "{p}");
        assert_eq!(permutation(&pairs(&[1.0, 2.0]), &pairs(&[1.0, 2.0]), 0), 1.0);
    }

    #[test]
    fn hits_are_mcnemars() {
        let (a, b) = ([1.0; 8], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
        assert!((permutation(&pairs(&a), &pairs(&b), 0) - 2.0 / 64.0).abs() < 1e-12);
    }

    #[test]
    fn swapping_both_changes_nothing() {
        let a: Vec<Pair> = (0..40).map(|n| (f64::from(n % 7), 1.0 + f64::from(n % 3))).collect();
        let b: Vec<Pair> = (0..40).map(|n| (f64::from(n % 5), 1.0 + f64::from(n % 2))).collect();
        let (one, other) = (permutation(&a, &b, 3), permutation(&b, &a, 3));
        assert!((one - other).abs() < 0.05 && one > 0.0 && one <= 1.0, "{one} {other}");
    }
}
