//! The kernel: one workgroup processes a block of query rows of one key head, going through the keys in
//! tiles.
//!
//! A row is one query head of one token; the rows of the heads that share a key head are stacked, so that
//! each key and value is loaded once for all of them. Units form a grid of [`COLUMNS`] by [`Sizes::lines`]: a
//! unit has every `lines`-th row of the block and [`KEYS_PER_UNIT`] neighbouring keys of a tile, later one
//! vector of columns in each chunk of the values. Tiles pass through shared memory in chunks of [`COLUMNS`]
//! vectors of a head, so its use does not grow with the head. Sums are f32, whatever the type of the inputs.

use cubecl::prelude::*;

use super::plan::{PER_CHOSEN, PER_STRETCH};
use super::softmax::{MASKED, finish, mix, start, weigh};
use super::tiles::{
    Block, COLUMNS, KEYS, KEYS_PER_UNIT, KeyTile, STRIDE, Sizes, Tiles, load_keys, load_queries, place,
    unit_row,
};

/// Relative attention; see [`super::super::AttentionKernel`] for the tensors and `plan.rs` for the
/// plan. The blocks begin at `first`, `rows` are the rows of a key head, `zones` those of the plan. Workgroups
/// of one block share its tiles of keys, one after another (`split`). `is_chosen` says whether keys of a zone
/// are chosen for each key head and token: the plan has `starts` blocks, `per_head` from one key head to the next. From
/// number `sinks` on it has the bits of the query heads' sinks, if there are any. Logits are capped softly at `cap`
/// unless it is 0.
#[cube(launch_unchecked)]
pub(super) fn attend<E: Float, N: Size>(
    queries: &Sequence<Box<[Vector<E, N>]>>,
    keys: &Sequence<Box<[Vector<E, N>]>>,
    value: &[Vector<E, N>],
    plan: &[u32],
    out: &mut [Vector<E, N>],
    first: u32,
    rows: u32,
    zones: u32,
    per_head: u32,
    starts: u32,
    sinks: u32,
    cap: f32,
    #[comptime] sizes: Sizes,
    #[comptime] is_chosen: bool,
    #[define(E)] _dtype: ElemType,
) {
    let zones = zones as usize;
    let blocks = (rows as usize).div_ceil(sizes.rows());
    // The last block sees the most keys and is taken first.
    let number = blocks - 1 - first as usize - CUBE_POS_X as usize;
    let block = place(number, rows as usize, sizes);
    let per_stretch = comptime!(if is_chosen { PER_CHOSEN } else { PER_STRETCH });
    let own = zones + CUBE_POS_Y as usize * per_head as usize + number;
    let borders = zones + starts as usize + 1;
    let stretches = borders + zones * (rows as usize / sizes.group);
    let mut tiles = Tiles::<E, N> {
        query: Shared::new_slice(sizes.rows() * STRIDE),
        key: Shared::new_slice(KEYS * STRIDE),
        weights: Shared::new_slice(sizes.rows() * STRIDE),
        partial: Shared::new_slice(sizes.rows() * COLUMNS),
    };
    let mut running = start::<N>(sizes);
    let mut scores = Array::<f32>::new(sizes.scores());
    let mut products = Array::<f32>::new(sizes.scores());
    let (share, shares) = (CUBE_POS_Z as usize, CUBE_COUNT_Z as usize);
    let mut before = 0usize;
    for stretch in plan[own] as usize..plan[own + 1] as usize {
        let at = stretches + stretch * per_stretch;
        let (first, end) = (plan[at] as usize, plan[at + 1] as usize);
        let (row, seen_in) = (plan[at + 2] as usize, plan[at + 3]);
        let count = (end - first).div_ceil(KEYS);
        let start = (share + shares - before % shares) % shares;
        before += count;
        for step in 0..(count + shares - 1 - start) / shares {
            let number = start + step * shares;
            let tile = KeyTile { first: first + number * KEYS, end, row: row + number * KEYS };
            #[unroll]
            for n in 0..sizes.scores() {
                scores[n] = MASKED;
            }
            for zone in 0..zones - 1 {
                if (seen_in >> zone as u32) & 1 == 1 {
                    let turn = plan[zone];
                    multiply(queries, keys, turn, &block, &tile, &mut tiles, &mut products, sizes);
                    if cap > 0.0f32 {
                        #[unroll]
                        for n in 0..sizes.scores() {
                            // At 20 it is 1 in f32; some drivers make NaN of much more.
                            let x = products[n] / cap;
                            let x = select(x > 20.0f32, 20.0f32, x);
                            products[n] = cap * select(x < -20.0f32, -20.0f32, x).tanh();
                        }
                    }
                    let of_zone = borders + zone * (rows as usize / sizes.group);
                    choose(&mut scores, &products, plan, of_zone, at, &block, &tile, sizes, is_chosen);
                }
            }
            weigh(&scores, &mut tiles, &mut running, sizes);
            mix(value, &block, &tile, &mut tiles, &mut running, sizes);
        }
    }
    finish(out, plan, sinks as usize, &block, &mut tiles, &running, share, shares, sizes);
}

/// Products of a tile's queries and keys by one rotation for the unit, `[rows_per_unit, KEYS_PER_UNIT]`.
#[cube]
fn multiply<E: Float, N: Size>(
    queries: &Sequence<Box<[Vector<E, N>]>>,
    keys: &Sequence<Box<[Vector<E, N>]>>,
    turn: u32,
    block: &Block,
    tile: &KeyTile,
    tiles: &mut Tiles<E, N>,
    products: &mut Array<f32>,
    #[comptime] sizes: Sizes,
) {
    #[unroll]
    for n in 0..sizes.scores() {
        products[n] = 0.0f32;
    }
    for chunk in 0..sizes.vectors / COLUMNS {
        load(queries, keys, turn, block, tile, tiles, chunk, COLUMNS, sizes);
        add_products(tiles, products, COLUMNS, sizes);
    }
    let rest = sizes.vectors % COLUMNS;
    if rest > 0 {
        load(queries, keys, turn, block, tile, tiles, sizes.vectors / COLUMNS, rest, sizes);
        add_products(tiles, products, rest, sizes);
    }
}

/// Loads `width` vectors of the queries and keys by one rotation into shared memory, when all units are done
/// with its current contents.
#[cube]
fn load<E: Float, N: Size>(
    queries: &Sequence<Box<[Vector<E, N>]>>,
    keys: &Sequence<Box<[Vector<E, N>]>>,
    turn: u32,
    block: &Block,
    tile: &KeyTile,
    tiles: &mut Tiles<E, N>,
    chunk: usize,
    #[comptime] width: usize,
    #[comptime] sizes: Sizes,
) {
    sync_cube();
    #[unroll]
    for n in 0..queries.len() {
        if turn & 0xff == n as u32 {
            load_queries(&queries[n], block, tiles, chunk, width, sizes);
        }
    }
    #[unroll]
    for n in 0..keys.len() {
        if turn >> 8 == n as u32 {
            load_keys(&keys[n], block, tile, tiles, chunk, width, sizes);
        }
    }
    sync_cube();
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

/// Uses the products of the keys that each row has in a zone as their scores. `of_zone` is where the zone's
/// borders are in the plan; the next zone's follow. `at` is where the stretch is.
#[cube]
fn choose(
    scores: &mut Array<f32>,
    products: &Array<f32>,
    plan: &[u32],
    of_zone: usize,
    at: usize,
    block: &Block,
    tile: &KeyTile,
    #[comptime] sizes: Sizes,
    #[comptime] is_chosen: bool,
) {
    #[unroll]
    for n in 0..sizes.rows_per_unit {
        let row = min(block.start + unit_row(n, sizes), block.rows - 1) / sizes.group;
        let first = plan[of_zone + row] as usize;
        let mut end = min(plan[of_zone + block.rows / sizes.group + row] as usize, tile.end);
        if comptime!(is_chosen) {
            let token = row - block.start / sizes.group;
            let seen_by = plan[at + PER_STRETCH + token / 32];
            end = select((seen_by >> (token % 32) as u32) & 1 == 1, end, 0usize);
        }
        #[unroll]
        for k in 0..KEYS_PER_UNIT {
            let key = tile.first + UNIT_POS_X as usize * KEYS_PER_UNIT + k;
            let at = n * KEYS_PER_UNIT + k;
            scores[at] = select(key >= first && key < end, products[at], scores[at]);
        }
    }
}
