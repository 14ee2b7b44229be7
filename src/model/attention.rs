//! Relative attention under an encoding's rotations, without an L x L tensor.
//!
//! Queries go in blocks. The choice between the near and the far rotation depends on the token distance
//! alone, so a block of queries sees the keys as at most three contiguous ranges: all far, a band that
//! needs both, all near. Each range costs one score product except the band, which is about one block
//! wide; an exact windowed attention costs about one attention.

use std::ops::Range;

use burn::backend::Dispatch;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::MAX_ELEMENTS;
use super::kernels::{CpuKernels, Heads, on_cpu};
use crate::encoding::{Rotation, Rotations};

/// Most queries in a block.
const MAX_BLOCK: usize = 512;

/// cos and sin of the angles of some tokens, `[tokens, head_dim / 2]` each.
struct Table {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Table {
    /// Rotates `x` of shape `[heads, tokens, head_dim]`, dimension `p` with `p + h`.
    fn apply(&self, x: Tensor<3>) -> Tensor<3> {
        let half = self.cos.dims()[1];
        let low = x.clone().slice_dim(2, 0..half);
        let high = x.slice_dim(2, half..2 * half);
        let cos = self.cos.clone().unsqueeze::<3>();
        let sin = self.sin.clone().unsqueeze::<3>();
        let turned_low = low.clone() * cos.clone() - high.clone() * sin.clone();
        let turned_high = high * cos + low * sin;
        Tensor::cat(vec![turned_low, turned_high], 2)
    }
}

/// cos, then sin, of angles, each token's times its scale (1 where `scale` is empty).
fn cos_sin(angles: &[f64], pairs: usize, scale: &[f64]) -> Vec<f32> {
    let table = |f: fn(f64) -> f64| {
        let value =
            move |(n, angle): (usize, &f64)| (f(*angle) * scale.get(n / pairs).unwrap_or(&1.0)) as f32;
        angles.iter().enumerate().map(value)
    };
    table(f64::cos).chain(table(f64::sin)).collect()
}

/// Angles `position * theta_p` of every token and pair, `[tokens * pairs]`. The product is rounded to
/// f32 as transformers does, so that losses can be compared at any length; cos and sin are exact.
fn angles(rotation: &Rotation, frequencies: &[f64], side: Side) -> Vec<f64> {
    let tokens = rotation.bands[0].query.len();
    let mut angles = vec![0.0; tokens * frequencies.len()];
    for band in &rotation.bands {
        let positions = match side {
            Side::Query => &band.query,
            Side::Key => &band.key,
        };
        for (row, position) in angles.chunks_exact_mut(frequencies.len()).zip(positions) {
            for pair in band.pairs.clone() {
                row[pair] = f64::from(*position as f32 * frequencies[pair] as f32);
            }
        }
    }
    angles
}

#[derive(Clone, Copy)]
enum Side {
    Query,
    Key,
}

/// An encoding's rotations as tables on the device, made once a sequence and used in every layer.
#[derive(Debug, Clone)]
pub struct RotaryTables {
    /// `[4 or 8, tokens, head_dim / 2]`: cos and sin of near queries, near keys, and far queries, far
    /// keys where there is a window. The query tables carry the logit scale, `1 / sqrt(head_dim)`
    /// included.
    tables: Tensor<3>,
    /// Distances from here on use the far tables.
    window: Option<usize>,
}

impl RotaryTables {
    /// Tables of an encoding's rotations.
    pub fn new(rotations: &Rotations, device: &Device) -> RotaryTables {
        let frequencies = &rotations.spectrum.frequencies;
        let pairs = frequencies.len();
        let constant = rotations.spectrum.scale / ((2 * pairs) as f64).sqrt();
        let tokens = rotations.near.bands[0].query.len();
        let scale: Vec<f64> =
            (0..tokens).map(|i| constant * rotations.query_scale.get(i).unwrap_or(&1.0)).collect();
        // A window that no distance of the sequence reaches is no window.
        let far = rotations.far.as_ref().filter(|far| far.window < tokens);
        let mut values = Vec::new();
        for rotation in [Some(&rotations.near), far.map(|far| &far.rotation)].into_iter().flatten() {
            values.extend(cos_sin(&angles(rotation, frequencies, Side::Query), pairs, &scale));
            values.extend(cos_sin(&angles(rotation, frequencies, Side::Key), pairs, &[]));
        }
        let shape = [values.len() / (tokens * pairs), tokens, pairs];
        RotaryTables {
            tables: Tensor::from_data(TensorData::new(values, shape), device),
            window: far.map(|far| far.window),
        }
    }

    /// Causal attention of a whole sequence.
    ///
    /// `query` is `[tokens, heads * head_dim]`, `key` and `value` `[tokens, kv_heads * head_dim]`, not
    /// rotated; query head `n` reads key head `n * kv_heads / heads`. Returns the shape of `query`.
    pub fn attend(&self, query: Tensor<2>, key: Tensor<2>, value: Tensor<2>) -> Tensor<2> {
        let dim = 2 * self.tables.dims()[2];
        let heads = Heads { queries: query.dims()[1] / dim, keys: key.dims()[1] / dim, dim };
        if on_cpu(&query.device()) {
            let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
            let tables = self.tables.clone().into_dispatch();
            return Tensor::from_dispatch(Dispatch::relative_attention(
                query,
                key,
                value,
                tables,
                heads,
                self.window,
            ));
        }
        self.attend_in_blocks(query, key, value, heads)
    }

    /// [`RotaryTables::attend`] in tensor operations: the reference, and the way of GPUs and gradients.
    pub fn attend_in_blocks(
        &self,
        query: Tensor<2>,
        key: Tensor<2>,
        value: Tensor<2>,
        heads: Heads,
    ) -> Tensor<2> {
        let [tokens, width] = query.dims();
        let split = |x: Tensor<2>, count: usize| x.reshape([tokens, count, heads.dim]).swap_dims(0, 1);
        let (query, key, value) =
            (split(query, heads.queries), split(key, heads.keys), split(value, heads.keys));
        let near =
            Rotated { query: self.table(0).apply(query.clone()), key: self.table(1).apply(key.clone()) };
        let far = self.window.map(|window| {
            (window, Rotated { query: self.table(2).apply(query), key: self.table(3).apply(key) })
        });
        let block = (MAX_ELEMENTS / (heads.queries * tokens)).clamp(1, MAX_BLOCK);
        let blocks = (0..tokens).step_by(block).map(|start| {
            let rows = start..(start + block).min(tokens);
            attend_block(&near, far.as_ref(), &value, rows)
        });
        Tensor::cat(blocks.collect(), 1).swap_dims(0, 1).reshape([tokens, width])
    }

    /// Table `number` in the order near query, near key, far query, far key.
    fn table(&self, number: usize) -> Table {
        let part = |n: usize| self.tables.clone().slice_dim(0, n..n + 1).squeeze_dim::<2>(0);
        Table { cos: part(2 * number), sin: part(2 * number + 1) }
    }
}

/// Rotated queries `[heads, tokens, d]` and keys `[kv_heads, tokens, d]`.
struct Rotated {
    query: Tensor<3>,
    key: Tensor<3>,
}

impl Rotated {
    /// Logits of the query rows against the key columns, `[heads, rows, columns]`.
    fn scores(&self, rows: &Range<usize>, columns: &Range<usize>) -> Tensor<3> {
        let [heads, _, head_dim] = self.query.dims();
        let kv_heads = self.key.dims()[0];
        // The query heads that share a key head stand below one another: one product serves them all.
        let query = self.query.clone().slice_dim(1, rows.clone());
        let query = query.reshape([kv_heads, heads / kv_heads * rows.len(), head_dim]);
        let key = self.key.clone().slice_dim(1, columns.clone()).swap_dims(1, 2);
        query.matmul(key).reshape([heads, rows.len(), columns.len()])
    }
}

/// Attention of one block of query rows.
fn attend_block(
    near: &Rotated,
    far: Option<&(usize, Rotated)>,
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
