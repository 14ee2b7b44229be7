//! What each step of a curve is worth: the same samples at point after point, as loss by how much context is read.
//!
//! The steps of one curve are one family of comparisons. They have the thresholds that as many comparisons with a
//! baseline have ([`crate::family`]), and a claim that the first few of them gain is made only where each of these is
//! told apart from 0. A step is not looked at unless all before it gain, which makes errors rarer still; what is left
//! of them is held to simulation in `tests/coverage.rs`.

use crate::{Among, Bootstrap, Comparison, Pair, Scale};

/// What each point gains over the one before it, above 0 where it is better: lower (`sign` 1) or higher (-1). All
/// points are of the same samples. The intervals hold for all steps at once in 95% of curves.
pub fn gains(bootstrap: &Bootstrap, points: &[&[Pair]], scale: Scale, sign: f64) -> Vec<Comparison> {
    let among = Among::Baseline(points.len());
    let gain = |pair: &[&[Pair]]| {
        let found = bootstrap.compare(pair[1], pair[0], scale, among);
        if sign > 0.0 { found.reversed() } else { found }
    };
    points.windows(2).map(gain).collect()
}

/// How many of the first steps gain, each told apart from 0.
pub fn gaining(gains: &[Comparison]) -> usize {
    gains.iter().take_while(|gain| gain.told_apart() && gain.estimate.value > 0.0).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Design;

    /// Losses of `n` documents at points that have these means.
    fn found(means: &[f64], n: usize, sign: f64) -> usize {
        let noise = |point: usize, document: usize| ((point * 31 + document * 17) % 13) as f64 / 1300.0;
        let row = |(point, mean): (usize, &f64)| -> Vec<Pair> {
            (0..n).map(|document| (mean + document as f64 + noise(point, document), 1.0)).collect()
        };
        let rows: Vec<Vec<Pair>> = means.iter().enumerate().map(row).collect();
        let rows: Vec<&[Pair]> = rows.iter().map(Vec::as_slice).collect();
        gaining(&gains(&Bootstrap::new(Design::single(n), 0), &rows, Scale::Plain, sign))
    }

    #[test]
    fn a_curve_that_falls_gains_at_every_step() {
        assert_eq!(found(&[3.0, 2.5, 2.2, 2.0], 10, 1.0), 3);
        assert_eq!(found(&[3.0, 2.5, 2.2, 2.0], 10, -1.0), 0, "what falls is no gain where higher is better");
        assert_eq!(found(&[0.0, 0.4, 0.9], 10, -1.0), 2);
    }

    #[test]
    fn nothing_counts_behind_a_step_that_gains_nothing() {
        assert_eq!(found(&[3.0, 2.5, 2.5, 2.0], 10, 1.0), 1);
        assert_eq!(found(&[3.0, 2.5, 2.8, 2.0], 10, 1.0), 1, "a step that loses");
        assert_eq!(found(&[3.0, 3.0, 2.0], 10, 1.0), 0);
    }

    #[test]
    fn too_few_documents_and_a_single_point_gain_nothing() {
        assert_eq!(found(&[3.0, 2.0, 1.0], 5, 1.0), 0);
        assert_eq!(found(&[3.0, 2.0, 1.0], 6, 1.0), 2);
        assert_eq!(found(&[3.0], 10, 1.0), 0);
    }
}
