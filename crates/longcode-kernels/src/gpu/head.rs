//! Losses from the head's logits, which are never stored: each unit keeps, of its own columns, the largest
//! logit, the sum of exp relative to it, the first column of that largest, and the target's logit.

use cubecl::prelude::*;

use super::product::{EACH, Place, SIDE, TILE, added, multiply, tiles};
use super::softmax::MASKED;
use super::words::Four;
use crate::packed::{HEAD_COLUMNS, HEAD_UNITS, Kept};

/// Partial results of every row: a workgroup has [`TILE`] rows, from tile `first` of the rows on, and
/// [`HEAD_COLUMNS`] columns; `first_id` is the id of column 0.
#[cube(launch_unchecked)]
pub(super) fn partial<W: Size>(
    x: &[Four],
    weight: &[Vector<u32, W>],
    targets: &[i32],
    out: &mut [Four],
    first: u32,
    rows: u32,
    outer: u32,
    vectors: u32,
    first_id: u32,
    #[comptime] kept: Kept,
) {
    let (rows, outer) = (rows as usize, outer as usize);
    let row = (CUBE_POS_Y as usize + first as usize) * TILE;
    let column = CUBE_POS_X as usize * HEAD_COLUMNS;
    let mut shared = tiles();
    let mut sums = Array::<Four>::new(EACH * EACH);
    let mut found = Array::<Four>::new(EACH);
    let mut wanted = Array::<u32>::new(EACH);
    #[unroll]
    for n in 0..EACH {
        found[n] = nothing();
        let own = min(row + UNIT_POS_Y as usize + n * SIDE, rows - 1);
        wanted[n] = u32::cast_from(targets[own]) - first_id;
    }
    for tile in 0..min(HEAD_COLUMNS, outer - column).div_ceil(TILE) {
        let place = Place { row, column: column + tile * TILE, rows, outer, vectors: vectors as usize };
        multiply::<W>(x, weight, &place, &mut shared, &mut sums, kept);
        #[unroll]
        for n in 0..EACH {
            #[unroll]
            for k in 0..EACH {
                let own = place.column + UNIT_POS_X as usize + k * SIDE;
                if own < outer {
                    let logit = added(sums[n * EACH + k]);
                    let mut one = Four::empty();
                    one.insert(0usize, logit);
                    one.insert(1usize, 1.0f32);
                    one.insert(2usize, f32::cast_from(own as u32 + first_id));
                    one.insert(3usize, select(own as u32 == wanted[n], logit, MASKED));
                    found[n] = both(found[n], one);
                }
            }
        }
    }
    #[unroll]
    for n in 0..EACH {
        let own = row + UNIT_POS_Y as usize + n * SIDE;
        if own < rows {
            let parts = CUBE_COUNT_X as usize * HEAD_UNITS;
            out[own * parts + CUBE_POS_X as usize * HEAD_UNITS + UNIT_POS_X as usize] = found[n];
        }
    }
}

/// The result of no column.
#[cube]
fn nothing() -> Four {
    let mut nothing = Four::new(0.0f32);
    nothing.insert(0usize, MASKED);
    nothing.insert(3usize, MASKED);
    nothing
}

/// The result of the columns of two.
#[cube]
fn both(one: Four, other: Four) -> Four {
    let (left, right) = (one.extract(0usize), other.extract(0usize));
    let largest = max(left, right);
    let mut both = Four::empty();
    both.insert(0usize, largest);
    both.insert(
        1usize,
        one.extract(1usize) * (left - largest).exp() + other.extract(1usize) * (right - largest).exp(),
    );
    let earlier = left > right || (left == right && one.extract(2usize) < other.extract(2usize));
    both.insert(2usize, select(earlier, one.extract(2usize), other.extract(2usize)));
    both.insert(3usize, max(one.extract(3usize), other.extract(3usize)));
    both
}

/// Units of [`joined()`].
pub(super) const TOGETHER: usize = 32;

/// The results of all columns, one row a workgroup: the negative log-likelihood of the target, and whether it
/// is the first of the largest.
#[cube(launch_unchecked)]
pub(super) fn joined(parts: &[Four], targets: &[i32], out: &mut [f32], rows: u32, of_row: u32) {
    let row = min(CUBE_POS, rows as usize - 1);
    let of_row = of_row as usize;
    let mut found = nothing();
    for step in 0..of_row.div_ceil(TOGETHER) {
        let at = step * TOGETHER + UNIT_POS as usize;
        if at < of_row {
            found = both(found, parts[row * of_row + at]);
        }
    }
    let mut shared = Shared::<[Four]>::new_slice(TOGETHER);
    shared[UNIT_POS as usize] = found;
    sync_cube();
    if UNIT_POS == 0u32 {
        for unit in 1..TOGETHER {
            found = both(found, shared[unit]);
        }
        let nll = found.extract(1usize).ln() + (found.extract(0usize) - found.extract(3usize));
        out[2 * row] = nll;
        out[2 * row + 1] =
            select(u32::cast_from(found.extract(2usize)) == u32::cast_from(targets[row]), 1.0f32, 0.0f32);
    }
}
