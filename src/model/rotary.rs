//! An encoding's rotations as tables of cos and sin, and the turning by them.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::attention::RelativeAttention;
use super::cache::{LayerCache, rows_after};
use crate::checkpoint::AttentionConfig;
use crate::encoding::{Band, Positions, Rotation, Rotations};
use crate::kernels::{
    GpuKernels, Heads, InferenceKernels, Precision, Sight, Turn, is_cpu_without_gradients,
    is_gpu_without_gradients,
};

/// An encoding's rotations for some tokens; they are made once and used in every layer.
#[derive(Debug, Clone)]
pub struct RotaryTables {
    /// `[2 * (queries + keys), rows, head_dim / 2]`: cos and sin of each different rotation of queries, then
    /// of keys. The query tables include the logit scale, `1 / sqrt(head_dim)`.
    pub(super) tables: Tensor<3>,
    /// How many different rotations of queries there are.
    queries: usize,
    /// What the rows see in layers of full attention.
    sight: Arc<Sight>,
    /// What they see in the layers limited by the model's own window, and which layers those are.
    sliding: Option<(Arc<Sight>, Arc<[bool]>)>,
    /// The layers whose queries and keys do not turn, if any.
    unrotated: Option<Unrotated>,
}

/// Layers that an encoding leaves alone (NoPE): their rows see all keys, within the model's own window.
#[derive(Debug, Clone)]
struct Unrotated {
    layers: Arc<[bool]>,
    /// Factor on the queries.
    scale: f64,
    sight: Arc<Sight>,
    /// What the rows see, within the model's own window.
    sliding: Arc<Sight>,
}

impl RotaryTables {
    /// Tables of an encoding's rotations at these positions, for a model's attention.
    pub fn new(
        rotations: &Rotations,
        positions: &Positions,
        attention: &AttentionConfig,
        device: &Device,
    ) -> RotaryTables {
        let frequencies = &rotations.spectrum.frequencies;
        let pairs = attention.head_dim / 2;
        let rows = positions.tokens.len();
        let tokens = (0..rows).map(|i| attention.scale * rotations.query_scale.get(i).unwrap_or(&1.0));
        let scale = Scale { tokens: tokens.collect(), turning: rotations.spectrum.scale };
        let Turns { queries, keys, sight } = Turns::of(rotations, positions);
        let mut values = Vec::new();
        for query in &queries {
            values.extend(cos_sin(&angles(query, Side::Query, frequencies), rows, pairs, &scale));
        }
        let unscaled = Scale { tokens: vec![1.0; rows], turning: 1.0 };
        for key in &keys {
            values.extend(cos_sin(&angles(key, Side::Key, frequencies), rows, pairs, &unscaled));
        }
        let shape = [2 * (queries.len() + keys.len()), rows, pairs];
        // A window longer than every distance in the sequence limits nothing.
        let own = rotations.own_window.as_ref().filter(|own| own.window < positions.sequence_length);
        let within = |sight: &Sight| match own {
            Some(own) => sight.within(own.window),
            None => sight.clone(),
        };
        let unrotated = attention.unrotated.as_ref().map(|layers| {
            let all = Sight::new(positions.tokens.clone(), positions.sequence_length);
            let all = all.with_zone(vec![0; rows], 0, Some(Turn { query: 0, key: 0 }));
            let sliding = Arc::new(within(&all));
            Unrotated { layers: layers.clone(), scale: attention.scale, sight: Arc::new(all), sliding }
        });
        RotaryTables {
            tables: Tensor::from_data(TensorData::new(values, shape), device),
            queries: queries.len(),
            sliding: own.map(|own| (Arc::new(within(&sight)), own.layers.clone())),
            sight: Arc::new(sight),
            unrotated,
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

    /// Rows of keys and of values that the caches of all layers will have after reading these rows, a
    /// sequence's first.
    pub(super) fn kept_rows(&self, layers: usize) -> f64 {
        let turned = self.tables.dims()[0] / 2 - self.queries;
        (0..layers)
            .map(|layer| {
                let alone = self.unrotated.as_ref().is_some_and(|unrotated| unrotated.layers[layer]);
                let keys = if alone { 1 } else { turned };
                rows_after(self.sight_of(layer)) as f64 * (keys + 1) as f64
            })
            .sum()
    }

    /// How many different rotations of queries and of keys the tables would have, without making them.
    pub fn turns(rotations: &Rotations, positions: &Positions) -> [usize; 2] {
        let turns = Turns::of(rotations, positions);
        [turns.queries.len(), turns.keys.len()]
    }

    /// Whether the rows see all keys by one rotation, in every layer.
    pub fn is_one_rotation(&self) -> bool {
        self.tables.dims()[0] == 4
            && self.sight.zones() == 2
            && self.sliding.is_none()
            && self.unrotated.is_none()
    }

    /// Causal attention of these rows in a layer, to themselves and to the earlier ones that they see, which
    /// are in `cache`; without a cache the rows must be a whole sequence.
    ///
    /// `query` is `[rows, heads * head_dim]`, `key` and `value` `[rows, kv_heads * head_dim]`, not
    /// rotated; query head `n` reads key head `n * kv_heads / heads`. Returns the shape of `query`, in f32
    /// precision.
    pub fn attend(&self, layer: usize, rows: [Tensor<2>; 3], cache: Option<&mut LayerCache>) -> Tensor<2> {
        self.rotated(layer, rows, cache).compute(Precision::F32)
    }

    /// The attention that [`RotaryTables::attend`] computes.
    pub fn rotated(
        &self,
        layer: usize,
        [query, key, value]: [Tensor<2>; 3],
        cache: Option<&mut LayerCache>,
    ) -> RelativeAttention {
        let [tables, _, half] = self.tables.dims();
        let dim = 2 * half;
        let heads = Heads { queries: query.dims()[1] / dim, keys: key.dims()[1] / dim, dim };
        let (queries, keys) = match self.unrotated.as_ref().filter(|alone| alone.layers[layer]) {
            Some(alone) => (vec![query.mul_scalar(alone.scale)], vec![key]),
            None => (
                (0..self.queries).map(|table| self.rotate(query.clone(), table)).collect(),
                (self.queries..tables / 2).map(|table| self.rotate(key.clone(), table)).collect(),
            ),
        };
        let sight = self.sight_of(layer).clone();
        let attention = RelativeAttention { queries, keys, value, heads, sight, lost: 0..0 };
        match cache {
            Some(cache) => cache.extend(attention),
            None => attention,
        }
    }

    fn sight_of(&self, layer: usize) -> &Arc<Sight> {
        let sliding = self.sliding.as_ref().filter(|(_, layers)| layers[layer]).map(|(sight, _)| sight);
        match self.unrotated.as_ref().filter(|alone| alone.layers[layer]) {
            Some(alone) if sliding.is_some() => &alone.sliding,
            Some(alone) => &alone.sight,
            None => sliding.unwrap_or(&self.sight),
        }
    }

    /// Rotates every head of every row of `x [rows, heads * head_dim]`, dimension `p` with `p + h`.
    fn rotate(&self, x: Tensor<2>, table: usize) -> Tensor<2> {
        if is_gpu_without_gradients(&x.device()) {
            let tables = self.tables.clone().into_dispatch();
            return Tensor::from_dispatch(Dispatch::turned_rows(x.into_dispatch(), tables, table));
        }
        let table = self.tables.clone().slice_dim(0, 2 * table..2 * table + 2);
        if is_cpu_without_gradients(&x.device()) {
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

/// The different rotations of an encoding, and the zones that they are used in.
struct Turns<'a> {
    queries: Vec<&'a Rotation>,
    keys: Vec<&'a Rotation>,
    sight: Sight,
}

impl<'a> Turns<'a> {
    /// Leaves out zones that the sequence never meets, because they end at key 0 for its last query: a window
    /// longer than every distance in the sequence limits nothing.
    fn of(rotations: &'a Rotations, positions: &Positions) -> Turns<'a> {
        let zones = &rotations.zones;
        let met = zones.iter().rposition(|zone| zone.first.end == 0).unwrap_or(0);
        let sight = Sight::new(positions.tokens.clone(), positions.sequence_length);
        zones[met..].iter().fold(Turns { queries: Vec::new(), keys: Vec::new(), sight }, |mut turns, zone| {
            let turn = zone.rotation.as_ref().map(|rotation| Turn {
                query: place(&mut turns.queries, rotation, Side::Query),
                key: place(&mut turns.keys, rotation, Side::Key),
            });
            turns.sight = turns.sight.with_zone(zone.first.keys.clone(), zone.first.end, turn);
            turns
        })
    }
}

/// The place of a rotation among the different ones of one side; adds it if it is new. Positions that are
/// equal by chance, as near and far are at token 0, count as different: what is kept of one token must do for
/// all.
fn place<'a>(different: &mut Vec<&'a Rotation>, rotation: &'a Rotation, side: Side) -> usize {
    let same_band =
        |(a, b): (&Band, &Band)| a.pairs == b.pairs && Arc::ptr_eq(side.positions(a), side.positions(b));
    let same = |other: &&Rotation| {
        other.bands.len() == rotation.bands.len() && other.bands.iter().zip(&rotation.bands).all(same_band)
    };
    different.iter().position(same).unwrap_or_else(|| {
        different.push(rotation);
        different.len() - 1
    })
}

/// Factors on a table's cos and sin.
struct Scale {
    /// One factor for each token.
    tokens: Vec<f64>,
    /// Factor on the pairs that turn, besides the token's.
    turning: f64,
}

/// cos, then sin, of `angles [rows, turning pairs]`, times their scale; the remaining ones of `pairs` do not
/// turn. Rows are computed on all threads.
fn cos_sin(angles: &[f64], rows: usize, pairs: usize, scale: &Scale) -> Vec<f32> {
    let turning = angles.len() / rows.max(1);
    let mut values = vec![0.0; 2 * rows * pairs];
    let (cos, sin) = values.split_at_mut(rows * pairs);
    let of_rows = |values: &mut [f32], f: fn(f64) -> f64| {
        let rows = values.par_chunks_exact_mut(pairs).zip(angles.par_chunks_exact(turning.max(1)));
        rows.zip(&scale.tokens).with_min_len(ROWS_OF_TASK).for_each(|((values, angles), scale_of_token)| {
            let factor = scale.turning * scale_of_token;
            values.fill((f(0.0) * scale_of_token) as f32);
            for (value, angle) in values.iter_mut().zip(angles) {
                *value = (f(*angle) * factor) as f32;
            }
        });
    };
    of_rows(cos, f64::cos);
    of_rows(sin, f64::sin);
    values
}

/// Rows of a table that are worth a task of their own.
const ROWS_OF_TASK: usize = 64;

/// Angles `position * theta_p` of every token and pair, `[tokens * pairs]`. The product is rounded to
/// f32 as transformers does, so that losses can be compared at any length; cos and sin are exact.
fn angles(rotation: &Rotation, side: Side, frequencies: &[f64]) -> Vec<f64> {
    let tokens = rotation.bands[0].query.len();
    let mut angles = vec![0.0; tokens * frequencies.len()];
    for band in &rotation.bands {
        for (row, position) in angles.chunks_exact_mut(frequencies.len()).zip(side.positions(band).iter()) {
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

impl Side {
    fn positions(self, band: &Band) -> &Arc<[f64]> {
        match self {
            Side::Query => &band.query,
            Side::Key => &band.key,
        }
    }
}
