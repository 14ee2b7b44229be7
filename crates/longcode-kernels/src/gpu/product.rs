//! Products of rows and a packed weight: a kernel for many rows, which goes through both in tiles, and one
//! for few, as when decoding, which reads the weight once.

use cubecl::prelude::*;

use super::words::{Four, decoded};
use crate::packed::Kept;

/// Rows, and columns, of a tile of the result.
pub(super) const TILE: usize = 64;

/// Units down and across a tile.
pub(super) const SIDE: usize = 16;

/// Rows, and columns, of a unit in a tile: every [`SIDE`]-th.
pub(super) const EACH: usize = TILE / SIDE;

/// Vectors of a row in a tile.
const DEPTH: usize = 4;

/// Vectors from one row of a tile to the next; one more than it has, for the banks of the memory.
const STRIDE: usize = DEPTH + 1;

/// What a tile of the result is made of.
#[derive(CubeType)]
pub(super) struct Place {
    /// Its first row.
    pub(super) row: usize,
    /// Its first column.
    pub(super) column: usize,
    /// Rows of all.
    pub(super) rows: usize,
    /// Columns of all.
    pub(super) outer: usize,
    /// Vectors in a row.
    pub(super) vectors: usize,
}

/// Shared memory.
#[derive(CubeType)]
pub(super) struct Tiles {
    /// `[TILE, STRIDE]`
    x: Shared<[Four]>,
    /// `[TILE, STRIDE]`
    weight: Shared<[Four]>,
}

#[cube]
pub(super) fn tiles() -> Tiles {
    Tiles { x: Shared::new_slice(TILE * STRIDE), weight: Shared::new_slice(TILE * STRIDE) }
}

/// The unit's products in a tile of the result, `[EACH, EACH]`, each in four parts that are still to be
/// added.
#[cube]
pub(super) fn multiply<W: Size>(
    x: &[Four],
    weight: &[Vector<u32, W>],
    place: &Place,
    tiles: &mut Tiles,
    sums: &mut Array<Four>,
    #[comptime] kept: Kept,
) {
    #[unroll]
    for n in 0..EACH * EACH {
        sums[n] = Four::new(0.0f32);
    }
    // Each unit loads one vector of either side.
    let (line, part) = (UNIT_POS as usize / DEPTH, UNIT_POS as usize % DEPTH);
    let row = min(place.row + line, place.rows - 1) * place.vectors;
    let column = min(place.column + line, place.outer - 1) * place.vectors;
    for chunk in 0..place.vectors.div_ceil(DEPTH) {
        let at = chunk * DEPTH + part;
        let within = min(at, place.vectors - 1);
        // Beyond the rows' end the products are with 0.
        let mut of_x = Four::new(0.0f32);
        if at < place.vectors {
            of_x = x[row + at];
        }
        let of_weight = decoded::<W>(weight[column + within], kept);
        sync_cube();
        tiles.x[line * STRIDE + part] = of_x;
        tiles.weight[line * STRIDE + part] = of_weight;
        sync_cube();
        for part in 0..DEPTH {
            let mut columns = Array::<Four>::new(EACH);
            #[unroll]
            for k in 0..EACH {
                columns[k] = tiles.weight[(UNIT_POS_X as usize + k * SIDE) * STRIDE + part];
            }
            #[unroll]
            for n in 0..EACH {
                let row = tiles.x[(UNIT_POS_Y as usize + n * SIDE) * STRIDE + part];
                #[unroll]
                for k in 0..EACH {
                    sums[n * EACH + k] = fma(row, columns[k], sums[n * EACH + k]);
                }
            }
        }
    }
}

/// The sum of a vector's parts.
#[cube]
pub(super) fn added(sum: Four) -> f32 {
    (sum.extract(0usize) + sum.extract(1usize)) + (sum.extract(2usize) + sum.extract(3usize))
}

/// `x W^T` of many rows: each workgroup has a tile of the result, from tile `first` of the rows on.
#[cube(launch_unchecked)]
pub(super) fn many_rows<W: Size>(
    x: &[Four],
    weight: &[Vector<u32, W>],
    out: &mut [f32],
    first: u32,
    rows: u32,
    outer: u32,
    vectors: u32,
    #[comptime] kept: Kept,
) {
    let place = Place {
        row: (CUBE_POS_Y as usize + first as usize) * TILE,
        column: CUBE_POS_X as usize * TILE,
        rows: rows as usize,
        outer: outer as usize,
        vectors: vectors as usize,
    };
    let mut tiles = tiles();
    let mut sums = Array::<Four>::new(EACH * EACH);
    multiply::<W>(x, weight, &place, &mut tiles, &mut sums, kept);
    #[unroll]
    for n in 0..EACH {
        let row = place.row + UNIT_POS_Y as usize + n * SIDE;
        #[unroll]
        for k in 0..EACH {
            let column = place.column + UNIT_POS_X as usize + k * SIDE;
            if row < place.rows && column < place.outer {
                out[row * place.outer + column] = added(sums[n * EACH + k]);
            }
        }
    }
}

/// Units that share the products of one line.
pub(super) const ACROSS: usize = 32;

/// How often they are halved until one is left.
const HALVINGS: usize = ACROSS.ilog2() as usize;

/// Lines of a workgroup.
pub(super) const LINES: usize = 8;

/// Columns of the result in a line.
pub(super) const COLUMNS: usize = 4;

/// Most rows of [`few_rows()`].
pub(super) const FEW: usize = 8;

/// `x W^T` of a few rows: each line of a workgroup has some columns of the result, and reads their weights
/// once for all rows.
#[cube(launch_unchecked)]
pub(super) fn few_rows<W: Size>(
    x: &[Four],
    weight: &[Vector<u32, W>],
    out: &mut [f32],
    outer: u32,
    vectors: u32,
    #[comptime] rows: usize,
    #[comptime] kept: Kept,
) {
    let (outer, vectors) = (outer as usize, vectors as usize);
    let first = (CUBE_POS_X as usize * LINES + UNIT_POS_Y as usize) * COLUMNS;
    let mut sums = Array::<Four>::new(rows);
    #[unroll]
    for row in 0..rows {
        sums[row] = Four::new(0.0f32);
    }
    for step in 0..vectors.div_ceil(ACROSS) {
        let at = step * ACROSS + UNIT_POS_X as usize;
        if at < vectors {
            let mut weights = Array::<Four>::new(COLUMNS);
            #[unroll]
            for n in 0..COLUMNS {
                weights[n] = decoded::<W>(weight[min(first + n, outer - 1) * vectors + at], kept);
            }
            #[unroll]
            for row in 0..rows {
                let values = x[row * vectors + at];
                let mut products = Four::empty();
                #[unroll]
                for n in 0..COLUMNS {
                    products.insert(n, values.dot(weights[n]));
                }
                sums[row] += products;
            }
        }
    }
    let mut shared = Shared::<[Four]>::new_slice(ACROSS * LINES);
    #[unroll]
    for row in 0..rows {
        sync_cube();
        shared[UNIT_POS as usize] = sums[row];
        sync_cube();
        #[unroll]
        for step in 0..HALVINGS {
            let other = comptime!(ACROSS >> (step + 1));
            if (UNIT_POS_X as usize) < other {
                let more = shared[UNIT_POS as usize + other];
                shared[UNIT_POS as usize] += more;
            }
            sync_cube();
        }
        if UNIT_POS_X == 0u32 {
            let sum = shared[UNIT_POS as usize];
            #[unroll]
            for n in 0..COLUMNS {
                if first + n < outer {
                    out[row * outer + first + n] = sum.extract(n);
                }
            }
        }
    }
}

/// Rows of a weight by their numbers, `[ids, vectors]`; zeros for ids outside of the weight.
#[cube(launch_unchecked)]
pub(super) fn rows_of<W: Size>(
    ids: &[i32],
    weight: &[Vector<u32, W>],
    out: &mut [Four],
    first: u32,
    outer: u32,
    vectors: u32,
    count: u32,
    #[comptime] kept: Kept,
) {
    let at = CUBE_POS * (SIDE * SIDE) + UNIT_POS as usize;
    let vectors = vectors as usize;
    if at < count as usize {
        // A number below the first wraps around, and is as far outside as one beyond the last.
        let row = u32::cast_from(ids[at / vectors]) - first;
        let within = decoded::<W>(weight[min(row, outer - 1) as usize * vectors + at % vectors], kept);
        let mut values = Four::new(0.0f32);
        if row < outer {
            values = within;
        }
        out[at] = values;
    }
}
