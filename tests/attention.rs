//! Attention on the CPU backend against the definition, on random shapes: the kernel and the tensor-op
//! form.

mod common;

use burn::tensor::Device;
use common::attention::{Case, Form, check_causal, check_definition};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_kernel_agrees_with_the_definition(case in Case::any()) {
        check_definition(&case, Form::Best, &Device::flex());
    }

    #[test]
    fn tensor_operations_agree_with_the_definition(case in Case::any()) {
        check_definition(&case, Form::TensorOps, &Device::flex());
    }

    #[test]
    fn the_kernel_never_depends_on_later_tokens(case in Case::any()) {
        check_causal(&case, Form::Best, &Device::flex());
    }

    #[test]
    fn tensor_operations_never_depend_on_later_tokens(case in Case::any()) {
        check_causal(&case, Form::TensorOps, &Device::flex());
    }
}

/// Longer than a block of queries, so that all three ranges of keys and their borders occur.
#[test]
fn sequences_of_several_blocks() {
    for window in [1, 100, 511, 512, 513, 1000, 1200] {
        let spec = format!("hirope:window={window},split=0.5");
        for read in [0, 700, 1099] {
            let spec = spec.clone();
            let case =
                Case { spec, length: 1100, kv_heads: 1, queries_per_key: 2, head_dim: 16, seed: 3, read };
            check_definition(&case, Form::Best, &Device::flex());
            check_definition(&case, Form::TensorOps, &Device::flex());
        }
    }
}
