//! Keys and values of the tokens that were read; they are kept while decoding.
//!
//! Keys are kept as attention needs them, by each rotation that will be used on them: once for encodings with
//! one rotation of keys, twice (near and far) for most windowed ones. What no later query sees is dropped
//! ([`Sight::lost`]), so an encoding that sees a bounded number of keys keeps that many, and a few more. An
//! encoding that follows the sequence's length (`dynamic_ntk`) takes the final length of the sequence, so
//! that all kept keys have the same base.

use std::ops::Range;

use burn::tensor::Tensor;

use super::attention::RelativeAttention;
use crate::kernels::Sight;
use crate::kernels::blocks::BlockMemory;
use crate::kernels::sight::rows_of;

/// Rows that a cache has beyond what is seen, so that it drops many rows at a time.
const SLACK: usize = 64;

/// What the layers of a network keep of one sequence. A copy shares its tensors with the original until one of the two
/// writes to them.
#[derive(Debug, Clone)]
pub struct Cache {
    layers: Vec<LayerCache>,
}

impl Cache {
    /// An empty cache for each layer.
    pub fn new(layers: usize) -> Cache {
        Cache { layers: (0..layers).map(|_| LayerCache::default()).collect() }
    }

    /// One layer's part.
    ///
    /// # Panics
    /// When there are fewer layers.
    pub fn layer(&mut self, number: usize) -> &mut LayerCache {
        &mut self.layers[number]
    }

    /// Whether no key was dropped, so that any of the tokens may be the last one again.
    pub(super) fn has_all(&self) -> bool {
        self.layers.iter().filter_map(|layer| layer.kept.as_ref()).all(|kept| kept.lost.is_empty())
    }

    /// Numbers in its tensors.
    pub(super) fn numbers(&self) -> usize {
        let of_tensor = |tensor: &Tensor<2>| tensor.dims().iter().product::<usize>();
        let of_layer = |kept: &Kept| kept.keys.iter().chain([&kept.value]).map(of_tensor).sum::<usize>();
        self.layers.iter().filter_map(|layer| layer.kept.as_ref()).map(of_layer).sum()
    }

    /// Rows of the layer that has room for the most tokens.
    pub fn rows(&self) -> usize {
        self.layers.iter().filter_map(|layer| layer.kept.as_ref()).map(Kept::rows).max().unwrap_or(0)
    }
}

/// What one layer keeps of one sequence.
#[derive(Debug, Default, Clone)]
pub struct LayerCache {
    kept: Option<Kept>,
    /// What is known of the blocks of its keys, if some are chosen.
    pub(super) blocks: BlockMemory,
}

/// Tensors of one row a position, `[rows, kv_heads * head_dim]`, without the positions `lost`.
#[derive(Debug, Clone)]
struct Kept {
    /// The keys by each rotation.
    keys: Vec<Tensor<2>>,
    value: Tensor<2>,
    lost: Range<usize>,
}

impl LayerCache {
    /// Puts the keys and values of an attention's rows in their places, and gives the attention over
    /// everything that is kept. Places after the rows may hold rows that were tried and given up.
    pub(super) fn extend(&mut self, rows: RelativeAttention) -> RelativeAttention {
        let (first, count) = (rows.sight.first(), rows.sight.rows());
        let Some(mut kept) = self.kept.take() else {
            debug_assert_eq!(first, 0, "a sequence is read from its start");
            // The rows see one another directly; what later rows will see is kept.
            self.kept = Some(Kept::of(&rows));
            return rows;
        };
        if kept.rows() + kept.lost.len() < first + count {
            kept = kept.let_go(&rows.sight);
        }
        let place = rows_of(&(first..first + count), &kept.lost).start;
        kept.keys = kept.keys.into_iter().zip(rows.keys).map(|(kept, key)| put(kept, place, key)).collect();
        kept.value = put(kept.value, place, rows.value);
        let attention = RelativeAttention {
            keys: kept.keys.clone(),
            value: kept.value.clone(),
            lost: kept.lost.clone(),
            ..rows
        };
        self.kept = Some(kept);
        attention
    }
}

impl Kept {
    /// What later queries will see of a sequence's first rows.
    fn of(rows: &RelativeAttention) -> Kept {
        let count = rows.sight.rows();
        let kept = Kept { keys: rows.keys.clone(), value: rows.value.clone(), lost: 0..0 };
        kept.moved(count, rows.sight.lost(count - 1), room(&rows.sight, count, count - 1))
    }

    /// How many rows there is room for.
    fn rows(&self) -> usize {
        self.value.dims()[0]
    }

    /// The same without what neither the coming rows nor any later ones see, with room for the coming rows.
    fn let_go(self, coming: &Sight) -> Kept {
        let first = coming.first();
        self.moved(first, coming.lost(0), room(coming, first + coming.rows(), 0))
    }

    /// The first `length` positions, minus those that are lost now, in tensors of `rows` rows.
    fn moved(self, length: usize, lost: Range<usize>, rows: usize) -> Kept {
        let before = lost.start.min(length);
        let parts = [0..before, lost.end.max(before)..length];
        let from: Vec<_> = parts.iter().map(|keys| rows_of(keys, &self.lost)).collect();
        let to: Vec<_> = parts.iter().map(|keys| rows_of(keys, &lost).start).collect();
        let moved = |tensor: Tensor<2>| {
            let width = tensor.dims()[1];
            let empty = Tensor::zeros([rows, width], &tensor.device());
            from.iter()
                .zip(&to)
                .filter(|(from, _)| !from.is_empty())
                .fold(empty, |all, (from, to)| put(all, *to, tensor.clone().slice_dim(0, from.clone())))
        };
        Kept { keys: self.keys.into_iter().map(moved).collect(), value: moved(self.value), lost }
    }
}

/// Rows that a cache will have for a sequence after reading these.
pub(super) fn rows_after(sight: &Sight) -> usize {
    room(sight, sight.first() + sight.rows(), sight.rows() - 1)
}

/// Rows for the first `length` positions of a sequence that ends at row `row` of a sight: all positions of
/// the sequence or, if keys are lost on the way, as many as are seen, and a few more.
fn room(sight: &Sight, length: usize, row: usize) -> usize {
    let needed = length - sight.lost(row).len();
    let in_the_end = sight.sequence_length() - sight.lost_in_the_end();
    let all = sight.sequence_length() - sight.lost(row).len();
    (needed.max(in_the_end) + SLACK).min(all)
}

/// Writes rows from row `first` on, in place, as nothing else holds `kept`.
fn put(kept: Tensor<2>, first: usize, rows: Tensor<2>) -> Tensor<2> {
    let [count, width] = rows.dims();
    kept.slice_assign([first..first + count, 0..width], rows)
}
