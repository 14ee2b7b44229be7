//! The inputs of attention.

use std::ops::Range;

use crate::sight::Sight;
use crate::{Heads, MAX_TURNS, Precision};

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
    /// Positions without rows of keys and values.
    pub(super) lost: Range<usize>,
    pub(super) precision: Precision,
}
