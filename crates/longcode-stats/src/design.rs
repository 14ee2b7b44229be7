//! How samples were drawn, and figures as ratios of sums over them.

/// One sample's part in the numerator and the denominator of a figure.
pub type Pair = (f64, f64);

/// The ratio of the sums of numerators and denominators.
pub fn ratio(pairs: impl Iterator<Item = Pair>) -> f64 {
    let (numerator, denominator) = pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    numerator / denominator
}

/// How samples were drawn: a fixed number of each stratum, in the order of the samples.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Design {
    strata: Vec<usize>,
}

impl Design {
    /// Strata of these sizes. A stratum of a single sample, which says nothing about its spread, joins the
    /// one before it, or the next.
    pub fn new(sizes: impl IntoIterator<Item = usize>) -> Design {
        let mut strata: Vec<usize> = Vec::new();
        for size in sizes.into_iter().filter(|&size| size > 0) {
            match strata.last_mut() {
                Some(last) if size == 1 || *last == 1 => *last += size,
                _ => strata.push(size),
            }
        }
        Design { strata }
    }

    /// A design with a single stratum.
    pub fn single(n: usize) -> Design {
        Design::new([n])
    }

    /// How many samples there are.
    pub fn n(&self) -> usize {
        self.strata.iter().sum()
    }

    /// Samples of each stratum.
    pub(crate) fn strata(&self) -> &[usize] {
        &self.strata
    }

    /// The samples of each stratum.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        self.strata.iter().scan(0, |start, size| {
            *start += size;
            Some(*start - size..*start)
        })
    }

    /// Degrees of freedom of a standard error, if samples have these weights and equal spread (Satterthwaite
    /// 1946).
    pub(crate) fn degrees(&self, weights: &[f64]) -> f64 {
        let variances = self.ranges().map(|stratum| {
            let degrees = stratum.len() as f64 - 1.0;
            (weights[stratum].iter().map(|weight| weight * weight).sum::<f64>(), degrees)
        });
        let (sum, squares) = variances
            .filter(|(_, degrees)| *degrees > 0.0)
            .fold((0.0, 0.0), |(sum, squares), (variance, degrees)| {
                (sum + variance, squares + variance * variance / degrees)
            });
        if squares > 0.0 { sum * sum / squares } else { 0.0 }
    }

    /// How far the samples of a figure are off within their stratum, scaled so that the standard error is the
    /// root of the sum of squares: influences by linearisation of the ratio, centred, with `m / (m - 1)` for
    /// the `m` samples of a stratum.
    pub(crate) fn deviations(&self, pairs: &[Pair]) -> Vec<f64> {
        let total: f64 = pairs.iter().map(|pair| pair.1).sum();
        let value = ratio(pairs.iter().copied());
        let mut off: Vec<f64> = pairs.iter().map(|pair| (pair.0 - value * pair.1) / total).collect();
        for stratum in self.ranges() {
            let m = stratum.len() as f64;
            let mean = off[stratum.clone()].iter().sum::<f64>() / m;
            let wide = (m / (m - 1.0).max(1.0)).sqrt();
            off[stratum].iter_mut().for_each(|off| *off = (*off - mean) * wide);
        }
        off
    }

    /// Standard error of a figure.
    pub(crate) fn standard_error(&self, pairs: &[Pair]) -> f64 {
        self.deviations(pairs).iter().map(|off| off * off).sum::<f64>().sqrt()
    }
}

/// Each sample's share of the denominator.
pub(crate) fn weights(pairs: &[Pair]) -> Vec<f64> {
    let total: f64 = pairs.iter().map(|pair| pair.1).sum();
    pairs.iter().map(|pair| pair.1 / total).collect()
}

/// The difference of two figures over the same samples, as a figure of its own.
///
/// If the denominators are the same, it is that of the numerators' differences; otherwise it is linearised.
pub(crate) fn paired(pairs: &[Pair], others: &[Pair]) -> Vec<Pair> {
    assert_eq!(pairs.len(), others.len(), "one pair a sample");
    let both = || pairs.iter().zip(others);
    if both().all(|(a, b)| a.1 == b.1) {
        return both().map(|(a, b)| (a.0 - b.0, a.1)).collect();
    }
    let linear = |pairs: &[Pair]| -> Vec<(f64, f64)> {
        let value = ratio(pairs.iter().copied());
        let total: f64 = pairs.iter().map(|pair| pair.1).sum();
        pairs.iter().map(|pair| ((pair.0 - value * pair.1) / total, pair.1 / total)).collect()
    };
    let difference = ratio(pairs.iter().copied()) - ratio(others.iter().copied());
    linear(pairs)
        .iter()
        .zip(&linear(others))
        .map(|(a, b)| {
            let weight = (a.1 + b.1) / 2.0;
            (weight * difference + a.0 - b.0, weight)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_of_a_mean() {
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0];
        let pairs: Vec<Pair> = values.iter().map(|&value| (value, 1.0)).collect();
        let mean = ratio(pairs.iter().copied());
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 6.0).sqrt();
        let error = Design::single(7).standard_error(&pairs);
        assert!((error - deviation / 7f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn strata_of_one_sample_join_another() {
        assert_eq!(Design::new([4, 1, 3, 0, 2]).strata, [5, 3, 2]);
        assert_eq!(Design::new([1, 4, 1]).strata, [6]);
        let ranges: Vec<_> = Design::new([4, 4]).ranges().collect();
        assert_eq!(ranges, [0..4, 4..8]);
    }

    #[test]
    fn degrees_of_freedom() {
        let equal = |sizes: &[usize]| {
            let design = Design::new(sizes.iter().copied());
            design.degrees(&vec![1.0; design.n()])
        };
        assert!((equal(&[10]) - 9.0).abs() < 1e-9 && (equal(&[4; 5]) - 15.0).abs() < 1e-9);
        assert!((equal(&[2; 5]) - 5.0).abs() < 1e-9 && equal(&[1]) == 0.0);
        // A stratum whose documents weigh much more than others' is the only one that counts.
        let heavy = Design::new([4, 4]).degrees(&[1.0, 1.0, 1.0, 1.0, 100.0, 100.0, 100.0, 100.0]);
        assert!((heavy - 3.0).abs() < 0.01, "{heavy}");
    }

    #[test]
    fn a_difference_is_a_figure() {
        let one = [(3.0, 1.0), (8.0, 2.0), (5.0, 2.0)];
        let same = [(2.0, 1.0), (9.0, 2.0), (4.0, 2.0)];
        let other = [(2.0, 1.0), (9.0, 3.0), (4.0, 2.0)];
        for others in [same, other] {
            let expected = ratio(one.into_iter()) - ratio(others.into_iter());
            assert!((ratio(paired(&one, &others).into_iter()) - expected).abs() < 1e-12);
        }
        // Linearised, it has the influences of both.
        let design = Design::single(3);
        let off: Vec<f64> =
            design.deviations(&one).iter().zip(design.deviations(&other)).map(|(a, b)| a - b).collect();
        for (a, b) in design.deviations(&paired(&one, &other)).iter().zip(off) {
            assert!((a - b).abs() < 1e-12);
        }
    }
}
