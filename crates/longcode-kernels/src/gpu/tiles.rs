//! What the units of a workgroup share: sizes, the block's place, and the tiles in shared memory.

use cubecl::prelude::*;

/// Units across a tile, and vectors of a head that it holds at a time.
pub(super) const COLUMNS: usize = 8;

/// Keys of a unit: their weights are one vector.
pub(super) const KEYS_PER_UNIT: usize = 4;

/// Keys in a tile.
pub(super) const KEYS: usize = COLUMNS * KEYS_PER_UNIT;

/// Vectors from one row of a tile to the next: one more than it has, so that rows read at the same time are
/// in different banks of the memory.
pub(super) const STRIDE: usize = COLUMNS + 1;

/// Weights of a unit's keys.
pub(super) type KeyWeights = Vector<f32, Const<KEYS_PER_UNIT>>;

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
    /// Whether each query head has a sink.
    pub(super) sinks: bool,
}

impl Sizes {
    /// Query rows in a block.
    pub(super) fn rows(&self) -> usize {
        self.lines * self.rows_per_unit
    }

    /// Chunks that a head is loaded in.
    pub(super) fn chunks(&self) -> usize {
        self.vectors.div_ceil(COLUMNS)
    }

    /// Vectors of a head in a chunk.
    pub(super) fn width(&self, chunk: usize) -> usize {
        (self.vectors - chunk * COLUMNS).min(COLUMNS)
    }

    /// How often all units load a vector to fill `rows` rows of `width` vectors.
    pub(super) fn loads(&self, rows: usize, width: usize) -> usize {
        (rows * width).div_ceil(COLUMNS * self.lines)
    }

    /// Scores of a unit in a tile.
    pub(super) fn scores(&self) -> usize {
        self.rows_per_unit * KEYS_PER_UNIT
    }

    /// Bytes of shared memory that [`Tiles`] takes with vectors of `vector` bytes.
    pub(super) fn shared_bytes(&self, vector: usize) -> usize {
        let tiles = (self.rows() + KEYS) * STRIDE * vector;
        tiles + self.rows() * (STRIDE * KEYS_PER_UNIT + COLUMNS) * size_of::<f32>()
    }
}

/// A block's place in the attention.
#[derive(CubeType)]
pub(super) struct Block {
    /// Its first row.
    pub(super) start: usize,
    /// Rows of the key head.
    pub(super) rows: usize,
    pub(super) key_head: usize,
    pub(super) key_heads: usize,
}

/// Keys that are processed together.
#[derive(CubeType)]
pub(super) struct KeyTile {
    /// Position of the first.
    pub(super) first: usize,
    /// Position after the last of its stretch: later keys do not belong to the tile.
    pub(super) end: usize,
    /// Row of the first in the tensors.
    pub(super) row: usize,
}

/// Shared memory.
#[derive(CubeType)]
pub(super) struct Tiles<E: Float, N: Size> {
    /// `[rows, STRIDE]`
    pub(super) query: Shared<[Vector<E, N>]>,
    /// `[KEYS, STRIDE]`, keys or values. Key `4 a + b` of the tile is row `8 b + a`.
    pub(super) key: Shared<[Vector<E, N>]>,
    /// `[rows, STRIDE]`
    pub(super) weights: Shared<[KeyWeights]>,
    /// What each unit knows about a row, `[rows, COLUMNS]`.
    pub(super) partial: Shared<[f32]>,
}

/// The block of this workgroup.
#[cube]
pub(super) fn place(number: usize, rows: usize, #[comptime] sizes: Sizes) -> Block {
    Block {
        start: number * sizes.rows(),
        rows,
        key_head: CUBE_POS_Y as usize,
        key_heads: CUBE_COUNT_Y as usize,
    }
}

/// Row of the block that is the unit's `n`th.
#[cube]
pub(super) fn unit_row(#[comptime] n: usize, #[comptime] sizes: Sizes) -> usize {
    UNIT_POS_Y as usize + n * sizes.lines
}

/// Where a row of the key head starts in the query tensors and the output.
#[cube]
pub(super) fn query_start(row: usize, block: &Block, #[comptime] sizes: Sizes) -> usize {
    let key_head = row / sizes.group * block.key_heads + block.key_head;
    (key_head * sizes.group + row % sizes.group) * sizes.vectors
}

/// Loads `width` vectors of the queries into shared memory.
#[cube]
pub(super) fn load_queries<E: Float, N: Size>(
    query: &[Vector<E, N>],
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
            tiles.query[row * STRIDE + part] = query[start + chunk * COLUMNS + part];
        }
    }
}

/// Loads `width` vectors of a tile's keys, or of their values, into shared memory. Places after the end of
/// the stretch repeat its last key, and are masked later.
#[cube]
pub(super) fn load_keys<E: Float, N: Size>(
    key: &[Vector<E, N>],
    block: &Block,
    tile: &KeyTile,
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
            let token = tile.row + min(number, tile.end - tile.first - 1);
            let start = (token * block.key_heads + block.key_head) * sizes.vectors;
            tiles.key[row * STRIDE + part] = key[start + chunk * COLUMNS + part];
        }
    }
}
