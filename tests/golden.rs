//! The encodings and the model against vectors computed independently in float64 (tests/golden), on the
//! CPU backend. tests/wgpu.rs runs the same checks through wgpu.

mod common;

use burn::tensor::Device;

#[test]
fn attention_of_every_kind() {
    common::golden::check_attention(&Device::flex());
}

#[test]
fn token_losses_of_every_kind() {
    common::golden::check_token_losses(&Device::flex());
}

#[test]
fn attention_of_several_zones() {
    common::golden::check_attention_of_zones(&Device::flex());
}

#[test]
fn token_losses_of_several_zones() {
    common::golden::check_token_losses_of_zones(&Device::flex());
}
