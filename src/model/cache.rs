//! Keys and values of the tokens that were read, kept while decoding.
//!
//! Keys are kept as attention needs them, rotated: once for kinds of one rotation, twice (near and far)
//! for windowed kinds. A kind that follows the sequence's length (`dynamic_ntk`) takes the length that
//! the sequence will have in the end, so that every key ever kept has the one base.

use burn::tensor::{Device, Tensor};

use super::attention::{Far, RelativeAttention, Rotated};

/// What the layers of a network keep of one sequence.
#[derive(Debug)]
pub struct Cache {
    layers: Vec<LayerCache>,
}

impl Cache {
    /// Room for `capacity` tokens in each layer.
    pub fn new(layers: usize, capacity: usize) -> Cache {
        Cache { layers: (0..layers).map(|_| LayerCache { capacity, kept: None }).collect() }
    }

    /// One layer's part.
    ///
    /// # Panics
    /// When there are fewer layers.
    pub fn layer(&mut self, number: usize) -> &mut LayerCache {
        &mut self.layers[number]
    }
}

/// What one layer keeps of one sequence.
#[derive(Debug)]
pub struct LayerCache {
    capacity: usize,
    kept: Option<Kept>,
}

/// `[capacity, kv_heads * head_dim]` each.
#[derive(Debug)]
struct Kept {
    near_key: Tensor<2>,
    far_key: Option<Tensor<2>>,
    value: Tensor<2>,
}

impl LayerCache {
    /// Puts the keys and values of an attention's rows in their places, and gives the attention over
    /// everything that is kept. Places after the rows may hold what was tried and given up.
    pub(super) fn extend(&mut self, rows: RelativeAttention) -> RelativeAttention {
        let RelativeAttention { near, far, value, heads, first } = rows;
        let kept = self.kept.take().unwrap_or_else(|| Kept::empty(self.capacity, &near.key, far.is_some()));
        let near_key = put(kept.near_key, first, near.key);
        let value = put(kept.value, first, value);
        let far = far.zip(kept.far_key).map(|(far, kept)| {
            let key = put(kept, first, far.rotated.key);
            Far { rotated: Rotated { key, ..far.rotated }, ..far }
        });
        self.kept = Some(Kept {
            near_key: near_key.clone(),
            far_key: far.as_ref().map(|far| far.rotated.key.clone()),
            value: value.clone(),
        });
        RelativeAttention { near: Rotated { key: near_key, ..near }, far, value, heads, first }
    }
}

impl Kept {
    fn empty(capacity: usize, like: &Tensor<2>, far: bool) -> Kept {
        let zeros = |device: &Device| Tensor::<2>::zeros([capacity, like.dims()[1]], device);
        let device = like.device();
        Kept { near_key: zeros(&device), far_key: far.then(|| zeros(&device)), value: zeros(&device) }
    }
}

/// Writes rows from row `first` on. In place, as nothing else holds `kept`.
fn put(kept: Tensor<2>, first: usize, rows: Tensor<2>) -> Tensor<2> {
    let [count, width] = rows.dims();
    kept.slice_assign([first..first + count, 0..width], rows)
}
