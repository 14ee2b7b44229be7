//! Decoding with a cache, on the CPU backend. tests/wgpu.rs runs the same checks through wgpu.

mod common;

use burn::tensor::Device;
use common::decoding::{Case, check_batches, check_cache_size, check_every_kind, check_token_by_token, tiny};
use proptest::prelude::*;

#[test]
fn token_by_token_is_the_whole_for_every_kind() {
    check_every_kind(&Device::flex());
}

#[test]
fn side_by_side_is_one_at_a_time() {
    check_batches(&Device::flex());
}

#[test]
fn token_by_token_is_the_whole_for_any_split() {
    let (checkpoint, model) = tiny(&Device::flex());
    proptest!(ProptestConfig::with_cases(48), |(case in Case::any())| {
        check_token_by_token(&case, &checkpoint, &model);
    });
}

#[test]
fn what_is_out_of_sight_is_not_kept() {
    check_cache_size(&Device::flex());
}
