//! An encoding's rotations as tables of cos and sin, and the turning by them.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::attention::RelativeAttention;
use super::cache::{LayerCache, rows_after};
use super::choosing::Chooser;
use super::seen::SeenKeys;
use crate::checkpoint::AttentionConfig;
use crate::encoding::{Band, Choice, LayerRotations, Listed, Positions, Rotation, Rotations};
use crate::kernels::{
    Chosen, GpuKernels, Heads, InferenceKernels, KeyLists, Precision, Sight, Softmax, Turn,
    is_cpu_without_gradients, is_gpu_without_gradients,
};

/// An encoding's rotations for some tokens; they are made once and used in every layer.
#[derive(Debug, Clone)]
pub struct RotaryTables {
    /// Layers that turn and see alike, by their first.
    sorts: Vec<LayerTables>,
    /// For each layer, its place among them.
    of_layer: Arc<[usize]>,
    /// Tokens.
    rows: usize,
    /// Dimensions of a head.
    head_dim: usize,
    /// Keys that the rows have seen so far.
    seen: SeenKeys,
}

/// How the rows of some layers turn, and what they see within the model's own window.
#[derive(Debug, Clone)]
struct LayerTables {
    turning: Turning,
    sight: Arc<Sight>,
    /// Chooses keys, if they are chosen by content.
    chooser: Option<Chooser>,
}

#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one a layer")]
enum Turning {
    /// By an encoding or a rope.
    Turned {
        /// `[2 * (queries + keys), rows, head_dim / 2]`: cos and sin of each different rotation of queries, then
        /// of keys. The query tables include the logit scale.
        tables: Tensor<3>,
        /// How many different rotations of queries there are.
        queries: usize,
    },
    /// Not at all (NoPE); the factor on the queries.
    Still(f64),
}

impl Turning {
    /// How many different rotations of keys there are.
    fn keys(&self) -> usize {
        match self {
            Turning::Turned { tables, queries } => tables.dims()[0] / 2 - queries,
            Turning::Still(_) => 1,
        }
    }
}

impl RotaryTables {
    /// Tables of an encoding's rotations at these positions, for a model's attention.
    pub fn new(
        layers: &LayerRotations,
        positions: &Positions,
        attention: &AttentionConfig,
        device: &Device,
    ) -> RotaryTables {
        // A window longer than every distance in the sequence limits nothing.
        let own = layers.own_window.as_ref().filter(|own| own.window < positions.sequence_length);
        let turned: Vec<_> = layers
            .rotations
            .iter()
            .map(|rotations| turned(rotations, positions, attention, device))
            .collect();
        let mut kinds = Vec::new();
        let of_layer = layers.of_layer.iter().enumerate().map(|(layer, rotation)| {
            let kind = (*rotation, own.is_some_and(|own| own.layers[layer]));
            kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
                kinds.push(kind);
                kinds.len() - 1
            })
        });
        let of_layer = of_layer.collect();
        let sorts = kinds.into_iter().map(|(rotation, slides)| {
            let (turning, sight, chooser) = match rotation {
                Some(rotation) => turned[rotation].clone(),
                None => (Turning::Still(attention.scale), sees_all(positions), None),
            };
            let sight = own.filter(|_| slides).map_or_else(|| sight.clone(), |own| sight.within(own.window));
            LayerTables { turning, sight: Arc::new(sight), chooser }
        });
        RotaryTables {
            sorts: sorts.collect(),
            of_layer,
            rows: positions.tokens.len(),
            head_dim: attention.head_dim,
            seen: SeenKeys::default(),
        }
    }

    /// Counts keys that only some of the rows see; by default those of all.
    pub(super) fn counting(mut self, rows: std::ops::Range<usize>) -> RotaryTables {
        self.seen = SeenKeys::of(rows);
        self
    }

    /// How many keys the rows have seen since the tables were made, over all layers and key heads.
    pub(super) fn seen(&self) -> u64 {
        self.seen.count()
    }

    /// The tables on the same device without gradients.
    pub fn inner(mut self) -> RotaryTables {
        for sort in &mut self.sorts {
            if let Turning::Turned { tables, .. } = &mut sort.turning {
                *tables = tables.clone().inner();
            }
        }
        self
    }

    /// Tokens that the tables are for.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of keys and of values that the caches of all layers will have after reading these rows.
    pub(super) fn kept_rows(&self) -> f64 {
        let of_sort = |sort: &LayerTables| rows_after(&sort.sight) as f64 * (sort.turning.keys() + 1) as f64;
        let of_sorts: Vec<f64> = self.sorts.iter().map(of_sort).collect();
        self.of_layer.iter().map(|&sort| of_sorts[sort]).sum()
    }

    /// How many different rotations of queries and of keys a layer has at most, without making tables.
    pub fn turns(layers: &LayerRotations, positions: &Positions) -> [usize; 2] {
        layers
            .rotations
            .iter()
            .map(|rotations| Turns::of(rotations, positions))
            .fold([1, 1], |most, turns| [most[0].max(turns.queries.len()), most[1].max(turns.keys.len())])
    }

    /// The tables of rows that see all keys by one rotation, the same in every layer: `[4, rows, head_dim / 2]`.
    pub(super) fn one_rotation(&self) -> Option<&Tensor<3>> {
        match &self.sorts[..] {
            [LayerTables { turning: Turning::Turned { tables, .. }, sight, .. }]
                if tables.dims()[0] == 4 && sight.zones() == 2 =>
            {
                Some(tables)
            }
            _ => None,
        }
    }

    /// Causal attention of these rows in a layer, to themselves and to the earlier ones that they see, which
    /// are in `cache`; without a cache the rows must be a whole sequence.
    ///
    /// `query` is `[rows, heads * head_dim]`, `key` and `value` `[rows, kv_heads * head_dim]`, not
    /// rotated; query head `n` reads key head `n * kv_heads / heads`. Returns the shape of `query`, in f32
    /// precision.
    pub fn attend(&self, layer: usize, rows: [Tensor<2>; 3], cache: Option<&mut LayerCache>) -> Tensor<2> {
        self.rotated(layer, rows, Softmax::default(), cache).compute(Precision::F32)
    }

    /// The attention that [`RotaryTables::attend`] computes, with a layer's softmax.
    pub fn rotated(
        &self,
        layer: usize,
        [query, key, value]: [Tensor<2>; 3],
        softmax: Softmax,
        cache: Option<&mut LayerCache>,
    ) -> RelativeAttention {
        let dim = self.head_dim;
        let heads = Heads { queries: query.dims()[1] / dim, keys: key.dims()[1] / dim, dim };
        let LayerTables { turning, sight, chooser } = &self.sorts[self.of_layer[layer]];
        let (queries, keys) = match turning {
            Turning::Still(scale) => (vec![query.mul_scalar(*scale)], vec![key]),
            Turning::Turned { tables, queries } => (
                (0..*queries).map(|table| rotate(query.clone(), tables, table)).collect(),
                (*queries..tables.dims()[0] / 2).map(|table| rotate(key.clone(), tables, table)).collect(),
            ),
        };
        let sight = sight.clone();
        let mut attention = RelativeAttention { queries, keys, value, heads, sight, softmax, lost: 0..0 };
        let mut cache = cache;
        if let Some(cache) = cache.as_deref_mut() {
            attention = cache.extend(attention);
        }
        if let Some(chooser) = chooser {
            let mut alone = Default::default();
            let memory = cache.map_or(&mut alone, |cache| &mut cache.blocks);
            let chosen = chooser.choose(layer, &attention, memory);
            attention.sight = Arc::new(attention.sight.with_choice(Arc::new(chosen)));
        }
        self.seen.add(&attention.sight, heads.keys);
        attention
    }
}

/// The tables of rotations, and what the rows see.
fn turned(
    rotations: &Rotations,
    positions: &Positions,
    attention: &AttentionConfig,
    device: &Device,
) -> (Turning, Sight, Option<Chooser>) {
    let frequencies = &rotations.spectrum.frequencies;
    let pairs = attention.head_dim / 2;
    let rows = positions.tokens.len();
    let tokens = (0..rows).map(|i| attention.scale * rotations.query_scale.get(i).unwrap_or(&1.0));
    let scale = Scale { tokens: tokens.collect(), turning: rotations.spectrum.scale };
    let Turns { queries, keys, mut sight } = Turns::of(rotations, positions);
    let mut chooser = None;
    match rotations.choice.as_ref().filter(|_| sight.chosen_zone().is_some()) {
        None => {}
        Some(Choice::Listed(listed)) => sight = sight.with_choice(Arc::new(chosen(listed))),
        Some(Choice::Blocks(choice)) => chooser = Chooser::new(choice, &sight),
    }
    let mut values = Vec::new();
    for query in &queries {
        values.extend(cos_sin(&angles(query, Side::Query, frequencies), rows, pairs, &scale));
    }
    let unscaled = Scale { tokens: vec![1.0; rows], turning: 1.0 };
    for key in &keys {
        values.extend(cos_sin(&angles(key, Side::Key, frequencies), rows, pairs, &unscaled));
    }
    let shape = [2 * (queries.len() + keys.len()), rows, pairs];
    let tables = Tensor::from_data(TensorData::new(values, shape), device);
    (Turning::Turned { tables, queries: queries.len() }, sight, chooser)
}

/// What rows see that do not turn: all keys.
fn sees_all(positions: &Positions) -> Sight {
    let sight = Sight::new(positions.tokens.clone(), positions.sequence_length);
    sight.with_zone(vec![0; positions.tokens.len()], 0, Some(Turn { query: 0, key: 0 }))
}

/// Rotates every head of every row of `x [rows, heads * head_dim]`, dimension `p` with `p + h`.
fn rotate(x: Tensor<2>, tables: &Tensor<3>, table: usize) -> Tensor<2> {
    if is_gpu_without_gradients(&x.device()) {
        return Tensor::from_dispatch(Dispatch::turned_rows(
            x.into_dispatch(),
            tables.clone().into_dispatch(),
            table,
        ));
    }
    let table = tables.clone().slice_dim(0, 2 * table..2 * table + 2);
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
            let (first, end) = (zone.first.keys.clone(), zone.first.end);
            turns.sight = match turn.filter(|_| zone.is_chosen) {
                Some(turn) => turns.sight.with_chosen_zone(first, end, turn),
                None => turns.sight.with_zone(first, end, turn),
            };
            turns
        })
    }
}

/// What a text lists for some rows, the same for all key heads.
fn chosen(listed: &Listed) -> Chosen {
    let mut lists = KeyLists::default();
    listed.lists.iter().for_each(|list| {
        lists.push(list.iter().cloned());
    });
    Chosen::new(listed.list_of.len(), listed.list_of.clone(), lists)
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
