//! The kernel: one workgroup takes a block of query rows of one key head through the keys in tiles.
//!
//! A row is one query head of one token; the rows of the heads that share a key head stand below one
//! another, so that each key and value is loaded once for all of them. Units stand in a grid of
//! [`COLUMNS`] by [`Sizes::lines`]: a unit has every `lines`-th row of the block and [`KEYS_PER_UNIT`]
//! neighbouring keys of a tile, later one vector of columns in each chunk of the values. Tiles pass
//! through shared memory in chunks of [`COLUMNS`] vectors of a head, so its use does not grow with the
//! head. Whatever the type of the inputs, sums are f32.

use cubecl::prelude::*;

/// Units across a tile, and vectors of a head that it holds at a time.
pub(super) const COLUMNS: usize = 8;

/// Keys of a unit: their weights are one vector.
const KEYS_PER_UNIT: usize = 4;

/// Keys in a tile.
const KEYS: usize = COLUMNS * KEYS_PER_UNIT;

/// Vectors from one row of a tile to the next. One more than there are, so that rows read at the same
/// time lie in different banks of the memory.
const STRIDE: usize = COLUMNS + 1;

/// The score of a masked key, and of a row that has seen none: below every score, and finite, as WGSL has
/// no infinity.
const MASKED: f32 = -1.0e30;

/// Weights of a unit's keys.
type Weights = Vector<f32, Const<KEYS_PER_UNIT>>;

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sizes {
    /// Vectors in a head.
    pub(super) vectors: usize,
    /// Query heads of a key head.
    pub(super) group: usize,
    /// Units down a block.
    pub(super) lines: usize,
    /// Query rows of a unit.
    pub(super) rows_per_unit: usize,
    /// Whether there are far tensors.
    pub(super) windowed: bool,
}

impl Sizes {
    /// Query rows in a block.
    pub(super) fn rows(&self) -> usize {
        self.lines * self.rows_per_unit
    }

    /// Chunks that a head is loaded in.
    fn chunks(&self) -> usize {
        self.vectors.div_ceil(COLUMNS)
    }

    /// Vectors of a head in a chunk.
    fn width(&self, chunk: usize) -> usize {
        (self.vectors - chunk * COLUMNS).min(COLUMNS)
    }

    /// Times that all units load a vector to fill `rows` rows of `width` vectors.
    fn loads(&self, rows: usize, width: usize) -> usize {
        (rows * width).div_ceil(COLUMNS * self.lines)
    }

    /// Scores of a unit in a tile.
    fn scores(&self) -> usize {
        self.rows_per_unit * KEYS_PER_UNIT
    }

    /// Bytes of shared memory with vectors of `vector` bytes; what [`Tiles`] takes.
    pub(super) fn shared_bytes(&self, vector: usize) -> usize {
        let tiles = (self.rows() + KEYS) * STRIDE * vector;
        tiles + self.rows() * (STRIDE * KEYS_PER_UNIT + COLUMNS) * size_of::<f32>()
    }
}

/// A block's place in the attention.
#[derive(CubeType)]
struct Block {
    /// Its first row.
    start: usize,
    /// Rows of the key head.
    rows: usize,
    /// Position of row 0.
    first: usize,
    /// Position of its last row.
    last: usize,
    key_head: usize,
    key_heads: usize,
}

/// Shared memory.
#[derive(CubeType)]
struct Tiles<E: Float, N: Size> {
    /// `[rows, STRIDE]`
    query: Shared<[Vector<E, N>]>,
    /// `[KEYS, STRIDE]`, of keys or values. Key `4 a + b` of the tile is row `8 b + a`.
    key: Shared<[Vector<E, N>]>,
    /// `[rows, STRIDE]`
    weights: Shared<[Weights]>,
    /// What each unit knows of a row, `[rows, COLUMNS]`.
    partial: Shared<[f32]>,
}

/// What a unit knows of its rows.
#[derive(CubeType)]
struct Running<N: Size> {
    /// Largest score so far.
    max: Array<f32>,
    /// Sum of the weights of the unit's own keys, by `max`.
    sum: Array<f32>,
    /// Weighted sum of the values, `[rows_per_unit, chunks]`, by `max`.
    mixed: Array<Vector<f32, N>>,
}

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

/// The block of this workgroup.
#[cube]
fn place(rows: usize, first: usize, #[comptime] sizes: Sizes) -> Block {
    // The last block sees the most keys and is taken first.
    let start = (rows.div_ceil(sizes.rows()) - 1 - CUBE_POS_X as usize) * sizes.rows();
    Block {
        start,
        rows,
        first,
        last: first + (min(start + sizes.rows(), rows) - 1) / sizes.group,
        key_head: CUBE_POS_Y as usize,
        key_heads: CUBE_COUNT_Y as usize,
    }
}

/// No key seen.
#[cube]
fn start<N: Size>(#[comptime] sizes: Sizes) -> Running<N> {
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

/// Row of the block that is the unit's `n`th.
#[cube]
fn unit_row(#[comptime] n: usize, #[comptime] sizes: Sizes) -> usize {
    UNIT_POS_Y as usize + n * sizes.lines
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

/// `width` vectors of the near or far queries into shared memory.
#[cube]
fn load_queries<E: Float, N: Size>(
    near: &[Vector<E, N>],
    far: &[Vector<E, N>],
    is_far: bool,
    block: &Block,
    tiles: &mut Tiles<E, N>,
    chunk: usize,
    #[comptime] width: usize,
    #[comptime] sizes: Sizes,
) {
    #[unroll]
    for n in 0..sizes.loads(sizes.rows(), width) {
        let index = UNIT_POS as usize + n * COLUMNS * sizes.lines;
        if index < sizes.rows() * width {
            let (row, part) = (index / width, index % width);
            let start = query_start(min(block.start + row, block.rows - 1), block, sizes);
            let at = start + chunk * COLUMNS + part;
            tiles.query[row * STRIDE + part] = if is_far { far[at] } else { near[at] };
        }
    }
}

/// `width` vectors of the near or far keys of a tile into shared memory. Keys that no row sees are left
/// to the mask.
#[cube]
fn load_keys<E: Float, N: Size>(
    near: &[Vector<E, N>],
    far: &[Vector<E, N>],
    is_far: bool,
    block: &Block,
    first_key: usize,
    tiles: &mut Tiles<E, N>,
    chunk: usize,
    #[comptime] width: usize,
    #[comptime] sizes: Sizes,
) {
    #[unroll]
    for n in 0..sizes.loads(KEYS, width) {
        let index = UNIT_POS as usize + n * COLUMNS * sizes.lines;
        if index < KEYS * width {
            let (number, part) = (index / width, index % width);
            let row = number % KEYS_PER_UNIT * COLUMNS + number / KEYS_PER_UNIT;
            let token = min(first_key + number, block.last);
            let start = (token * block.key_heads + block.key_head) * sizes.vectors;
            let at = start + chunk * COLUMNS + part;
            tiles.key[row * STRIDE + part] = if is_far { far[at] } else { near[at] };
        }
    }
}

/// Where a row of the key head starts in the query tensors and the output.
#[cube]
fn query_start(row: usize, block: &Block, #[comptime] sizes: Sizes) -> usize {
    let key_head = row / sizes.group * block.key_heads + block.key_head;
    (key_head * sizes.group + row % sizes.group) * sizes.vectors
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

/// Turns scores into weights in shared memory by the running maxima, and rescales what was summed so
/// far. The first tile holds key 0, which every row sees, so a row's maximum is a score from then on.
#[cube]
fn weigh<E: Float, N: Size>(
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
        let mut weights = Weights::empty();
        let mut sum = 0.0f32;
        #[unroll]
        for k in 0..KEYS_PER_UNIT {
            let weight = (scores[n * KEYS_PER_UNIT + k] - largest).exp();
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

/// Adds a tile's values by their weights.
#[cube]
fn mix<E: Float, N: Size>(
    value: &[Vector<E, N>],
    block: &Block,
    first_key: usize,
    tiles: &mut Tiles<E, N>,
    running: &mut Running<N>,
    #[comptime] sizes: Sizes,
) {
    #[unroll]
    for chunk in 0..sizes.chunks() {
        sync_cube();
        load_keys(value, value, false, block, first_key, tiles, chunk, sizes.width(chunk), sizes);
        sync_cube();
        for unit in 0..COLUMNS {
            let mut values = Array::<Vector<f32, N>>::new(KEYS_PER_UNIT);
            #[unroll]
            for k in 0..KEYS_PER_UNIT {
                // In a chunk that is not full, units beyond it mix what nobody writes.
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

/// Divides by the sums and puts the rows where their heads belong.
#[cube]
fn finish<E: Float, N: Size>(
    out: &mut [Vector<E, N>],
    block: &Block,
    tiles: &mut Tiles<E, N>,
    running: &Running<N>,
    #[comptime] sizes: Sizes,
) {
    let column = UNIT_POS_X as usize;
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
        if block.start + row < block.rows {
            let to = query_start(block.start + row, block, sizes);
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
