//! Attention of few rows, as when decoding: several workgroups share the keys of a block, each with every so
//! many-th tile, and what they found is joined by its maxima and sums.

use burn::tensor::{DType, Shape};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::vector;
use crate::Heads;

/// Keys that a workgroup has at least.
const KEYS: usize = 128;

/// Workgroups that keep a large GPU busy.
const GROUPS: usize = 512;

/// Most workgroups that share the keys of a block.
const MOST: usize = 64;

/// Into how many shares the keys are split where there are this many workgroups without.
pub(super) fn shares(groups: usize, keys: usize) -> usize {
    (GROUPS / groups.max(1)).min(keys / KEYS).clamp(1, MOST)
}

/// Rows of the tensor that holds the parts of all shares and, after them, a vector of what is known of each
/// row of each.
pub(super) fn rows_of_parts(shares: usize, tokens: usize, heads: Heads) -> usize {
    shares * tokens + (shares * tokens * vector(heads.dim)).div_ceil(heads.dim)
}

/// Joins the shares of `[tokens, heads * dim]`.
pub(super) fn joined(parts: CubeTensor, shares: usize, tokens: usize, heads: Heads) -> CubeTensor {
    let shape = Shape::new([tokens, heads.queries * heads.dim]);
    let out = empty_device_contiguous_dtype(parts.client.clone(), parts.device.clone(), shape, DType::F32);
    let at_once = vector(heads.dim);
    let vectors = tokens * heads.queries * heads.dim / at_once;
    // SAFETY: the tensor has the parts and what is known of them, and the kernel writes each vector once.
    unsafe {
        join::launch_unchecked(
            &parts.client.clone(),
            CubeCount::Static(vectors.div_ceil(UNITS) as u32, 1, 1),
            CubeDim::new_1d(UNITS as u32),
            at_once,
            parts.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            shares as u32,
            (heads.dim / at_once) as u32,
            vectors as u32,
        );
    }
    out
}

/// Units of a workgroup of [`join()`].
const UNITS: usize = 64;

/// One vector of the result a unit: the shares' vectors, each times the share of the row's weights.
#[cube(launch_unchecked)]
pub(super) fn join<N: Size>(
    parts: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    shares: u32,
    of_head: u32,
    vectors: u32,
) {
    let at = CUBE_POS_X as usize * UNITS + UNIT_POS as usize;
    let (shares, vectors) = (shares as usize, vectors as usize);
    if at < vectors {
        let (row, rows) = (at / of_head as usize, vectors / of_head as usize);
        let known = shares * vectors + row;
        let mut largest = parts[known].extract(0usize);
        for share in 1..shares {
            largest = max(largest, parts[known + share * rows].extract(0usize));
        }
        let mut total = 0.0f32;
        let mut mixed = Vector::<f32, N>::new(0.0f32);
        for share in 0..shares {
            let of_share = parts[known + share * rows];
            let weight = of_share.extract(1usize) * (of_share.extract(0usize) - largest).exp();
            // A share without keys divided by 0.
            if weight > 0.0f32 {
                total += weight;
                mixed += parts[share * vectors + at] * Vector::new(weight);
            }
        }
        out[at] = mixed / Vector::new(total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_split_where_workgroups_are_few() {
        assert_eq!(shares(4, 16_384), 64);
        assert_eq!(shares(4, 1024), 8);
        assert_eq!(shares(4, 127), 1);
        assert_eq!(shares(1024, 16_384), 1);
    }
}
