//! BLEU of two texts, as in RepoQA: `sentence_bleu` of NLTK 3.10.4 over white-space separated words, with
//! n-grams up to four and its smoothing method 4 (Chen and Cherry 2014).

use std::collections::HashMap;

use crate::task::python;

/// Longest n-gram.
const ORDERS: usize = 4;

/// NLTK's `k`.
const SMOOTHING: f64 = 5.0;

/// How similar a text is to the expected one, from 0 to 1. Not symmetric.
pub(super) fn bleu(reference: &str, hypothesis: &str) -> f64 {
    let (reference, hypothesis) = (python::words(reference), python::words(hypothesis));
    let length = hypothesis.len();
    let mut smoothed = 0;
    let mut logarithms = 0.0;
    for order in 1..=ORDERS {
        let matched = matched(&reference, &hypothesis, order);
        if order == 1 && matched == 0 {
            return 0.0;
        }
        let mut numerator = matched as f64;
        if matched == 0 && length > 1 {
            smoothed += 1;
            numerator = (length as f64).ln() / (f64::from(1 << smoothed) * SMOOTHING);
        }
        // NLTK skips an order that a single word does not have.
        if numerator > 0.0 {
            let of = (length + 1).saturating_sub(order).max(1);
            logarithms += (numerator / of as f64).ln() / ORDERS as f64;
        }
    }
    let brevity =
        if length > reference.len() { 1.0 } else { (1.0 - reference.len() as f64 / length as f64).exp() };
    brevity * logarithms.exp()
}

/// How many of the hypothesis's n-grams are the reference's, each at most as often as it occurs there.
fn matched(reference: &[&str], hypothesis: &[&str], order: usize) -> usize {
    let mut left: HashMap<&[&str], usize> = HashMap::new();
    for run in reference.windows(order) {
        *left.entry(run).or_default() += 1;
    }
    let mut matched = 0;
    for run in hypothesis.windows(order) {
        if let Some(left) = left.get_mut(run).filter(|left| **left > 0) {
            *left -= 1;
            matched += 1;
        }
    }
    matched
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader};

    use super::*;

    /// Every pair of the fixture, which RepoQA's own code made (scripts/make_benchmark_fixtures.py).
    #[test]
    fn as_nltk_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/benchmarks/bleu.jsonl.gz");
        let lines = BufReader::new(flate2::read::GzDecoder::new(File::open(path).unwrap())).lines();
        let mut pairs = 0;
        for line in lines.skip(1) {
            let (reference, hypothesis, score): (String, String, f64) =
                serde_json::from_str(&line.unwrap()).unwrap();
            let found = bleu(&reference, &hypothesis);
            assert!((found - score).abs() < 1e-12, "{found} for {score}: {reference:?} {hypothesis:?}");
            pairs += 1;
        }
        assert_eq!(pairs, 2000);
    }

    #[test]
    fn an_echo_is_1() {
        assert_eq!(bleu("def f():\n    return 1\n", "def f(): return 1"), 1.0);
        assert_eq!(bleu("x", " x\n"), 1.0);
    }
}
