//! All rows of a table at once: how far two must be apart for a mark or a sentence to say so.
//!
//! The best of ten rows is partly best by chance, so single intervals tell rows apart that do not differ: the
//! one that happens to be best, from those that happen to be worst. Marks, verdicts and `excludes_0` use one
//! threshold for every pair of rows instead, so no sentence claims a difference that the table does not
//! support.
//!
//! All comparisons form one family: half of the error that they may make together goes to those with the
//! baseline, which verdicts and tables of differences use, and half to all other pairs.
//!
//! Thresholds are found by simulation on the design itself, its strata and the weights of its samples: tables
//! of rows that do not differ, with normal noise in every row, and with exponential noise (skewness 2) in
//! every row but the baseline, which is what rows that sometimes fail look like next to one that does not.
//! Simulation cannot show what so few samples do not contain: no resampling of ten documents finds the
//! eleventh, on which a row collapses.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::bootstrap::percentile;
use crate::{Bootstrap, Design, FEWEST, LEVEL, MANY, Pair, Scale, student};

/// Simulated tables of each kind of noise.
const TABLES: usize = 2_000;

/// Which pair of the rows of a table is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// One row with the baseline, in a table of this many rows, including the baseline.
    Baseline(usize),
    /// Two other rows, or two rows of a table without a baseline.
    Others(usize),
}

impl Among {
    /// Whether this is the only pair.
    pub(crate) fn is_alone(self) -> bool {
        matches!(self, Among::Baseline(0..=2) | Among::Others(0..=2))
    }

    /// The chance of an error that an exact interval of this pair may have, so that all pairs together leave
    /// 5% (Bonferroni).
    pub(crate) fn level(self) -> f64 {
        match self {
            _ if self.is_alone() => LEVEL,
            Among::Baseline(rows) => LEVEL / 2.0 / (rows - 1) as f64,
            Among::Others(rows) => LEVEL / 2.0 / ((rows - 1) * (rows - 2) / 2) as f64,
        }
    }
}

/// Which row is the best, the least of them (`sign` 1) or the greatest (-1), and whether each is told apart
/// from it; none if there are no rows.
pub fn told_apart(
    bootstrap: &Bootstrap,
    rows: &[&[Pair]],
    baseline: Option<usize>,
    scale: Scale,
    sign: f64,
) -> Option<(usize, Vec<bool>)> {
    let values: Vec<f64> = rows.iter().map(|pairs| sign * crate::ratio(pairs.iter().copied())).collect();
    let best = (0..rows.len()).min_by(|&a, &b| values[a].total_cmp(&values[b]))?;
    let among = |n: usize| match baseline {
        Some(baseline) if baseline == n || baseline == best => Among::Baseline(rows.len()),
        _ => Among::Others(rows.len()),
    };
    Some((
        best,
        (0..rows.len())
            .map(|n| n != best && bootstrap.tells_apart(rows[n], rows[best], scale, among(n)))
            .collect(),
    ))
}

/// How many standard errors two rows must be apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    baseline: f64,
    others: f64,
}

impl Thresholds {
    pub(crate) fn of(self, among: Among) -> f64 {
        match among {
            Among::Baseline(_) => self.baseline,
            Among::Others(_) => self.others,
        }
    }

    /// Thresholds for a table with this many rows, more than two.
    pub(crate) fn new(design: &Design, weights: &[f64], rows: usize) -> Thresholds {
        if !(FEWEST..=MANY).contains(&design.n()) {
            let degrees = design.degrees(weights);
            let bonferroni = |among: Among| student::quantile(among.level(), degrees);
            return Thresholds {
                baseline: bonferroni(Among::Baseline(rows)),
                others: bonferroni(Among::Others(rows)),
            };
        }
        let found = [(Noise::Normal, NORMAL), (Noise::Skewed, SKEWED)].map(|(noise, levels)| {
            let largest = Tables::new(design, weights, rows).largest(noise);
            [0, 1].map(|which| {
                let mut largest: Vec<f64> = largest.iter().map(|both| both[which]).collect();
                largest.sort_unstable_by(f64::total_cmp);
                percentile(&largest, 1.0 - levels[which])
            })
        });
        let [baseline, others] = [0, 1].map(|which| f64::max(found[0][which], found[1][which]));
        Thresholds { baseline, others }
    }
}

/// Shares of tables of equal rows in which some are told apart, from the baseline and from others, with
/// normal noise.
const NORMAL: [f64; 2] = [LEVEL / 2.0, LEVEL / 2.0];

/// The same with exponential noise, which tells the rows that have it apart from the baseline, which has
/// none, more often than from each other.
const SKEWED: [f64; 2] = [0.06, 0.01];

#[derive(Clone, Copy, PartialEq)]
enum Noise {
    /// Normal in every row.
    Normal,
    /// Exponential in every row but the first, the baseline, which has none.
    Skewed,
}

/// Simulated tables of one design.
struct Tables<'a> {
    design: &'a Design,
    weights: &'a [f64],
    rows: usize,
    rng: ChaCha8Rng,
}

impl<'a> Tables<'a> {
    fn new(design: &'a Design, weights: &'a [f64], rows: usize) -> Tables<'a> {
        Tables { design, weights, rows, rng: ChaCha8Rng::seed_from_u64(0) }
    }

    /// The largest difference from the baseline, and between two other rows, in each table, in standard
    /// errors.
    fn largest(&mut self, noise: Noise) -> Vec<[f64; 2]> {
        (0..TABLES).map(|_| self.table(noise)).collect()
    }

    fn table(&mut self, noise: Noise) -> [f64; 2] {
        let (mut values, mut deviations) = (Vec::new(), Vec::new());
        for row in 0..self.rows {
            let pairs: Vec<Pair> =
                self.weights.iter().map(|&weight| (weight * self.draw(noise, row), weight)).collect();
            values.push(crate::ratio(pairs.iter().copied()));
            deviations.push(self.design.deviations(&pairs));
        }
        let mut largest = [0.0f64; 2];
        for a in 0..self.rows {
            for b in 0..a {
                let both = deviations[a].iter().zip(&deviations[b]);
                let variance: f64 = both.map(|(a, b)| (a - b) * (a - b)).sum();
                let which = &mut largest[usize::from(b > 0)];
                *which = which.max((values[a] - values[b]).powi(2) / variance);
            }
        }
        largest.map(f64::sqrt)
    }

    fn draw(&mut self, noise: Noise, row: usize) -> f64 {
        let uniform = 1.0 - self.rng.random::<f64>();
        match noise {
            // Box and Muller 1958.
            Noise::Normal => {
                (-2.0 * uniform.ln()).sqrt() * (std::f64::consts::TAU * self.rng.random::<f64>()).cos()
            }
            Noise::Skewed if row == 0 => 0.0,
            Noise::Skewed => -uniform.ln() - 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best_and_apart(rows: &[Vec<f64>], sign: f64) -> Option<(usize, Vec<bool>)> {
        let pairs: Vec<Vec<Pair>> =
            rows.iter().map(|values| values.iter().map(|&value| (value, 1.0)).collect()).collect();
        let pairs: Vec<&[Pair]> = pairs.iter().map(Vec::as_slice).collect();
        let n = pairs.first().map_or(0, |pairs| pairs.len());
        told_apart(&Bootstrap::new(Design::single(n), 0), &pairs, Some(0), Scale::Plain, sign)
    }

    fn samples(n: usize, shift: f64, seed: u64) -> Vec<f64> {
        let (design, weights) = (Design::single(n), vec![1.0; n]);
        let mut tables = Tables::new(&design, &weights, 1);
        tables.rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| shift + tables.draw(Noise::Normal, 0)).collect()
    }

    #[test]
    fn the_worse_is_told_apart() {
        for n in [20, 300] {
            let rows = [samples(n, 0.0, 1), samples(n, 3.0, 2), samples(n, 0.0, 3)];
            let (best, apart) = best_and_apart(&rows, 1.0).unwrap();
            assert!(best != 1 && apart == [false, true, false], "{n}: {apart:?}");
            assert_eq!(best_and_apart(&rows, -1.0).unwrap(), (1, vec![true, false, true]), "{n}");
        }
        assert_eq!(best_and_apart(&[], 1.0), None);
    }

    #[test]
    fn few_samples_and_equal_rows_are_not() {
        let few = [samples(5, 0.0, 1), samples(5, 9.0, 2)];
        assert_eq!(best_and_apart(&few, 1.0).unwrap(), (0, vec![false, false]));
        let same = samples(20, 0.0, 1);
        assert_eq!(best_and_apart(&[same.clone(), same], 1.0).unwrap().1, [false, false]);
    }

    #[test]
    fn thresholds_grow_with_rows_and_fall_with_samples() {
        let thresholds = |n: usize, rows| Thresholds::new(&Design::single(n), &vec![1.0; n], rows);
        let larger =
            |one: Thresholds, other: Thresholds| one.baseline > other.baseline && one.others > other.others;
        assert!(
            larger(thresholds(10, 16), thresholds(10, 5)) && larger(thresholds(6, 10), thresholds(10, 10))
        );
        assert!(
            larger(thresholds(10, 10), thresholds(50, 10)) && larger(thresholds(50, 10), thresholds(500, 10))
        );
        // One document that outweighs all others leaves few degrees of freedom.
        let heavy: Vec<f64> = (0..20).map(|n| if n < 4 { 20.0 } else { 1.0 }).collect();
        assert!(larger(Thresholds::new(&Design::single(20), &heavy, 10), thresholds(20, 10)));
    }
}
