//! The kernel: one workgroup takes a block of query rows of one key head through the keys in tiles.
//!
//! A row is one query head of one token; the rows of the heads that share a key head stand below one
//! another, so that each key and value is loaded once for all of them. Units stand in a grid of
//! [`COLUMNS`] by [`Sizes::lines`]: a unit has every `lines`-th row of the block and [`KEYS_PER_UNIT`]
//! neighbouring keys of a tile, later one vector of columns in each chunk of the values. Tiles pass
//! through shared memory in chunks of [`COLUMNS`] vectors of a head, so its use does not grow with the
//! head. Whatever the type of the inputs, sums are f32.

use cubecl::prelude::*;

use super::softmax::{MASKED, finish, mix, start, weigh};
use super::tiles::{
    Block, COLUMNS, KEYS, KEYS_PER_UNIT, STRIDE, Sizes, Tiles, load_keys, load_queries, place, unit_row,
};

/// Causal relative attention; see [`super::super::AttentionKernel`] for the tensors. `rows` are the rows
/// of a key head, `first` the position of the first; `window` counts only where `sizes.windowed`.
#[cube(launch_unchecked)]
pub(super) fn attend<E: Float, N: Size>(
    near_query: &[Vector<E, N>],
    near_key: &[Vector<E, N>],
    far_query: &[Vector<E, N>],
    far_key: &[Vector<E, N>],
    value: &[Vector<E, N>],
    out: &mut [Vector<E, N>],
    rows: u32,
    first: u32,
    window: u32,
    #[comptime] sizes: Sizes,
    #[define(E)] _dtype: ElemType,
) {
    let window = window as usize;
    let block = place(rows as usize, first as usize, sizes);
    let mut tiles = Tiles::<E, N> {
        query: Shared::new_slice(sizes.rows() * STRIDE),
        key: Shared::new_slice(KEYS * STRIDE),
        weights: Shared::new_slice(sizes.rows() * STRIDE),
        partial: Shared::new_slice(sizes.rows() * COLUMNS),
    };
    let mut running = start::<N>(sizes);
    let mut scores = Array::<f32>::new(sizes.scores());
    let mut products = Array::<f32>::new(sizes.scores());
    let keys = block.last + 1;
    // Keys up to `first_band` are far from every row, keys from `first_near` on near to every row.
    let lowest = block.first + block.start / sizes.group;
    let first_band = max(lowest + 1, window) - window;
    let first_near = max(keys, window) - window;
    for tile in 0..keys.div_ceil(KEYS) {
        let first_key = tile * KEYS;
        if sizes.windowed {
            // Only a tile of the band needs both sides.
            let first_side = select(first_key + KEYS > first_band, 0u32, 1u32);
            let end_side = select(first_key < first_near, 2u32, 1u32);
            for side in first_side..end_side {
                let far = side == 1;
                multiply(
                    near_query,
                    near_key,
                    far_query,
                    far_key,
                    &block,
                    first_key,
                    &mut tiles,
                    &mut products,
                    far,
                    sizes,
                );
                choose(&mut scores, &products, &block, first_key, window, far, sizes);
            }
        } else {
            multiply(
                near_query,
                near_key,
                far_query,
                far_key,
                &block,
                first_key,
                &mut tiles,
                &mut scores,
                false,
                sizes,
            );
        }
        mask(&mut scores, &block, first_key, sizes);
        weigh(&scores, &mut tiles, &mut running, sizes);
        mix(value, &block, first_key, &mut tiles, &mut running, sizes);
    }
    finish(out, &block, &mut tiles, &running, sizes);
}

/// Products of a tile's near or far queries and keys for the unit, `[rows_per_unit, KEYS_PER_UNIT]`.
#[cube]
fn multiply<E: Float, N: Size>(
    near_query: &[Vector<E, N>],
    near_key: &[Vector<E, N>],
    far_query: &[Vector<E, N>],
    far_key: &[Vector<E, N>],
    block: &Block,
    first_key: usize,
    tiles: &mut Tiles<E, N>,
    products: &mut Array<f32>,
    far: bool,
    #[comptime] sizes: Sizes,
) {
    #[unroll]
    for n in 0..sizes.scores() {
        products[n] = 0.0f32;
    }
    for chunk in 0..sizes.vectors / COLUMNS {
        sync_cube();
        load_queries(near_query, far_query, far, block, tiles, chunk, COLUMNS, sizes);
        load_keys(near_key, far_key, far, block, first_key, tiles, chunk, COLUMNS, sizes);
        sync_cube();
        add_products(tiles, products, COLUMNS, sizes);
    }
    let rest = sizes.vectors % COLUMNS;
    if rest > 0 {
        let chunk = sizes.vectors / COLUMNS;
        sync_cube();
        load_queries(near_query, far_query, far, block, tiles, chunk, rest, sizes);
        load_keys(near_key, far_key, far, block, first_key, tiles, chunk, rest, sizes);
        sync_cube();
        add_products(tiles, products, rest, sizes);
    }
}

/// Adds the products of the first `width` vectors in the tiles.
#[cube]
fn add_products<E: Float, N: Size>(
    tiles: &mut Tiles<E, N>,
    products: &mut Array<f32>,
    #[comptime] width: usize,
    #[comptime] sizes: Sizes,
) {
    for part in 0..width {
        let mut keys = Array::<Vector<f32, N>>::new(KEYS_PER_UNIT);
        #[unroll]
        for k in 0..KEYS_PER_UNIT {
            keys[k] = Vector::cast_from(tiles.key[(k * COLUMNS + UNIT_POS_X as usize) * STRIDE + part]);
        }
        #[unroll]
        for n in 0..sizes.rows_per_unit {
            let query = Vector::<f32, N>::cast_from(tiles.query[unit_row(n, sizes) * STRIDE + part]);
            #[unroll]
            for k in 0..KEYS_PER_UNIT {
                products[n * KEYS_PER_UNIT + k] += query.dot(keys[k]);
            }
        }
    }
}

/// Takes the products of the pairs that are near, or far, as their scores.
#[cube]
fn choose(
    scores: &mut Array<f32>,
    products: &Array<f32>,
    block: &Block,
    first_key: usize,
    window: usize,
    far: bool,
    #[comptime] sizes: Sizes,
) {
    #[unroll]
    for n in 0..sizes.rows_per_unit {
        let position = block.first + (block.start + unit_row(n, sizes)) / sizes.group;
        #[unroll]
        for k in 0..KEYS_PER_UNIT {
            let key = first_key + UNIT_POS_X as usize * KEYS_PER_UNIT + k;
            let at = n * KEYS_PER_UNIT + k;
            scores[at] = select((position >= key + window) == far, products[at], scores[at]);
        }
    }
}

/// Masks the keys after each row's token.
#[cube]
fn mask(scores: &mut Array<f32>, block: &Block, first_key: usize, #[comptime] sizes: Sizes) {
    #[unroll]
    for n in 0..sizes.rows_per_unit {
        let position = block.first + (block.start + unit_row(n, sizes)) / sizes.group;
        #[unroll]
        for k in 0..KEYS_PER_UNIT {
            let key = first_key + UNIT_POS_X as usize * KEYS_PER_UNIT + k;
            let at = n * KEYS_PER_UNIT + k;
            scores[at] = select(key > position, MASKED, scores[at]);
        }
    }
}
