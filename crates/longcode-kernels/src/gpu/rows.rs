//! Norms and rotations of rows.

use cubecl::prelude::*;

/// Units of [`norm()`], which share a row.
pub(super) const UNITS: usize = 64;

/// How often they are halved until one is left.
const HALVINGS: usize = UNITS.ilog2() as usize;

/// Norms a row a workgroup: with its mean taken out if `centred`, and only then with the bias.
#[cube(launch_unchecked)]
pub(super) fn norm<N: Size>(
    x: &[Vector<f32, N>],
    weight: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    rows: u32,
    vectors: u32,
    width: u32,
    epsilon: f32,
    #[comptime] centred: bool,
) {
    let row = min(CUBE_POS, rows as usize - 1);
    let vectors = vectors as usize;
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let ones = Vector::<f32, N>::new(1.0f32);
    let mut mean = Vector::<f32, N>::new(0.0f32);
    if comptime!(centred) {
        let mut sum = 0.0f32;
        for step in 0..vectors.div_ceil(UNITS) {
            let at = step * UNITS + UNIT_POS as usize;
            if at < vectors {
                sum += x[row * vectors + at].dot(ones);
            }
        }
        mean = Vector::new(of_all(sum, &mut shared) / f32::cast_from(width));
    }
    let mut squares = 0.0f32;
    for step in 0..vectors.div_ceil(UNITS) {
        let at = step * UNITS + UNIT_POS as usize;
        if at < vectors {
            let value = x[row * vectors + at] - mean;
            squares += value.dot(value);
        }
    }
    let size = (of_all(squares, &mut shared) / f32::cast_from(width) + epsilon).sqrt();
    let scale = Vector::<f32, N>::new(1.0f32 / size);
    for step in 0..vectors.div_ceil(UNITS) {
        let at = step * UNITS + UNIT_POS as usize;
        if at < vectors {
            let mut value = (x[row * vectors + at] - mean) * scale * weight[at];
            if comptime!(centred) {
                value += bias[at];
            }
            out[row * vectors + at] = value;
        }
    }
}

/// The sum of what each unit has.
#[cube]
fn of_all(own: f32, shared: &mut Shared<[f32]>) -> f32 {
    sync_cube();
    shared[UNIT_POS as usize] = own;
    sync_cube();
    #[unroll]
    for step in 0..HALVINGS {
        let other = comptime!(UNITS >> (step + 1));
        if (UNIT_POS as usize) < other {
            let more = shared[UNIT_POS as usize + other];
            shared[UNIT_POS as usize] += more;
        }
        sync_cube();
    }
    shared[0]
}

/// Units of a workgroup of [`turn()`].
pub(super) const TURNING: usize = 256;

/// Rotates the heads of rows, one vector of each half a unit. `half` are the vectors in half a head, `pairs`
/// those in all halves, `table` is where the vectors of cos start.
#[cube(launch_unchecked)]
pub(super) fn turn<N: Size>(
    x: &[Vector<f32, N>],
    tables: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    pairs: u32,
    heads: u32,
    half: u32,
    rows: u32,
    table: u32,
) {
    let at = CUBE_POS * TURNING + UNIT_POS as usize;
    let half = half as usize;
    if at < pairs as usize {
        let (head, part) = (at / half, at % half);
        let of_row = table as usize + head / heads as usize * half + part;
        let (cos, sin) = (tables[of_row], tables[of_row + rows as usize * half]);
        let low = head * 2 * half + part;
        let (a, b) = (x[low], x[low + half]);
        out[low] = a * cos - b * sin;
        out[low + half] = b * cos + a * sin;
    }
}
