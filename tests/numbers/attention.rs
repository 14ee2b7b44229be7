//! Attention on the CPU backend against the definition, on random shapes: the kernel and the tensor-op
//! form.

use crate::common::attention::{Case, Form, check_causal, check_definition, check_split};
use burn::tensor::Device;
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
    fn split_precision_agrees_with_the_definition(case in Case::any()) {
        check_split(&case);
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
            check_both(&several_blocks(spec, None, 1100, read));
        }
    }
}

#[test]
fn several_zones_in_several_blocks() {
    let specs = [
        "sliding_window:window=600",
        "sliding_window:window=70",
        "lm_infinite:window=300,sinks=10",
        "streaming_llm:window=130,sinks=4",
        "streaming_llm:window=30,sinks=400",
        "dual_chunk:chunk=300,local=50",
        "dual_chunk:chunk=40,local=7",
        "string:shift=367,local=128",
        "dpe:window=100,groups=2/8/1/4",
    ];
    for spec in specs {
        // Shorter, as few keys in sight do not average out what f32 makes of an angle.
        for (read, own_window) in [(0, None), (450, None), (699, Some(300)), (350, Some(65))] {
            check_both(&several_blocks(spec.into(), own_window, 700, read));
        }
    }
}

fn several_blocks(spec: String, own_window: Option<usize>, length: usize, read: usize) -> Case {
    Case {
        spec,
        own_window,
        length,
        kv_heads: 1,
        queries_per_key: 2,
        head_dim: 16,
        turning: 16,
        unrotated: false,
        cap: (read == 450).then_some(4.0),
        sinks: own_window.is_some(),
        seed: 3,
        read,
    }
}

fn check_both(case: &Case) {
    check_split(case);
    check_definition(case, Form::Best, &Device::flex());
    check_definition(case, Form::TensorOps, &Device::flex());
}
