//! Intervals of figures and of paired differences.

use std::collections::HashMap;
use std::sync::Mutex;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::design::{paired, weights};
use crate::family::{Among, Thresholds};
use crate::share::{Hits, clopper_pearson};
use crate::{Comparison, Design, Estimate, FEWEST, LEVEL, MANY, Pair, Scale, ratio, student};

/// Resamples for an interval.
pub const RESAMPLES: usize = 10_000;

/// Resamples that are summed in parallel, as a sum is fast if it does not wait for its last addition.
const LANES: usize = 8;

/// The least length of an interval's short side, as a share of Student's. One far document makes a resampled
/// distribution lopsided even if the underlying one is not: with Student's t with 3 degrees of freedom the
/// interval of 50 documents contains the truth in 92.3% of cases without this, in 94.6% with it.
const SHORT_SIDE: f64 = 0.95;

/// Resamples of one design, and thresholds for its tables; they are the same for every row, so that
/// differences are paired.
///
/// Intervals are studentised (bootstrap-t, Efron 1982; Hall 1988): a resample counts by how many of its own
/// standard errors it is off. What is resampled are the residuals of all samples, pooled over the strata:
/// strata of two to four samples have no distribution of their own ([`Residuals`]). Designs
/// of fewer than [`FEWEST`] or more than 100 samples have Student's interval instead.
#[derive(Debug)]
pub struct Bootstrap {
    design: Design,
    /// Whose residual each sample gets, for [`LANES`] resamples at a time.
    draws: Vec<[u16; LANES]>,
    /// Thresholds by number of rows and the samples' weights.
    thresholds: Mutex<HashMap<(usize, Vec<u64>), Thresholds>>,
}

impl Bootstrap {
    /// Draws for a design, seeded.
    pub fn new(design: Design, seed: u64) -> Bootstrap {
        let n = design.n();
        let mut draws = Vec::new();
        if (FEWEST..=MANY).contains(&n) {
            const { assert!(RESAMPLES.is_multiple_of(LANES)) };
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            draws = (0..RESAMPLES / LANES * n)
                .map(|_| std::array::from_fn(|_| rng.random_range(0..n as u16)))
                .collect();
        }
        Bootstrap { design, draws, thresholds: Mutex::default() }
    }

    /// The design that resamples were drawn for.
    pub fn design(&self) -> &Design {
        &self.design
    }

    /// A figure over the samples, one pair each.
    pub fn estimate(&self, pairs: &[Pair], scale: Scale) -> Estimate {
        if let Scale::Share(whole) = scale
            && let Some(hits) = hits(pairs, whole)
        {
            return self.share(hits, whole, pairs);
        }
        let found = self.studentised(pairs);
        if let Scale::Share(whole) | Scale::Gain(whole) = scale
            && found.stderr == 0.0
            && counts_once(pairs)
        {
            return self.unmoved(found, whole, scale);
        }
        Estimate {
            value: scale.of(found.value),
            low: scale.of(found.low),
            high: scale.of(found.high),
            stderr: found.stderr * scale.slope(found.value),
            n: found.n,
        }
        .within(scale.ends())
    }

    /// One row's figure minus another's over the same samples.
    pub fn compare(&self, pairs: &[Pair], others: &[Pair], scale: Scale, among: Among) -> Comparison {
        if let Scale::Share(whole) = scale
            && let Some(hits) = paired_hits(pairs, others, whole)
        {
            return self.shares(hits, whole, &paired(pairs, others), among);
        }
        let series = paired(pairs, others);
        let mut estimate = self.studentised(&series);
        if let Scale::Share(whole) | Scale::Gain(whole) = scale
            && estimate.stderr == 0.0
            && counts_once(pairs)
        {
            let (least, most) = scale.ends_of_difference();
            let reach = |level| whole * clopper_pearson(0.0, estimate.n as f64, level).1;
            let around =
                |reach: f64| ((estimate.value - reach).max(least), (estimate.value + reach).min(most));
            let (low, high) = around(reach(among.level()));
            (estimate.low, estimate.high) = around(reach(LEVEL));
            return Comparison { estimate, low, high };
        }
        let reach =
            if among.is_alone() { 0.0 } else { self.threshold(&weights(&series), among) * estimate.stderr };
        let (low, high) =
            (estimate.low.min(estimate.value - reach), estimate.high.max(estimate.value + reach));
        match scale {
            Scale::Exponential => self.of_exponentials(estimate, (low, high), others),
            _ => {
                let (least, most) = scale.ends_of_difference();
                let estimate = estimate.within((least, most));
                Comparison { estimate, low: low.max(least), high: high.min(most) }
            }
        }
    }

    /// [`Comparison::told_apart`] of [`Bootstrap::compare`], without resampling if the threshold alone
    /// decides.
    pub fn tells_apart(&self, pairs: &[Pair], others: &[Pair], scale: Scale, among: Among) -> bool {
        let series = paired(pairs, others);
        let exact = matches!(scale, Scale::Share(whole) if paired_hits(pairs, others, whole).is_some());
        let near = !among.is_alone() && !exact && {
            let reach = self.threshold(&weights(&series), among) * self.design.standard_error(&series);
            ratio(series.iter().copied()).abs() <= reach
        };
        self.design.n() >= FEWEST && !near && self.compare(pairs, others, scale, among).told_apart()
    }

    /// A difference of two exponentials from that of their ratios, so that both exclude 0 or neither does: at
    /// the other's measured figure, and wider by that figure's uncertainty (square-and-add, Zou and Donner
    /// 2008).
    fn of_exponentials(&self, ratios: Estimate, joint: (f64, f64), others: &[Pair]) -> Comparison {
        let other = ratio(others.iter().copied());
        let error = self.design.standard_error(others);
        let off = student::quantile(LEVEL, self.degrees(others)) * error;
        let value = other.exp() * ratios.value.exp_m1();
        let end = |ratio: f64, sign: f64| {
            let [alone, at_least, at_most] =
                [other, other - off, other + off].map(|other| other.exp() * ratio.exp_m1());
            if off.is_nan() {
                return alone;
            }
            let shifted = [other - off, other + off].map(|other| other.exp() * ratios.value.exp_m1() - value);
            let shift = shifted.into_iter().map(|shift| shift * sign).fold(0.0, f64::max);
            let far = value + sign * ((alone - value).powi(2) + shift * shift).sqrt();
            // Never beyond both at their ends, which have the sign of the ratio's end.
            far.clamp(at_least.min(at_most), at_least.max(at_most))
        };
        let stderr = ratios.stderr * (other + ratios.value).exp();
        let estimate =
            Estimate { value, low: end(ratios.low, -1.0), high: end(ratios.high, 1.0), stderr, n: ratios.n };
        Comparison { estimate, low: end(joint.0, -1.0), high: end(joint.1, 1.0) }
    }

    /// How many standard errors apart two rows of a table must be; see [`crate::family`].
    pub(crate) fn threshold(&self, weights: &[f64], among: Among) -> f64 {
        let (Among::Baseline(rows) | Among::Others(rows)) = among;
        let key = (rows, weights.iter().map(|weight| weight.to_bits()).collect());
        if let Some(known) = self.thresholds.lock().expect("no holder panics").get(&key) {
            return known.of(among);
        }
        let found = Thresholds::new(&self.design, weights, rows);
        self.thresholds.lock().expect("no holder panics").insert(key, found);
        found.of(among)
    }

    fn degrees(&self, pairs: &[Pair]) -> f64 {
        self.design.degrees(&weights(pairs))
    }

    /// The estimate of a share of hits.
    fn share(&self, hits: f64, whole: f64, pairs: &[Pair]) -> Estimate {
        let n = pairs.len();
        let (low, high) = clopper_pearson(hits, n as f64, LEVEL);
        let stderr = if n < 2 { f64::NAN } else { self.design.standard_error(pairs) };
        Estimate { value: whole * hits / n as f64, low: whole * low, high: whole * high, stderr, n }
    }

    /// The estimate of a paired difference of two shares of hits.
    fn shares(&self, hits: Hits, whole: f64, series: &[Pair], among: Among) -> Comparison {
        let n = series.len();
        let (low, high) = hits.interval(LEVEL);
        let stderr = if n < 2 { f64::NAN } else { self.design.standard_error(series) };
        let estimate =
            Estimate { value: whole * hits.difference(), low: whole * low, high: whole * high, stderr, n };
        let (low, high) = hits.interval(among.level());
        Comparison { estimate, low: whole * low, high: whole * high }
    }

    /// The estimate of a score that is the same in every sample, which says nothing about its spread: as
    /// exact as hits are.
    fn unmoved(&self, found: Estimate, whole: f64, scale: Scale) -> Estimate {
        let n = found.n as f64;
        let (low, high) = match scale {
            Scale::Gain(_) => {
                let reach = clopper_pearson(0.0, n, LEVEL).1;
                (found.value / whole - reach, found.value / whole + reach)
            }
            _ => clopper_pearson(n * found.value / whole, n, LEVEL),
        };
        Estimate { low: whole * low, high: whole * high, ..found }.within(scale.ends())
    }

    /// The interval of a ratio of sums.
    fn studentised(&self, pairs: &[Pair]) -> Estimate {
        let n = self.design.n();
        assert_eq!(pairs.len(), n, "one pair a sample");
        let value = ratio(pairs.iter().copied());
        if n < 2 {
            return Estimate::as_measured(value, n);
        }
        let stderr = self.design.standard_error(pairs);
        let around = |below: f64, above: f64| Estimate {
            value,
            low: value - below * stderr,
            high: value + above * stderr,
            stderr,
            n,
        };
        if stderr == 0.0 {
            // No sample moves it, so no resample would: shares of tokens, or an encoding that equals another.
            return around(0.0, 0.0);
        }
        let student = student::quantile(LEVEL, self.degrees(pairs));
        if self.draws.is_empty() {
            return around(student, student);
        }
        let mut off = Residuals::new(&self.design, pairs, stderr).resampled(&self.draws);
        off.sort_unstable_by(f64::total_cmp);
        let wide = widening(&self.design, &weights(pairs));
        let reach = |end: f64| (end * wide).max(SHORT_SIDE * student);
        around(reach(percentile(&off, 1.0 - LEVEL / 2.0)), reach(-percentile(&off, LEVEL / 2.0)))
    }
}

/// The factor by which a studentised interval is widened. Resamples of few residuals are less skewed than
/// what these are drawn from, the more so the fewer there are in a stratum; `tests/coverage.rs` shows how
/// often intervals with this factor contain the truth.
fn widening(design: &Design, weights: &[f64]) -> f64 {
    let effective = 1.0 / weights.iter().map(|weight| weight * weight).sum::<f64>();
    let strata = design.strata().len() as f64;
    1.0 + (1.0 / 3.0 + (strata - 1.0) / 10.0) / effective
}

/// The samples of a figure, ready to be given each other's residuals.
///
/// A residual is how far a sample is off the centre of its stratum. That is the stratum's mean as far as the
/// strata differ by more than their samples explain, and the mean of all strata as far as they do not
/// (empirical Bayes: Efron and Morris 1973). Off their own means, two samples are off by the same to both
/// sides, whatever they are drawn from; off a common centre they show how skewed that is.
struct Residuals {
    /// For each stratum: its samples' weights, and how far its mean is off the figure.
    strata: Vec<(std::ops::Range<usize>, f64)>,
    weights: Vec<f64>,
    /// How far each sample is off the centre of its stratum, scaled to a sample of the population; their mean
    /// is 0.
    residuals: Vec<f64>,
    /// The measured standard error, for resamples of one sample alone, which have no spread of their own.
    stderr: f64,
}

/// A stratum with samples that count.
struct Stratum {
    samples: std::ops::Range<usize>,
    mean: f64,
    /// How many samples of equal weight would know its mean as well.
    effective: f64,
}

impl Stratum {
    /// The stratum; none if its samples all have weight 0, so that it has no mean.
    fn of(samples: std::ops::Range<usize>, pairs: &[Pair]) -> Option<Stratum> {
        let of = &pairs[samples.clone()];
        let [weight, squares] = [1, 2].map(|power| of.iter().map(|pair| pair.1.powi(power)).sum::<f64>());
        let mean = ratio(of.iter().copied());
        mean.is_finite().then(|| Stratum { samples, mean, effective: weight * weight / squares })
    }
}

impl Residuals {
    fn new(design: &Design, pairs: &[Pair], stderr: f64) -> Residuals {
        let value = ratio(pairs.iter().copied());
        let strata: Vec<Stratum> = design.ranges().filter_map(|range| Stratum::of(range, pairs)).collect();
        let counted = |stratum: &Stratum| stratum.samples.clone().filter(|&n| pairs[n].1 > 0.0);
        let off = |n: usize, from: f64| pairs[n].0 / pairs[n].1 - from;
        let squares = |stratum: &Stratum| counted(stratum).map(|n| off(n, stratum.mean).powi(2)).sum::<f64>();
        let count = strata.iter().flat_map(counted).count();
        let degrees = count.saturating_sub(strata.len()).max(1) as f64;
        let within = strata.iter().map(squares).sum::<f64>() / degrees;
        let (centre, kept) = centre(&strata, within);
        let mut residuals = vec![0.0; pairs.len()];
        for stratum in &strata {
            let centre = centre + kept * (stratum.mean - centre);
            counted(stratum).for_each(|n| residuals[n] = off(n, centre));
        }
        let mean = residuals.iter().sum::<f64>() / count as f64;
        strata.iter().flat_map(counted).for_each(|n| residuals[n] -= mean);
        let spread = residuals.iter().map(|residual| residual * residual).sum::<f64>() / count as f64;
        let scale = if spread > 0.0 { (within / spread).sqrt() } else { 1.0 };
        residuals.iter_mut().for_each(|residual| *residual *= scale);
        let mean = residuals.iter().sum::<f64>() / residuals.len() as f64;
        residuals.iter_mut().for_each(|residual| *residual -= mean);
        let off = |range: std::ops::Range<usize>| {
            let mean = ratio(pairs[range.clone()].iter().copied());
            (range, if mean.is_finite() { mean - value } else { 0.0 })
        };
        Residuals { strata: design.ranges().map(off).collect(), weights: weights(pairs), residuals, stderr }
    }

    /// By how many of its own standard errors each resample is off.
    fn resampled(&self, draws: &[[u16; LANES]]) -> Vec<f64> {
        draws.chunks_exact(self.residuals.len()).flat_map(|block| self.block(block)).collect()
    }

    /// The same for [`LANES`] resamples.
    fn block(&self, draws: &[[u16; LANES]]) -> [f64; LANES] {
        let drawn = |n: usize, lane: usize| self.residuals[usize::from(draws[n][lane])];
        let mut off = [0.0; LANES];
        for n in 0..draws.len() {
            for (lane, off) in off.iter_mut().enumerate() {
                *off += self.weights[n] * drawn(n, lane);
            }
        }
        let mut variance = [0.0; LANES];
        for (stratum, mean) in &self.strata {
            let (m, mut sum, mut squares) = (stratum.len() as f64, [0.0; LANES], [0.0; LANES]);
            for n in stratum.clone() {
                for lane in 0..LANES {
                    let influence = self.weights[n] * (mean + drawn(n, lane) - off[lane]);
                    sum[lane] += influence;
                    squares[lane] += influence * influence;
                }
            }
            for lane in 0..LANES {
                variance[lane] += m / (m - 1.0).max(1.0) * (squares[lane] - sum[lane] * sum[lane] / m);
            }
        }
        std::array::from_fn(|lane| {
            let own = variance[lane].max(0.0).sqrt();
            off[lane] / if own > 1e-9 * self.stderr { own } else { self.stderr }
        })
    }
}

/// The mean of all strata, and what part of a stratum's distance from it is kept: that which the spread
/// `within` strata does not explain.
fn centre(strata: &[Stratum], within: f64) -> (f64, f64) {
    let effective: f64 = strata.iter().map(|stratum| stratum.effective).sum();
    let mean = strata.iter().map(|stratum| stratum.effective * stratum.mean).sum::<f64>() / effective;
    let between = strata.iter().map(|stratum| stratum.effective * (stratum.mean - mean).powi(2)).sum::<f64>()
        / (strata.len().saturating_sub(1).max(1)) as f64;
    (mean, if between > within { 1.0 - within / between } else { 0.0 })
}

/// Whether every sample counts once, as questions do, unlike documents of many tokens.
fn counts_once(pairs: &[Pair]) -> bool {
    pairs.iter().all(|pair| pair.1 == 1.0)
}

/// How many samples hit; none if samples have fractions of a hit, or weights.
fn hits(pairs: &[Pair], whole: f64) -> Option<f64> {
    let all = counts_once(pairs) && pairs.iter().all(|pair| pair.0 == 0.0 || pair.0 == whole);
    all.then(|| pairs.iter().filter(|pair| pair.0 == whole).count() as f64)
}

/// How many samples hit under both of two rows; none as for one.
fn paired_hits(pairs: &[Pair], others: &[Pair], whole: f64) -> Option<Hits> {
    hits(pairs, whole).and(hits(others, whole))?;
    let mut found = Hits::default();
    for (one, other) in pairs.iter().zip(others) {
        let count = match (one.0 == whole, other.0 == whole) {
            (true, true) => &mut found.both,
            (true, false) => &mut found.first,
            (false, true) => &mut found.second,
            (false, false) => &mut found.none,
        };
        *count += 1;
    }
    Some(found)
}

/// Percentile of sorted values by linear interpolation (numpy's default).
pub(crate) fn percentile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let rank = q * last as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    below + (above - below) * rank.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: usize) -> Bootstrap {
        Bootstrap::new(Design::single(n), 0)
    }

    fn once(values: &[f64]) -> Vec<Pair> {
        values.iter().map(|&value| (value, 1.0)).collect()
    }

    #[test]
    fn percentiles_interpolate() {
        let values: Vec<f64> = (0..=10).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.25), 2.5);
        assert_eq!(percentile(&values, 1.0), 10.0);
    }

    #[test]
    fn a_figure_without_spread_has_no_width() {
        let estimate = of(8).estimate(&[(6.0, 3.0); 8], Scale::Plain);
        assert_eq!((estimate.value, estimate.low, estimate.high, estimate.n), (2.0, 2.0, 2.0, 8));
        let one = of(1).estimate(&[(1.0, 1.0)], Scale::Plain);
        assert!(one.stderr.is_nan() && one.low == 1.0 && !one.excludes_zero());
    }

    #[test]
    fn a_share_of_none_or_all_has_a_width() {
        for (hits, expected) in [(0, (0.0, 0.3085)), (9, (0.5550, 0.9975)), (10, (0.6915, 1.0))] {
            let pairs: Vec<Pair> = (0..10).map(|n| (if n < hits { 100.0 } else { 0.0 }, 1.0)).collect();
            let found = of(10).estimate(&pairs, Scale::Share(100.0));
            assert!((found.low / 100.0 - expected.0).abs() < 1e-4, "{found:?}");
            assert!((found.high / 100.0 - expected.1).abs() < 1e-4, "{found:?}");
        }
        // Scores that are all the same are no more certain than hits.
        let found = of(10).estimate(&[(1.0, 1.0); 10], Scale::Share(1.0));
        assert!((found.low - 0.6915).abs() < 1e-4 && found.high == 1.0);
        let gain = of(10).estimate(&[(0.0, 1.0); 10], Scale::Gain(1.0));
        assert!(gain.low < -0.3 && gain.high > 0.3);
    }

    #[test]
    fn nothing_lies_beyond_its_scale() {
        let scores = once(&[1.0, 1.0, 1.0, 1.0, 0.95, 1.0, 1.0, 0.2]);
        let found = of(8).estimate(&scores, Scale::Share(1.0));
        assert!(found.high <= 1.0 && found.low >= 0.0 && found.low < found.value);
        let others = once(&[0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 0.9, 0.0]);
        let difference = of(8).compare(&scores, &others, Scale::Share(1.0), Among::Baseline(10));
        assert!(difference.high <= 1.0 && difference.estimate.high <= 1.0, "{difference:?}");
        let same = of(8).compare(&scores, &scores, Scale::Share(1.0), Among::Baseline(10));
        assert!(same.low < 0.0 && same.high > 0.0 && !same.told_apart());
    }

    #[test]
    fn a_difference_is_paired() {
        let documents = once(&[1.0, 5.0, 3.0, 8.0, 2.0, 7.0, 4.0, 6.0]);
        let others: Vec<Pair> = documents
            .iter()
            .zip([0.01, 0.03].into_iter().cycle())
            .map(|(pair, off)| (pair.0 + off, 1.0))
            .collect();
        let found = of(8).compare(&others, &documents, Scale::Plain, Among::Baseline(2));
        assert!((found.estimate.value - 0.02).abs() < 1e-9 && found.told_apart(), "{found:?}");
        let turned = of(8).compare(&documents, &others, Scale::Plain, Among::Baseline(2));
        assert!((turned.reversed().estimate.value - found.estimate.value).abs() < 1e-12);
        assert!(!of(8).compare(&documents, &documents, Scale::Plain, Among::Baseline(2)).told_apart());
    }

    /// The interval for all rows contains that of the pair alone, and perplexities are told apart when losses
    /// are.
    #[test]
    fn more_rows_ask_for_more() {
        let documents: Vec<Pair> = (0..12).map(|n| (f64::from(n) * 20.0 + 200.0, 100.0)).collect();
        for shift in [0.5, 2.0, 2.6, 3.5, 8.0] {
            let others: Vec<Pair> = documents
                .iter()
                .enumerate()
                .map(|(n, pair)| (pair.0 + shift + (n % 3) as f64 * 3.0 - 3.0, 100.0))
                .collect();
            let mut last = 0.0;
            for rows in [2, 3, 10, 40] {
                let found = of(12).compare(&others, &documents, Scale::Plain, Among::Baseline(rows));
                assert!(found.low <= found.estimate.low && found.high >= found.estimate.high);
                assert!(found.high - found.low >= last);
                last = found.high - found.low;
                let perplexities =
                    of(12).compare(&others, &documents, Scale::Exponential, Among::Baseline(rows));
                assert_eq!(perplexities.told_apart(), found.told_apart(), "{shift} {rows}");
                let value = perplexities.estimate;
                assert!(value.low <= value.value && value.value <= value.high, "{perplexities:?}");
            }
        }
    }

    /// Strata whose means differ widen an interval only if they are merged into one.
    #[test]
    fn strata_are_centred() {
        let pairs: Vec<Pair> = (0..20).map(|i| (f64::from(i / 4 * 100 + i % 4), 1.0)).collect();
        let width = |design| {
            let estimate = Bootstrap::new(design, 0).estimate(&pairs, Scale::Plain);
            estimate.high - estimate.low
        };
        assert!(width(Design::new([4; 5])) < width(Design::single(20)) / 50.0);
    }
}
