//! Figures as ratios of sums, and their standard errors by linearisation.

/// One sample's part in the numerator and the denominator of a figure.
pub type Pair = (f64, f64);

/// The ratio of the sums of numerators and denominators.
pub fn ratio(pairs: impl Iterator<Item = Pair>) -> f64 {
    let (numerator, denominator) = pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    numerator / denominator
}

/// What a figure makes of a ratio of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The ratio.
    Plain,
    /// exp of it, as perplexity is of a loss.
    Exponential,
}

impl Scale {
    /// The figure of a ratio.
    pub fn of(self, ratio: f64) -> f64 {
        match self {
            Scale::Plain => ratio,
            Scale::Exponential => ratio.exp(),
        }
    }

    /// Its derivative.
    pub(super) fn slope(self, ratio: f64) -> f64 {
        match self {
            Scale::Plain => 1.0,
            Scale::Exponential => ratio.exp(),
        }
    }
}

/// How samples were drawn: a fixed number of each stratum, in the order of the samples.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Design {
    strata: Vec<usize>,
}

impl Design {
    /// Strata of these sizes. One of a single sample, which says nothing of its spread, joins the one before
    /// it, or the next.
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

    /// Samples of one stratum.
    pub fn single(n: usize) -> Design {
        Design::new([n])
    }

    /// Samples.
    pub fn n(&self) -> usize {
        self.strata.iter().sum()
    }

    /// Samples of each stratum.
    pub(super) fn strata(&self) -> &[usize] {
        &self.strata
    }

    /// Degrees of freedom of a standard error.
    pub(super) fn degrees(&self) -> usize {
        self.n() - self.strata.len().min(self.n())
    }

    /// Covariance of two sums whose samples have these influences, each counted `times`: within the strata,
    /// with `m / (m - 1)` for the `m` samples of each.
    pub(super) fn covariance<const L: usize>(
        &self,
        a: &[[f64; L]],
        b: &[[f64; L]],
        times: &[[f64; L]],
    ) -> [f64; L] {
        let (mut start, mut sum) = (0, [0.0; L]);
        for &size in &self.strata {
            let m = size as f64;
            let (mut sum_a, mut sum_b, mut sum_ab) = ([0.0; L], [0.0; L], [0.0; L]);
            let samples = start..start + size;
            for ((a, b), times) in a[samples.clone()].iter().zip(&b[samples.clone()]).zip(&times[samples]) {
                for lane in 0..L {
                    sum_a[lane] += times[lane] * a[lane];
                    sum_b[lane] += times[lane] * b[lane];
                    sum_ab[lane] += times[lane] * a[lane] * b[lane];
                }
            }
            if size > 1 {
                for lane in 0..L {
                    sum[lane] += m / (m - 1.0) * (sum_ab[lane] - sum_a[lane] * sum_b[lane] / m);
                }
            }
            start += size;
        }
        sum
    }

    /// Standard error of a sum whose samples have these influences.
    pub(super) fn standard_error<const L: usize>(
        &self,
        influences: &[[f64; L]],
        times: &[[f64; L]],
    ) -> [f64; L] {
        self.covariance(influences, influences, times).map(|variance| variance.max(0.0).sqrt())
    }

    /// Every sample as it was measured: once.
    pub(super) fn once(&self) -> Vec<[f64; 1]> {
        vec![[1.0]; self.n()]
    }
}

/// A figure's value with each sample counted `times`, and by how much a sample moves it, into `influences`; of `L`
/// resamples beside each other, as a sum is quick where it does not wait for its last addition.
pub(super) fn linearised<const L: usize>(
    pairs: &[Pair],
    scale: Scale,
    times: &[[f64; L]],
    influences: &mut Vec<[f64; L]>,
) -> [f64; L] {
    let (mut numerator, mut denominator) = ([0.0; L], [0.0; L]);
    for (pair, times) in pairs.iter().zip(times) {
        for lane in 0..L {
            numerator[lane] += times[lane] * pair.0;
            denominator[lane] += times[lane] * pair.1;
        }
    }
    let ratio: [f64; L] = std::array::from_fn(|lane| numerator[lane] / denominator[lane]);
    let slope: [f64; L] = std::array::from_fn(|lane| scale.slope(ratio[lane]) / denominator[lane]);
    influences.clear();
    influences.extend(pairs.iter().map(|pair| -> [f64; L] {
        std::array::from_fn(|lane| slope[lane] * (pair.0 - ratio[lane] * pair.1))
    }));
    ratio.map(|ratio| scale.of(ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_of_a_mean() {
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0];
        let pairs: Vec<Pair> = values.iter().map(|&value| (value, 1.0)).collect();
        let mut influences = Vec::new();
        let design = Design::single(7);
        let [mean] = linearised(&pairs, Scale::Plain, &design.once(), &mut influences);
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 6.0).sqrt();
        let [error] = design.standard_error(&influences, &design.once());
        assert!((error - deviation / 7f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn strata_of_one_sample_join_another() {
        assert_eq!(Design::new([4, 1, 3, 0, 2]).strata, [5, 3, 2]);
        assert_eq!(Design::new([1, 4, 1]).strata, [6]);
        assert_eq!((Design::new([4, 4]).n(), Design::new([4, 4]).degrees()), (8, 6));
    }
}
