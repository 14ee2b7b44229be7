//! An encoding's rotations as tables of cos and sin, and what turns by them.

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData};

use super::attention::{Far, RelativeAttention, Rotated};
use super::cache::LayerCache;
use super::kernels::{CpuKernels, Heads, on_cpu};
use crate::encoding::{Positions, Rotation, Rotations};

/// An encoding's rotations of some tokens, made once and used in every layer.
#[derive(Debug, Clone)]
pub struct RotaryTables {
    /// `[4 or 8, rows, head_dim / 2]`: cos and sin of near queries, near keys, and far queries, far keys
    /// where there is a window. The query tables carry the logit scale, `1 / sqrt(head_dim)` included.
    pub(super) tables: Tensor<3>,
    /// Distances from here on use the far tables.
    pub(super) window: Option<usize>,
    /// Position of the first row.
    first: usize,
}

/// Tables in the order of [`RotaryTables::tables`].
#[derive(Clone, Copy)]
enum Role {
    NearQuery,
    NearKey,
    FarQuery,
    FarKey,
}

impl RotaryTables {
    /// Tables of an encoding's rotations at these positions.
    pub fn new(rotations: &Rotations, positions: &Positions, device: &Device) -> RotaryTables {
        let frequencies = &rotations.spectrum.frequencies;
        let pairs = frequencies.len();
        let constant = rotations.spectrum.scale / ((2 * pairs) as f64).sqrt();
        let rows = positions.tokens.len();
        let scale: Vec<f64> =
            (0..rows).map(|i| constant * rotations.query_scale.get(i).unwrap_or(&1.0)).collect();
        // A window that no distance of the sequence reaches is no window.
        let far = rotations.far.as_ref().filter(|far| far.window < positions.sequence_length);
        let mut values = Vec::new();
        for rotation in [Some(&rotations.near), far.map(|far| &far.rotation)].into_iter().flatten() {
            values.extend(cos_sin(&angles(rotation, frequencies, Side::Query), pairs, &scale));
            values.extend(cos_sin(&angles(rotation, frequencies, Side::Key), pairs, &[]));
        }
        let shape = [values.len() / (rows * pairs), rows, pairs];
        RotaryTables {
            tables: Tensor::from_data(TensorData::new(values, shape), device),
            window: far.map(|far| far.window),
            first: positions.tokens.start,
        }
    }

    /// The tables on the same device without gradients.
    pub fn inner(self) -> RotaryTables {
        RotaryTables { tables: self.tables.inner(), ..self }
    }

    /// Tokens that the tables are for.
    pub fn rows(&self) -> usize {
        self.tables.dims()[1]
    }

    /// Causal attention of these rows over themselves and all earlier ones, which are in `cache`;
    /// without a cache the rows must be a whole sequence.
    ///
    /// `query` is `[rows, heads * head_dim]`, `key` and `value` `[rows, kv_heads * head_dim]`, not
    /// rotated; query head `n` reads key head `n * kv_heads / heads`. Returns the shape of `query`.
    pub fn attend(
        &self,
        query: Tensor<2>,
        key: Tensor<2>,
        value: Tensor<2>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<2> {
        self.rotated(query, key, value, cache).compute()
    }

    /// The attention that [`RotaryTables::attend`] computes.
    pub fn rotated(
        &self,
        query: Tensor<2>,
        key: Tensor<2>,
        value: Tensor<2>,
        cache: Option<&mut LayerCache>,
    ) -> RelativeAttention {
        let dim = 2 * self.tables.dims()[2];
        let heads = Heads { queries: query.dims()[1] / dim, keys: key.dims()[1] / dim, dim };
        let far = self.window.map(|window| Far {
            window,
            rotated: Rotated {
                query: self.rotate(query.clone(), Role::FarQuery),
                key: self.rotate(key.clone(), Role::FarKey),
            },
        });
        let near =
            Rotated { query: self.rotate(query, Role::NearQuery), key: self.rotate(key, Role::NearKey) };
        let attention = RelativeAttention { near, far, value, heads, first: self.first };
        match cache {
            Some(cache) => cache.extend(attention),
            None => attention,
        }
    }

    /// Rotates every head of every row of `x [rows, heads * head_dim]`, dimension `p` with `p + h`.
    fn rotate(&self, x: Tensor<2>, role: Role) -> Tensor<2> {
        let start = 2 * role as usize;
        let table = self.tables.clone().slice_dim(0, start..start + 2);
        if on_cpu(&x.device()) {
            return Tensor::from_dispatch(Dispatch::rotate(x.into_dispatch(), table.into_dispatch()));
        }
        let [_, rows, half] = table.dims();
        let [cos, sin] = [0, 1].map(|n| table.clone().slice_dim(0, n..n + 1).reshape([rows, 1, half]));
        let [_, width] = x.dims();
        let x = x.reshape([rows, width / (2 * half), 2 * half]);
        let low = x.clone().slice_dim(2, 0..half);
        let high = x.slice_dim(2, half..2 * half);
        let turned_low = low.clone() * cos.clone() - high.clone() * sin.clone();
        let turned_high = high * cos + low * sin;
        Tensor::cat(vec![turned_low, turned_high], 2).reshape([rows, width])
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
