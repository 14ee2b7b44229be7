//! What part of a ceiling's gain over a baseline a row has.

use crate::{Among, Bootstrap, Estimate, FEWEST, Pair, Scale};

/// Beyond this many ceilings' gains an interval says nothing.
const WIDEST: f64 = 64.0;

/// Ends of an interval are found to this much.
const EXACT: f64 = 1e-4;

/// (baseline - row) / (baseline - ceiling), of losses over the same samples with the same weights: 0 for a row that
/// gains nothing, 1 for one that gains what the ceiling does.
///
/// The interval is Fieller's (1954) with the paired interval of this crate in place of Student's: it holds each part r
/// for which the row is not told from r of the way from the baseline to the ceiling.
///
/// None where the ceiling is not told apart from the baseline, or is worse, as no part of nothing can be given; with
/// fewer than [`FEWEST`] samples; where the interval has no end.
///
/// # Panics
/// If the three have different numbers of samples.
pub fn recovered(
    bootstrap: &Bootstrap,
    row: &[Pair],
    baseline: &[Pair],
    ceiling: &[Pair],
) -> Option<Estimate> {
    let among = Among::Baseline(2);
    let compare = |one: &[Pair], other: &[Pair]| bootstrap.compare(one, other, Scale::Plain, among).estimate;
    let of_ceiling = compare(baseline, ceiling);
    if !(of_ceiling.excludes_zero() && of_ceiling.value > 0.0) || of_ceiling.n < FEWEST {
        return None;
    }
    let value = compare(baseline, row).value / of_ceiling.value;
    let beyond = |part: f64| compare(row, &between(baseline, ceiling, part));
    let high = end(value, 1.0, |part| beyond(part).low > 0.0)?;
    let low = end(value, -1.0, |part| beyond(part).high < 0.0)?;
    Some(Estimate { value, low, high, stderr: f64::NAN, n: of_ceiling.n })
}

/// What each sample has at a part of the way from one row to another.
fn between(from: &[Pair], to: &[Pair], part: f64) -> Vec<Pair> {
    assert_eq!(from.len(), to.len(), "rows of the same samples");
    from.iter().zip(to).map(|(a, b)| ((1.0 - part) * a.0 + part * b.0, a.1)).collect()
}

/// Where, from a value up (`sign` 1) or down (-1), parts begin to be told apart; none within [`WIDEST`].
fn end(value: f64, sign: f64, is_apart: impl Fn(f64) -> bool) -> Option<f64> {
    let (mut inside, mut outside) = (0.0, EXACT);
    while !is_apart(value + sign * outside) {
        inside = outside;
        outside *= 2.0;
        if outside > WIDEST {
            return None;
        }
    }
    while outside - inside > EXACT {
        let middle = f64::midpoint(inside, outside);
        if is_apart(value + sign * middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    Some(value + sign * outside)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::Design;

    fn of(n: usize) -> Bootstrap {
        Bootstrap::new(Design::single(n), 0)
    }

    /// Documents of different lengths and levels, and what each of them has with this gain.
    fn documents(n: usize, gain: impl Fn(usize) -> f64) -> Vec<Pair> {
        let tokens = |number: usize| 100.0 + 37.0 * (number % 5) as f64;
        let loss = |number: usize| 2.0 + 0.3 * (number % 7) as f64 - gain(number);
        (0..n).map(|number| (tokens(number) * loss(number), tokens(number))).collect()
    }

    #[test]
    fn the_baseline_has_none_of_it_and_the_ceiling_all() {
        let [base, ceiling] = [0.0, 0.1].map(|gain| documents(12, |n| gain * (1.0 + 0.1 * (n % 3) as f64)));
        for (row, expected) in [(&base, 0.0), (&ceiling, 1.0)] {
            let found = recovered(&of(12), row, &base, &ceiling).unwrap();
            assert!((found.value - expected).abs() < 1e-9, "{found:?}");
            assert!((found.low - expected).abs() < 1e-3 && (found.high - expected).abs() < 1e-3, "{found:?}");
        }
        let half = documents(12, |n| 0.05 * (1.0 + 0.1 * ((n + 1) % 3) as f64));
        let found = recovered(&of(12), &half, &base, &ceiling).unwrap();
        assert!(found.low < 0.5 && 0.5 < found.high && found.high - found.low < 0.2, "{found:?}");
    }

    #[test]
    fn nothing_is_a_part_of_a_ceiling_that_gains_nothing() {
        let base = documents(12, |_| 0.0);
        let noise = documents(12, |n| if n % 2 == 0 { 0.1 } else { -0.1 });
        assert_eq!(recovered(&of(12), &base, &base, &noise), None);
        assert_eq!(
            recovered(&of(12), &base, &base, &documents(12, |_| -0.1)),
            None,
            "a ceiling that is worse"
        );
        assert_eq!(recovered(&of(5), &base[..5], &base[..5], &documents(5, |_| 0.1)), None, "five documents");
    }

    /// Of 200 tables of 12 documents, in which a row has 0.4 of a ceiling's gain, with normal noise in both.
    #[test]
    fn the_interval_holds() {
        let noise = |rng: &mut ChaCha8Rng| {
            let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
            (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
        };
        let bootstrap = of(12);
        let covered = (0..200).filter(|&table| {
            let mut rng = ChaCha8Rng::seed_from_u64(table);
            let mut row = |gain: f64, spread: f64| -> Vec<Pair> {
                (0..12).map(|_| (3.0 - gain - spread * noise(&mut rng), 1.0)).collect()
            };
            let (base, ceiling, row) = (row(0.0, 0.0), row(0.2, 0.05), row(0.08, 0.03));
            let found = recovered(&bootstrap, &row, &base, &ceiling).unwrap();
            found.low <= 0.4 && 0.4 <= found.high
        });
        let share = covered.count() as f64 / 200.0;
        // Three standard errors about 95%, and what resampling twelve documents is off by.
        assert!((0.90..=0.99).contains(&share), "{share}");
    }
}
