//! How many samples decide a difference: of those that pull its way most, how many must go until it is gone.

use crate::design::paired;
use crate::{Among, Bootstrap, Design, Pair, Scale};

/// How few samples carry a difference (Broderick, Giordano and Meager 2020 ask the same of regressions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decisive {
    /// Without so many samples, those that pull its way most, it is 0 or has the other sign.
    pub sign: usize,
    /// Without so many of them the two are not told apart; none if they are not with all.
    pub told_apart: Option<usize>,
}

/// The samples that decide one row minus another; none if both have the same figure. Where samples weigh
/// differently, what a sample pulls is linearised.
pub fn decisive(design: &Design, pairs: &[Pair], others: &[Pair], scale: Scale) -> Option<Decisive> {
    let series = paired(pairs, others);
    let total: f64 = series.iter().map(|pair| pair.0).sum();
    let towards = total.signum();
    if total == 0.0 || !total.is_finite() {
        return None;
    }
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.sort_by(|&a, &b| (towards * series[b].0).total_cmp(&(towards * series[a].0)));
    let mut left = total * towards;
    // What is left of a difference that is gone may be a rounding error.
    let nothing = 1e-12 * series.iter().map(|pair| pair.0.abs()).sum::<f64>();
    let sign = order.iter().position(|&n| {
        left -= towards * series[n].0;
        left <= nothing
    });
    let sign = sign.map_or(series.len(), |last| last + 1);
    let apart = |without: usize| told_apart_without(design, pairs, others, scale, &order[..without]);
    let told_apart = apart(0).then(|| {
        // The least number, as if fewer samples never told apart what more do not.
        let (mut apart_at, mut not_at) = (0, sign);
        while not_at - apart_at > 1 {
            let middle = (apart_at + not_at) / 2;
            if apart(middle) { apart_at = middle } else { not_at = middle }
        }
        not_at
    });
    Some(Decisive { sign, told_apart })
}

fn told_apart_without(
    design: &Design,
    pairs: &[Pair],
    others: &[Pair],
    scale: Scale,
    dropped: &[usize],
) -> bool {
    let mut is_kept = vec![true; pairs.len()];
    dropped.iter().for_each(|&n| is_kept[n] = false);
    let rest = |pairs: &[Pair]| -> Vec<Pair> {
        pairs.iter().zip(&is_kept).filter(|(_, kept)| **kept).map(|(pair, _)| *pair).collect()
    };
    let strata = design.ranges().map(|stratum| is_kept[stratum].iter().filter(|kept| **kept).count());
    let design = Design::new(strata);
    let (pairs, others) = (rest(pairs), rest(others));
    !pairs.is_empty()
        && Bootstrap::new(design, 0).compare(&pairs, &others, scale, Among::Baseline(2)).told_apart()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(values: impl IntoIterator<Item = f64>) -> Vec<Pair> {
        values.into_iter().map(|value| (value, 1.0)).collect()
    }

    #[test]
    fn one_sample_may_decide() {
        let (a, b) = (pairs((0..20).map(|n| if n == 3 { 9.0 } else { 0.0 })), pairs([0.0; 20]));
        let found = decisive(&Design::single(20), &a, &b, Scale::Plain).unwrap();
        assert_eq!(found, Decisive { sign: 1, told_apart: None });
        assert_eq!(decisive(&Design::single(20), &b, &b, Scale::Plain), None);
    }

    #[test]
    fn hits_are_told_apart_until_mcnemars_test_no_longer_does() {
        // Ten against one: p = 12/2048 * 2; with eight against one 20/1024 > 0.0390, with seven 18/256 > 0.05.
        let a = pairs((0..30).map(|n| f64::from(u8::from(n < 10))));
        let b = pairs((0..30).map(|n| f64::from(u8::from(n == 20))));
        let found = decisive(&Design::single(30), &a, &b, Scale::Share(1.0)).unwrap();
        assert_eq!(found, Decisive { sign: 9, told_apart: Some(3) });
        assert_eq!(decisive(&Design::single(30), &b, &a, Scale::Share(1.0)), Some(found));
    }
}
