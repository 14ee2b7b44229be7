//! Relative attention of rotated queries and keys, without an L x L tensor.
//!
//! Queries go in blocks. As the borders of zones never move back, a block meets each zone as one contiguous
//! range of keys ([`Sight::stretches`]): most keys turn by one rotation for all its rows, only bands at the
//! borders, about one block wide, need two, and unseen keys cost nothing. An exact attention with several
//! rotations costs about as much as one attention. Keys that are chosen for each key head and row are masked here; the
//! kernels read no others.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::MAX_ELEMENTS;
use crate::kernels::sight::rows_of;
use crate::kernels::{AttentionKernel, Heads, MAX_TURNS, Precision, Sight, Softmax, Stretch};
use crate::messages::note_once;

/// Most queries in a block.
const MAX_BLOCK: usize = 512;

/// Attention of query rows over the keys that each of them sees.
#[derive(Debug)]
pub struct RelativeAttention {
    /// `[rows, heads * head_dim]`, including the logit scale: the queries by each rotation.
    pub queries: Vec<Tensor<2>>,
    /// `[keys, kv_heads * head_dim]`: the keys by each rotation.
    pub keys: Vec<Tensor<2>>,
    /// `[keys, kv_heads * head_dim]`.
    pub value: Tensor<2>,
    /// Counts of heads; query head `n` reads key head `n * kv_heads / heads`.
    pub heads: Heads,
    /// What the rows see.
    pub sight: Arc<Sight>,
    /// A cap on the logits, and sinks.
    pub softmax: Softmax,
    /// Positions whose keys and values are left out: a later key's row is its position minus their number. No
    /// row sees one of them.
    pub lost: Range<usize>,
}

impl RelativeAttention {
    /// The result, `[rows, heads * head_dim]`, by the backend's own kernel, which has no gradients.
    pub fn compute(self, precision: Precision) -> Tensor<2> {
        let turns = self.queries.len().max(self.keys.len());
        if turns > MAX_TURNS {
            note_once(&format!(
                "an encoding turns queries or keys in {turns} ways, and the kernels take {MAX_TURNS}: attention goes by tensor \
                 operations, which take many times as long"
            ));
        }
        if self.value.device().is_autodiff() || turns > MAX_TURNS {
            return self.in_blocks();
        }
        // The kernel does not read what replaces a rotation that is missing.
        let all = |turned: Vec<Tensor<2>>| {
            std::array::from_fn(|n| turned.get(n).unwrap_or(&turned[0]).clone().into_dispatch())
        };
        let ([query_0, query_1, query_2], [key_0, key_1, key_2]) = (all(self.queries), all(self.keys));
        let value = self.value.into_dispatch();
        Tensor::from_dispatch(Dispatch::relative_attention(
            query_0,
            query_1,
            query_2,
            key_0,
            key_1,
            key_2,
            value,
            self.heads,
            self.sight,
            self.softmax,
            self.lost,
            precision,
        ))
    }

    /// [`RelativeAttention::compute`] in tensor operations: the reference, and used for gradients.
    pub fn in_blocks(self) -> Tensor<2> {
        let [rows, width] = self.queries[0].dims();
        let heads = self.heads;
        let block = (MAX_ELEMENTS / (heads.queries * (self.sight.first() + rows))).clamp(1, MAX_BLOCK);
        let by_heads =
            |turned: Vec<Tensor<2>>, heads| turned.into_iter().map(|x| by_head(x, heads)).collect();
        let attention = ByHead {
            queries: by_heads(self.queries, heads.queries),
            keys: by_heads(self.keys, heads.keys),
            value: by_head(self.value, heads.keys),
            sight: self.sight,
            softmax: self.softmax,
            lost: self.lost,
        };
        let blocks = (0..rows).step_by(block).map(|start| attention.block(start..(start + block).min(rows)));
        Tensor::cat(blocks.collect(), 1).swap_dims(0, 1).reshape([rows, width])
    }
}

/// `[rows, heads * d]` as `[heads, rows, d]`.
fn by_head(x: Tensor<2>, heads: usize) -> Tensor<3> {
    let [rows, width] = x.dims();
    x.reshape([rows, heads, width / heads]).swap_dims(0, 1)
}

/// A [`RelativeAttention`] with queries `[heads, rows, d]`, keys and values `[kv_heads, keys, d]`.
struct ByHead {
    queries: Vec<Tensor<3>>,
    keys: Vec<Tensor<3>>,
    value: Tensor<3>,
    sight: Arc<Sight>,
    softmax: Softmax,
    lost: Range<usize>,
}

impl ByHead {
    /// Attention of one block of query rows.
    fn block(&self, rows: Range<usize>) -> Tensor<3> {
        let stretches = self.sight.stretches(rows.clone());
        let mut scores: Vec<_> = stretches.iter().map(|stretch| self.seen_scores(&rows, stretch)).collect();
        let mut value: Vec<_> =
            stretches.iter().map(|stretch| self.of_keys(&self.value, &stretch.keys)).collect();
        if let Some((keys, of_choice)) = self.chosen_scores(&rows) {
            value.push(self.of_keys(&self.value, &keys));
            scores.push(of_choice);
        }
        weighted_sum(joined(scores, 2), joined(value, 1), self.softmax.sinks.as_deref())
    }

    /// `[kv_heads, keys, d]` of some keys.
    fn of_keys(&self, x: &Tensor<3>, keys: &Range<usize>) -> Tensor<3> {
        x.clone().slice_dim(1, rows_of(keys, &self.lost))
    }

    /// Logits of the rows against the keys of a stretch, `[heads, rows, keys]`; -inf for keys that a row does
    /// not see.
    fn seen_scores(&self, rows: &Range<usize>, stretch: &Stretch) -> Tensor<3> {
        if let [zone] = stretch.zones[..]
            && self.sight.all_in(zone, rows, &stretch.keys)
        {
            return self.scores(zone, rows, &stretch.keys);
        }
        let shape = [self.queries[0].dims()[0], rows.len(), stretch.keys.len()];
        let unseen = Tensor::full(shape, f32::NEG_INFINITY, &self.value.device());
        stretch.zones.iter().fold(unseen, |scores, &zone| {
            let inside = self.inside(zone, rows, &stretch.keys).expand(shape);
            scores.mask_where(inside, self.scores(zone, rows, &stretch.keys))
        })
    }

    /// Logits of the rows against all keys that they have in the zone whose keys are chosen, and -inf for keys that a row
    /// did not choose: the keys, and `[heads, rows, keys]`. Unlike the kernels this takes time for every key.
    fn chosen_scores(&self, rows: &Range<usize>) -> Option<(Range<usize>, Tensor<3>)> {
        let (zone, chosen) = self.sight.choice()?;
        let keys = self.sight.keys(zone, rows.start).start..self.sight.keys(zone, rows.end - 1).end;
        if keys.is_empty() {
            return None;
        }
        let (heads, kv_heads) = (self.queries[0].dims()[0], self.value.dims()[0]);
        let mut unseen = vec![true; heads * rows.len() * keys.len()];
        for (number, unseen) in unseen.chunks_exact_mut(keys.len()).enumerate() {
            let (head, row) = (number / rows.len(), rows.start + number % rows.len());
            for seen in chosen.within(head * kv_heads / heads, row, self.sight.keys(zone, row)) {
                unseen[seen.start - keys.start..seen.end - keys.start].fill(false);
            }
        }
        let unseen = TensorData::new(unseen, [heads, rows.len(), keys.len()]);
        let unseen = Tensor::<3, Bool>::from_data(unseen, &self.value.device());
        let scores = self.scores(zone, rows, &keys).mask_fill(unseen, f32::NEG_INFINITY);
        Some((keys, scores))
    }

    /// Logits by the rotation of a zone, `[heads, rows, keys]`.
    fn scores(&self, zone: usize, rows: &Range<usize>, keys: &Range<usize>) -> Tensor<3> {
        let turn = self.sight.turn(zone).expect("a zone that is seen");
        let query = &self.queries[turn.query];
        let [heads, _, head_dim] = query.dims();
        let kv_heads = self.value.dims()[0];
        // The query heads that share a key head are stacked: one product serves them all.
        let query = query.clone().slice_dim(1, rows.clone());
        let query = query.reshape([kv_heads, heads / kv_heads * rows.len(), head_dim]);
        let key = self.of_keys(&self.keys[turn.key], keys).swap_dims(1, 2);
        let scores = query.matmul(key).reshape([heads, rows.len(), keys.len()]);
        match self.softmax.cap {
            Some(cap) => scores.div_scalar(cap).tanh().mul_scalar(cap),
            None => scores,
        }
    }

    /// Whether a row has a key in the zone, `[1, rows, keys]`.
    fn inside(&self, zone: usize, rows: &Range<usize>, keys: &Range<usize>) -> Tensor<3, Bool> {
        let device = self.value.device();
        let shape = [1, rows.len(), keys.len()];
        let border = |end: bool| {
            let borders: Vec<i64> = rows
                .clone()
                .map(|row| {
                    let keys = self.sight.keys(zone, row);
                    (if end { keys.end } else { keys.start }) as i64
                })
                .collect();
            Tensor::<1, Int>::from_data(&borders[..], &device).reshape([1, rows.len(), 1]).expand(shape)
        };
        let key = positions(keys, &device).expand(shape);
        key.clone().greater_equal(border(false)).bool_and(key.lower(border(true)))
    }
}

/// Positions of keys, `[1, 1, keys]`.
fn positions(keys: &Range<usize>, device: &Device) -> Tensor<3, Int> {
    Tensor::<1, Int>::arange(keys.start as i64..keys.end as i64, device).reshape([1, 1, keys.len()])
}

fn joined(mut parts: Vec<Tensor<3>>, dim: usize) -> Tensor<3> {
    if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, dim) }
}

/// Softmax over logits `[heads, rows, keys]` and a sink a head, and the weighted sum of the values `[kv_heads,
/// keys, d]`.
fn weighted_sum(scores: Tensor<3>, value: Tensor<3>, sinks: Option<&[f32]>) -> Tensor<3> {
    let [heads, rows, keys] = scores.dims();
    let [kv_heads, _, head_dim] = value.dims();
    let scores = match sinks {
        Some(sinks) => {
            let sinks = Tensor::<1>::from_data(sinks, &scores.device()).cast(scores.dtype());
            Tensor::cat(vec![scores, sinks.reshape([heads, 1, 1]).expand([heads, rows, 1])], 2)
        }
        None => scores,
    };
    let weights = burn::tensor::activation::softmax(scores, 2).slice_dim(2, 0..keys);
    let weights = weights.reshape([kv_heads, heads / kv_heads * rows, keys]);
    weights.matmul(value).reshape([heads, rows, head_dim])
}
