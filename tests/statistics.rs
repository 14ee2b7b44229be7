//! Intervals of figures and of paired differences agree with scipy's (tests/bootstrap.json, made by
//! scripts/bootstrap_reference.py).

mod common;

use common::repository;
use longcode::stats::{Bootstrap, Estimate};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    figure: String,
    pairs: Vec<(f64, f64)>,
    other: Vec<(f64, f64)>,
    value: f64,
    low: f64,
    high: f64,
    standard_error: f64,
}

impl Case {
    fn ours(&self, seed: u64) -> Estimate {
        let bootstrap = Bootstrap::new(self.pairs.len(), seed);
        let [one, other] = [&self.pairs, &self.other].map(|pairs| bootstrap.resample(pairs));
        match self.figure.as_str() {
            "loss" => one.estimate(|x| x),
            "perplexity" => one.estimate(f64::exp),
            "difference of losses" => one.difference(&other, |x| x),
            "difference of perplexities" => one.difference(&other, f64::exp),
            other => panic!("{other}"),
        }
    }
}

/// What chance leaves of 10,000 resamples: a percentile at 2.5% is known to about 0.03 standard errors,
/// the standard error to 0.7%; three times that is allowed, more where 4 documents make skewed tails.
#[test]
fn intervals_are_those_of_scipy() {
    let text = std::fs::read_to_string(repository("tests/bootstrap.json")).unwrap();
    let reference: Reference = serde_json::from_str(&text).unwrap();
    assert_eq!(reference.cases.len(), 12);
    for case in &reference.cases {
        for seed in 0..3 {
            let ours = case.ours(seed);
            let name = format!("{} of {} documents, seed {seed}: {ours:?}", case.figure, case.pairs.len());
            assert!((ours.value / case.value - 1.0).abs() < 1e-12, "{name}");
            for (ours, theirs) in [(ours.low, case.low), (ours.high, case.high)] {
                let off = (ours - theirs).abs() / case.standard_error;
                assert!(off < 0.1, "{name}: {theirs}, {off} standard errors off");
            }
            assert!((ours.stderr / case.standard_error - 1.0).abs() < 0.03, "{name}");
        }
    }
}
