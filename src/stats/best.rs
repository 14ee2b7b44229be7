//! Which of several figures are told apart from the best of them.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::bootstrap::LANES;
use super::sums::linearised;
use super::{Bootstrap, Design, FEWEST, LEVEL, Pair, Scale, percentile, student};

/// Resamples that the largest difference is taken from.
const RESAMPLES: usize = 2_000;

/// Whether each figure is told apart from the best, the least of them (`sign` 1) or the greatest (-1), whose
/// number comes with it; none of no figures.
///
/// The best is the best of all as measured, so each is held to the largest difference of any two, in standard
/// errors, that samples leave of encodings that do not differ: with equal encodings some is told apart in about 5%
/// of tables, however many there are, and in fewer where samples are fewer than 20 (Tukey 1953; with the
/// bootstrap, Romano and Wolf 2005).
pub fn told_apart(
    bootstrap: &Bootstrap,
    figures: &[&[Pair]],
    sign: f64,
    seed: u64,
) -> Option<(usize, Vec<bool>)> {
    let design = bootstrap.design();
    let once = design.once();
    let measured = Linear::of(figures, &once);
    let value = |n: usize| sign * measured.values[n][0];
    let best = (0..figures.len()).min_by(|&a, &b| value(a).total_cmp(&value(b)))?;
    let errors = measured.errors(design, &once);
    if design.n() < FEWEST {
        return Some((best, vec![false; figures.len()]));
    }
    let mut largest: Vec<f64> = match bootstrap.resamples_any() {
        true => resampled(bootstrap, figures, &measured, &errors),
        false => simulated(design, &measured, &errors, seed),
    };
    largest.sort_unstable_by(f64::total_cmp);
    // Bonferroni's bound holds too, and where few samples make long tails it is the tighter one.
    let pairs = (figures.len() * figures.len().saturating_sub(1) / 2).max(1);
    let bound = student::quantile(LEVEL / pairs as f64, design.degrees());
    let critical = percentile(&largest, 1.0 - LEVEL).min(bound);
    let apart = |n: usize| value(n) - value(best) > critical * errors.of(n, best)[0];
    Some((best, (0..figures.len()).map(|n| n != best && apart(n)).collect()))
}

/// Figures and the samples' influences on them, of `L` resamples beside each other.
struct Linear<const L: usize> {
    values: Vec<[f64; L]>,
    influences: Vec<Vec<[f64; L]>>,
}

/// Standard errors of the differences of all pairs of figures, `[figures, figures]`.
struct Errors<const L: usize> {
    figures: usize,
    errors: Vec<[f64; L]>,
}

impl<const L: usize> Errors<L> {
    /// Of the difference of `a` and `b`.
    fn of(&self, a: usize, b: usize) -> [f64; L] {
        self.errors[a * self.figures + b]
    }
}

impl<const L: usize> Linear<L> {
    fn of(figures: &[&[Pair]], times: &[[f64; L]]) -> Linear<L> {
        let figure = |pairs: &&[Pair]| {
            let mut influences = Vec::with_capacity(pairs.len());
            (linearised(pairs, Scale::Plain, times, &mut influences), influences)
        };
        let (values, influences) = figures.iter().map(figure).unzip();
        Linear { values, influences }
    }

    /// Covariances of the figures, `[figures, figures]`.
    fn covariances(&self, design: &Design, times: &[[f64; L]]) -> Vec<[f64; L]> {
        let count = self.values.len();
        let mut covariances = vec![[0.0; L]; count * count];
        for a in 0..count {
            for b in 0..=a {
                let found = design.covariance(&self.influences[a], &self.influences[b], times);
                covariances[a * count + b] = found;
                covariances[b * count + a] = found;
            }
        }
        covariances
    }

    fn errors(&self, design: &Design, times: &[[f64; L]]) -> Errors<L> {
        let figures = self.values.len();
        let covariances = self.covariances(design, times);
        let at = |a: usize, b: usize| covariances[a * figures + b];
        let error = |n: usize| {
            let (a, b) = (n / figures, n % figures);
            let (a_a, b_b, a_b) = (at(a, a), at(b, b), at(a, b));
            std::array::from_fn(|lane| (a_a[lane] + b_b[lane] - 2.0 * a_b[lane]).max(0.0).sqrt())
        };
        Errors { figures, errors: (0..figures * figures).map(error).collect() }
    }
}

/// The largest difference of what is off in two figures, by the errors; pairs that do not differ in any sample
/// tell nothing.
fn largest<const L: usize>(off: &[[f64; L]], errors: &Errors<1>, own: &Errors<L>) -> [f64; L] {
    let mut largest = [0.0f64; L];
    for a in 0..off.len() {
        for b in 0..a {
            let [error] = errors.of(a, b);
            if error > 0.0 {
                let own = own.of(a, b);
                for lane in 0..L {
                    let by = if own[lane] > 1e-9 * error { own[lane] } else { error };
                    largest[lane] = largest[lane].max((off[a][lane] - off[b][lane]).abs() / by);
                }
            }
        }
    }
    largest
}

/// From resamples, each by its own standard errors.
fn resampled(
    bootstrap: &Bootstrap,
    figures: &[&[Pair]],
    measured: &Linear<1>,
    errors: &Errors<1>,
) -> Vec<f64> {
    let of = |times: Vec<[f64; LANES]>| {
        let here = Linear::of(figures, &times);
        let off: Vec<[f64; LANES]> =
            here.values.iter().zip(&measured.values).map(|(a, [b])| a.map(|a| a - b)).collect();
        largest(&off, errors, &here.errors(bootstrap.design(), &times))
    };
    bootstrap.resamples(RESAMPLES).flat_map(of).collect()
}

/// From normal draws of the figures' covariances, for many samples.
fn simulated(design: &Design, measured: &Linear<1>, errors: &Errors<1>, seed: u64) -> Vec<f64> {
    let count = measured.values.len();
    let covariances = measured.covariances(design, &design.once());
    let root = cholesky(covariances.into_iter().flatten().collect(), count);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || {
        let independent: Vec<f64> = (0..count).map(|_| normal(&mut rng)).collect();
        let off: Vec<[f64; 1]> =
            (0..count).map(|a| [(0..=a).map(|b| root[a * count + b] * independent[b]).sum()]).collect();
        let [largest] = largest(&off, errors, errors);
        largest
    };
    (0..RESAMPLES).map(|_| draw()).collect()
}

/// The lower triangle whose square is a matrix `[n, n]` that need not have full rank.
fn cholesky(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    let largest = (0..n).map(|a| matrix[a * n + a]).fold(0.0, f64::max);
    for a in 0..n {
        for b in 0..=a {
            let known: f64 = (0..b).map(|c| matrix[a * n + c] * matrix[b * n + c]).sum();
            let rest = matrix[a * n + b] - known;
            matrix[a * n + b] = match a == b {
                true => rest.max(0.0).sqrt(),
                false if matrix[b * n + b].powi(2) > 1e-12 * largest => rest / matrix[b * n + b],
                false => 0.0,
            };
        }
    }
    matrix
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(figures: &[Vec<f64>], sign: f64) -> Option<(usize, Vec<bool>)> {
        let pairs: Vec<Vec<Pair>> =
            figures.iter().map(|values| values.iter().map(|&value| (value, 1.0)).collect()).collect();
        let pairs: Vec<&[Pair]> = pairs.iter().map(Vec::as_slice).collect();
        let n = pairs.first().map_or(0, |pairs| pairs.len());
        told_apart(&Bootstrap::new(Design::single(n), 0), &pairs, sign, 0)
    }

    fn samples(n: usize, shift: f64, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| shift + normal(&mut rng)).collect()
    }

    #[test]
    fn the_worse_is_told_apart() {
        for n in [20, 300] {
            let figures = [samples(n, 0.0, 1), samples(n, 3.0, 2), samples(n, 0.0, 3)];
            let (best, apart) = told(&figures, 1.0).unwrap();
            assert!(best != 1 && apart == [false, true, false], "{n}: {apart:?}");
            assert_eq!(told(&figures, -1.0).unwrap(), (1, vec![true, false, true]), "{n}");
        }
        assert_eq!(told(&[], 1.0), None);
    }

    #[test]
    fn few_samples_and_equal_figures_are_not() {
        let few = [samples(5, 0.0, 1), samples(5, 9.0, 2)];
        assert_eq!(told(&few, 1.0).unwrap(), (0, vec![false, false]));
        let same = samples(20, 0.0, 1);
        assert_eq!(told(&[same.clone(), same], 1.0).unwrap().1, [false, false]);
    }

    #[test]
    fn roots_of_covariances() {
        // The last figure is the sum of the others: rank 2.
        let root = cholesky(vec![4.0, 2.0, 6.0, 2.0, 5.0, 7.0, 6.0, 7.0, 13.0], 3);
        for (a, b, expected) in
            [(0, 0, 4.0), (1, 0, 2.0), (1, 1, 5.0), (2, 0, 6.0), (2, 1, 7.0), (2, 2, 13.0)]
        {
            let product: f64 = (0..=b).map(|c| root[a * 3 + c] * root[b * 3 + c]).sum();
            assert!((product - expected).abs() < 1e-9, "{a} {b}: {product}");
        }
    }
}
