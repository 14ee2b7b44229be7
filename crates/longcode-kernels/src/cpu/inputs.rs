//! The inputs of attention.

use std::ops::Range;

use super::simd::exp;
use crate::sight::Sight;
use crate::{Heads, MAX_TURNS, Precision, Softmax};

/// Inputs of [`crate::AttentionKernel::relative_attention`].
pub(super) struct Inputs<'a> {
    /// `[rows, heads * dim]` by each rotation.
    pub(super) queries: [&'a [f32]; MAX_TURNS],
    /// `[keys, kv_heads * dim]` by each rotation.
    pub(super) keys: [&'a [f32]; MAX_TURNS],
    /// `[keys, kv_heads * dim]`
    pub(super) value: &'a [f32],
    pub(super) heads: Heads,
    pub(super) sight: &'a Sight,
    pub(super) softmax: Softmax,
    /// Positions without rows of keys and values.
    pub(super) lost: Range<usize>,
    pub(super) precision: Precision,
}

impl Inputs<'_> {
    /// What a head's sink adds to the sum of a row's weights, relative to the row's largest logit.
    pub(super) fn weight_of_sink(&self, head: usize, max: f32) -> f32 {
        // exp() is valid up to 88; beyond 80 the keys' own weights, at most 1 each, are 0 beside it anyway.
        self.softmax.sinks.as_ref().map_or(0.0, |sinks| exp((sinks[head] - max).min(80.0)))
    }
}
