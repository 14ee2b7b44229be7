//! The paired permutation test against SciPy's (permutation.json, made by scripts/permutation_reference.py).

use longcode_stats::{Pair, permutation};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    exact: bool,
    pairs: Vec<Pair>,
    others: Vec<Pair>,
    p: f64,
}

#[test]
fn p_values_are_scipys() {
    let reference: Reference = serde_json::from_str(include_str!("permutation.json")).unwrap();
    assert_eq!(reference.cases.len(), 26);
    for case in &reference.cases {
        let ours = permutation(&case.pairs, &case.others, 0);
        // Twice a share of 10,000 exchanges: five of its standard errors, and one exchange.
        let share = case.p / 2.0;
        let chance = if case.exact { 1e-9 } else { 10.0 * (share * (1.0 - share) / 10_000.0).sqrt() + 4e-4 };
        assert!((ours - case.p).abs() < chance, "{}: {ours}, {}", case.name, case.p);
    }
}
