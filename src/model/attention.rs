//! Relative attention of rotated queries and keys, without an L x L tensor.
//!
//! Queries go in blocks. The choice between the near and the far rotation depends on the token distance
//! alone, so a block of queries sees the keys as at most three contiguous ranges: all far, a band that
//! needs both, all near. Each range costs one score product except the band, which is about one block
//! wide; an exact windowed attention costs about one attention.

use std::ops::Range;

use burn::backend::Dispatch;
use burn::tensor::{Device, Int, Tensor};

use super::MAX_ELEMENTS;
use super::kernels::{AttentionKernel, Heads};

/// Most queries in a block.
const MAX_BLOCK: usize = 512;

/// Causal attention of query rows at positions `first..first + rows` over keys `0..first + rows`.
#[derive(Debug)]
pub struct RelativeAttention {
    /// For distances below the window; for all where there is none.
    pub near: Rotated,
    /// For the other distances.
    pub far: Option<Far>,
    /// `[keys, kv_heads * head_dim]`, at least `first + rows` keys.
    pub value: Tensor<2>,
    /// Counts of heads; query head `n` reads key head `n * kv_heads / heads`.
    pub heads: Heads,
    /// Position of the first row.
    pub first: usize,
}

/// Queries `[rows, heads * head_dim]`, the logit scale included, and keys `[keys, kv_heads * head_dim]`
/// under one rotation.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// One a row.
    pub query: Tensor<2>,
    /// One a position.
    pub key: Tensor<2>,
}

/// The rotation of distances beyond a window.
#[derive(Debug)]
pub struct Far {
    /// Smallest distance it is used for.
    pub window: usize,
    /// Queries and keys there.
    pub rotated: Rotated,
}

impl RelativeAttention {
    /// `[rows, heads * head_dim]`, by the backend's own kernel; that has no gradients.
    pub fn compute(self) -> Tensor<2> {
        if self.value.device().is_autodiff() {
            return self.in_blocks();
        }
        let window = self.far.as_ref().map(|far| far.window);
        let far = self.far.map_or_else(|| self.near.clone(), |far| far.rotated);
        Tensor::from_dispatch(Dispatch::relative_attention(
            self.near.query.into_dispatch(),
            self.near.key.into_dispatch(),
            far.query.into_dispatch(),
            far.key.into_dispatch(),
            self.value.into_dispatch(),
            self.heads,
            window,
            self.first,
        ))
    }

    /// [`RelativeAttention::compute`] in tensor operations: the reference, and the way of gradients.
    pub fn in_blocks(self) -> Tensor<2> {
        let [rows, width] = self.near.query.dims();
        let (heads, first) = (self.heads, self.first);
        let keys = first + rows;
        let near = ByHead::new(self.near, heads, first);
        let far = self.far.map(|far| (far.window, ByHead::new(far.rotated, heads, first)));
        let value = by_head(self.value.slice_dim(0, 0..keys), heads.keys);
        let block = (MAX_ELEMENTS / (heads.queries * keys)).clamp(1, MAX_BLOCK);
        let blocks = (first..keys)
            .step_by(block)
            .map(|start| attend_block(&near, far.as_ref(), &value, start..(start + block).min(keys)));
        Tensor::cat(blocks.collect(), 1).swap_dims(0, 1).reshape([rows, width])
    }
}

/// `[rows, heads * d]` as `[heads, rows, d]`.
fn by_head(x: Tensor<2>, heads: usize) -> Tensor<3> {
    let [rows, width] = x.dims();
    x.reshape([rows, heads, width / heads]).swap_dims(0, 1)
}

/// Rotated queries `[heads, rows, d]` of the positions from `first` on, and keys `[kv_heads, keys, d]`.
struct ByHead {
    query: Tensor<3>,
    key: Tensor<3>,
    first: usize,
}

impl ByHead {
    fn new(rotated: Rotated, heads: Heads, first: usize) -> ByHead {
        let keys = first + rotated.query.dims()[0];
        ByHead {
            query: by_head(rotated.query, heads.queries),
            key: by_head(rotated.key.slice_dim(0, 0..keys), heads.keys),
            first,
        }
    }

    /// Logits of the queries at positions `rows` against the key columns, `[heads, rows, columns]`.
    fn scores(&self, rows: &Range<usize>, columns: &Range<usize>) -> Tensor<3> {
        let [heads, _, head_dim] = self.query.dims();
        let kv_heads = self.key.dims()[0];
        // The query heads that share a key head stand below one another: one product serves them all.
        let query = self.query.clone().slice_dim(1, rows.start - self.first..rows.end - self.first);
        let query = query.reshape([kv_heads, heads / kv_heads * rows.len(), head_dim]);
        let key = self.key.clone().slice_dim(1, columns.clone()).swap_dims(1, 2);
        query.matmul(key).reshape([heads, rows.len(), columns.len()])
    }
}

/// Attention of one block of query rows, given by their positions.
fn attend_block(
    near: &ByHead,
    far: Option<&(usize, ByHead)>,
    value: &Tensor<3>,
    rows: Range<usize>,
) -> Tensor<3> {
    let columns = 0..rows.end;
    let Some((window, far)) = far else {
        return weighted_sum(vec![causal(near.scores(&rows, &columns), &rows, &columns)], value, rows.end);
    };
    // Keys up to `first_band` are far from every row, keys from `first_near` on near to every row.
    let first_band = (rows.start + 1).saturating_sub(*window);
    let first_near = rows.end.saturating_sub(*window).max(first_band);
    let mut scores = Vec::new();
    if first_band > 0 {
        scores.push(far.scores(&rows, &(0..first_band)));
    }
    if first_band < first_near {
        let band = first_band..first_near;
        let both = choose(near.scores(&rows, &band), far.scores(&rows, &band), *window, &rows, &band);
        scores.push(causal(both, &rows, &band));
    }
    if first_near < rows.end {
        let columns = first_near..rows.end;
        scores.push(causal(near.scores(&rows, &columns), &rows, &columns));
    }
    weighted_sum(scores, value, rows.end)
}

/// Softmax over consecutive column ranges of logits, and the weighted sum of the values.
fn weighted_sum(mut scores: Vec<Tensor<3>>, value: &Tensor<3>, keys: usize) -> Tensor<3> {
    let scores = if scores.len() == 1 { scores.swap_remove(0) } else { Tensor::cat(scores, 2) };
    let [heads, rows, _] = scores.dims();
    let [kv_heads, _, head_dim] = value.dims();
    let weights = burn::tensor::activation::softmax(scores, 2);
    let weights = weights.reshape([kv_heads, heads / kv_heads * rows, keys]);
    weights.matmul(value.clone().slice_dim(1, 0..keys)).reshape([heads, rows, head_dim])
}

/// Token distance `i - j` of rows and columns, `[1, rows, columns]`.
fn distance(rows: &Range<usize>, columns: &Range<usize>, device: &Device) -> Tensor<3, Int> {
    let index = |range: &Range<usize>| Tensor::<1, Int>::arange(range.start as i64..range.end as i64, device);
    index(rows).reshape([1, rows.len(), 1]) - index(columns).reshape([1, 1, columns.len()])
}

/// Masks the columns that come after a row.
fn causal(scores: Tensor<3>, rows: &Range<usize>, columns: &Range<usize>) -> Tensor<3> {
    if columns.end <= rows.start + 1 {
        return scores;
    }
    let shape = scores.dims();
    let later = distance(rows, columns, &scores.device()).lower_elem(0);
    scores.mask_fill(later.expand(shape), f32::NEG_INFINITY)
}

/// The far logits at distances of at least `window`, the near ones below.
fn choose(
    near: Tensor<3>,
    far: Tensor<3>,
    window: usize,
    rows: &Range<usize>,
    columns: &Range<usize>,
) -> Tensor<3> {
    let shape = near.dims();
    let distant = distance(rows, columns, &near.device()).greater_equal_elem(window as i64);
    near.mask_where(distant.expand(shape), far)
}
