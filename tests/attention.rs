//! Attention on the CPU backend against the definition, on random shapes.

mod common;

use burn::tensor::Device;
use proptest::prelude::*;

use common::attention::{Case, check_causal, check_definition};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_the_definition(case in Case::any()) {
        check_definition(&case, &Device::flex());
    }

    #[test]
    fn never_depends_on_later_tokens(case in Case::any()) {
        check_causal(&case, &Device::flex());
    }
}

/// Longer than a block of queries, so that all three ranges of keys and their borders occur.
#[test]
fn sequences_of_several_blocks() {
    for window in [1, 100, 511, 512, 513, 1000, 1200] {
        let spec = format!("hirope:window={window},split=0.5");
        check_definition(
            &Case { spec, length: 1100, kv_heads: 1, queries_per_key: 2, head_dim: 16, seed: 3 },
            &Device::flex(),
        );
    }
}
