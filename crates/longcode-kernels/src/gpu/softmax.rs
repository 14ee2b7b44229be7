//! Online softmax (Milakov and Gimelshein 2018; Dao et al. 2022) over the tiles of a block.

use cubecl::prelude::*;

use super::tiles::{
    Block, COLUMNS, KEYS_PER_UNIT, KeyTile, KeyWeights, STRIDE, Sizes, Tiles, load_keys, query_start,
    unit_row,
};

/// The score of an unseen key, and the maximum of a row that has seen none: below every score, and finite, as
/// WGSL has no infinity.
pub(super) const MASKED: f32 = -1.0e30;

/// What a unit keeps about its rows.
#[derive(CubeType)]
pub(super) struct Running<N: Size> {
    /// Largest score so far.
    pub(super) max: Array<f32>,
    /// Sum of the weights of the unit's own keys, relative to `max`.
    pub(super) sum: Array<f32>,
    /// Weighted sum of the values, `[rows_per_unit, chunks]`, relative to `max`.
    pub(super) mixed: Array<Vector<f32, N>>,
}

/// The state before any key is seen.
#[cube]
pub(super) fn start<N: Size>(#[comptime] sizes: Sizes) -> Running<N> {
    let mut running = Running::<N> {
        max: Array::new(sizes.rows_per_unit),
        sum: Array::new(sizes.rows_per_unit),
        mixed: Array::new(sizes.rows_per_unit * sizes.chunks()),
    };
    #[unroll]
    for n in 0..sizes.rows_per_unit {
        running.max[n] = MASKED;
        running.sum[n] = 0.0f32;
    }
    #[unroll]
    for n in 0..sizes.rows_per_unit * sizes.chunks() {
        running.mixed[n] = Vector::new(0.0f32);
    }
    running
}

/// Turns scores into weights in shared memory, relative to the running maxima, and rescales the sums so far.
/// An unseen key has weight 0, even if the row has seen none yet.
#[cube]
pub(super) fn weigh<E: Float, N: Size>(
    scores: &Array<f32>,
    tiles: &mut Tiles<E, N>,
    running: &mut Running<N>,
    #[comptime] sizes: Sizes,
) {
    let column = UNIT_POS_X as usize;
    #[unroll]
    for n in 0..sizes.rows_per_unit {
        let mut largest = scores[n * KEYS_PER_UNIT];
        #[unroll]
        for k in 1..KEYS_PER_UNIT {
            largest = max(largest, scores[n * KEYS_PER_UNIT + k]);
        }
        tiles.partial[unit_row(n, sizes) * COLUMNS + column] = largest;
    }
    sync_cube();
    #[unroll]
    for n in 0..sizes.rows_per_unit {
        let row = unit_row(n, sizes);
        let mut largest = running.max[n];
        #[unroll]
        for unit in 0..COLUMNS {
            largest = max(largest, tiles.partial[row * COLUMNS + unit]);
        }
        let mut weights = KeyWeights::empty();
        let mut sum = 0.0f32;
        #[unroll]
        for k in 0..KEYS_PER_UNIT {
            let score = scores[n * KEYS_PER_UNIT + k];
            let weight = select(score > MASKED, (score - largest).exp(), 0.0f32);
            weights.insert(k, weight);
            sum += weight;
        }
        tiles.weights[row * STRIDE + column] = weights;
        let shrink = (running.max[n] - largest).exp();
        running.max[n] = largest;
        running.sum[n] = running.sum[n] * shrink + sum;
        #[unroll]
        for chunk in 0..sizes.chunks() {
            running.mixed[n * sizes.chunks() + chunk] *= Vector::new(shrink);
        }
    }
}

/// Adds a tile's values, weighted.
#[cube]
pub(super) fn mix<E: Float, N: Size>(
    value: &[Vector<E, N>],
    block: &Block,
    tile: &KeyTile,
    tiles: &mut Tiles<E, N>,
    running: &mut Running<N>,
    #[comptime] sizes: Sizes,
) {
    #[unroll]
    for chunk in 0..sizes.chunks() {
        sync_cube();
        load_keys(value, block, tile, tiles, chunk, sizes.width(chunk), sizes);
        sync_cube();
        for unit in 0..COLUMNS {
            let mut values = Array::<Vector<f32, N>>::new(KEYS_PER_UNIT);
            #[unroll]
            for k in 0..KEYS_PER_UNIT {
                // In a chunk that is not full, units beyond it compute values that nobody writes.
                values[k] = Vector::cast_from(tiles.key[(k * COLUMNS + unit) * STRIDE + UNIT_POS_X as usize]);
            }
            #[unroll]
            for n in 0..sizes.rows_per_unit {
                let weights = tiles.weights[unit_row(n, sizes) * STRIDE + unit];
                #[unroll]
                for k in 0..KEYS_PER_UNIT {
                    running.mixed[n * sizes.chunks() + chunk] += values[k] * Vector::new(weights.extract(k));
                }
            }
        }
    }
}

/// Divides by the sums and puts the rows in their heads' places. `plan[sinks]` is the first head's sink. One of
/// several shares puts its rows in its own part of the output, and after all parts what the row's maximum and
/// sum are.
#[cube]
pub(super) fn finish<E: Float, N: Size>(
    out: &mut [Vector<E, N>],
    plan: &[u32],
    sinks: usize,
    block: &Block,
    tiles: &mut Tiles<E, N>,
    running: &Running<N>,
    share: usize,
    shares: usize,
    #[comptime] sizes: Sizes,
) {
    let column = UNIT_POS_X as usize;
    let rows = block.rows * block.key_heads;
    let part = share * rows * sizes.vectors;
    #[unroll]
    for n in 0..sizes.rows_per_unit {
        tiles.partial[unit_row(n, sizes) * COLUMNS + column] = running.sum[n];
    }
    sync_cube();
    #[unroll]
    for n in 0..sizes.rows_per_unit {
        let row = unit_row(n, sizes);
        let mut sum = 0.0f32;
        #[unroll]
        for unit in 0..COLUMNS {
            sum += tiles.partial[row * COLUMNS + unit];
        }
        if sizes.sinks {
            let head = block.key_head * sizes.group + (block.start + row) % sizes.group;
            let sink = f32::reinterpret(plan[sinks + head]);
            // Beyond 80 the keys' own weights, at most 1 each, are 0 beside it anyway.
            sum += min(sink - running.max[n], 80.0f32).exp();
        }
        if block.start + row < block.rows {
            let to = query_start(block.start + row, block, sizes);
            if shares > 1 && column == 0 {
                let mut known = Vector::<f32, N>::new(running.max[n]);
                known.insert(1usize, sum);
                out[(shares * sizes.vectors + share) * rows + to / sizes.vectors] = Vector::cast_from(known);
            }
            let to = to + part;
            #[unroll]
            for chunk in 0..sizes.chunks() {
                if column < sizes.width(chunk) {
                    let mixed = running.mixed[n * sizes.chunks() + chunk] / Vector::new(sum);
                    out[to + chunk * COLUMNS + column] = Vector::cast_from(mixed);
                }
            }
        }
    }
}
