//! Intervals against a computation in numpy (reference.json, made by scripts/bootstrap_reference.py).

use longcode_stats::{Among, Bootstrap, Design, Estimate, Pair, Scale};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    figure: String,
    strata: Vec<usize>,
    pairs: Vec<Pair>,
    other: Vec<Pair>,
    value: f64,
    low: f64,
    high: f64,
    standard_error: f64,
}

impl Case {
    fn ours(&self, seed: u64) -> Estimate {
        let bootstrap = Bootstrap::new(Design::new(self.strata.iter().copied()), seed);
        let difference =
            |scale| bootstrap.compare(&self.pairs, &self.other, scale, Among::Baseline(2)).estimate;
        match self.figure.as_str() {
            "loss" => bootstrap.estimate(&self.pairs, Scale::Plain),
            "perplexity" => bootstrap.estimate(&self.pairs, Scale::Exponential),
            "difference of losses" => difference(Scale::Plain),
            "difference of perplexities" => difference(Scale::Exponential),
            other => panic!("{other}"),
        }
    }
}

/// What chance leaves of 10,000 resamples: a studentised percentile is known to about 0.03 standard errors, and
/// less well the further out it lies, where few documents make long tails.
#[test]
fn intervals_are_those_of_the_reference() {
    let reference: Reference = serde_json::from_str(include_str!("reference.json")).unwrap();
    assert_eq!(reference.cases.len(), 20);
    for case in &reference.cases {
        for seed in 0..3 {
            let ours = case.ours(seed);
            let name = format!("{} of {:?} documents, seed {seed}: {ours:?}", case.figure, case.strata);
            assert!((ours.value / case.value - 1.0).abs() < 1e-9, "{name}");
            for (ours, theirs) in [(ours.low, case.low), (ours.high, case.high)] {
                let off = (ours - theirs).abs() / case.standard_error;
                let far = (theirs - case.value).abs() / case.standard_error;
                assert!(off < 0.1 + 0.05 * far, "{name}: {theirs}, {off} standard errors off");
            }
            assert!((ours.stderr / case.standard_error - 1.0).abs() < 1e-9, "{name}");
        }
    }
}
