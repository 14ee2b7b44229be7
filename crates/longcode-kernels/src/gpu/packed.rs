//! Launches of the kernels of packed weights and of rows.

use std::ops::Range;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::{CubeCount, CubeDim};

use super::pace::{Work, in_dispatches};
use super::words::{AT_ONCE, words};
use super::{head, product, rows, vector};
use crate::packed::{GpuKernels, HEAD_COLUMNS, Kept, head_parts};

/// Most workgroups in one dimension.
const MOST_GROUPS: usize = 65_535;

impl GpuKernels for CubeBackend {
    fn packed_product(x: FloatTensor<Self>, weight: IntTensor<Self>, kept: Kept) -> FloatTensor<Self> {
        let x = into_contiguous(x);
        let ([rows, inner], outer) = (x.meta.shape().dims(), weight.meta.shape()[0]);
        check_weight(&x, &weight, kept);
        let vectors = (inner / AT_ONCE) as u32;
        let out = empty_like(&x, [rows, outer], DType::F32);
        if rows == 0 {
            return out;
        }
        if rows <= product::FEW {
            let groups = outer.div_ceil(product::COLUMNS * product::LINES);
            let dim = CubeDim::new_2d(product::ACROSS as u32, product::LINES as u32);
            // SAFETY: the shapes are those that the kernel reads and writes.
            unsafe {
                product::few_rows::launch_unchecked(
                    &x.client.clone(),
                    CubeCount::Static(groups as u32, 1, 1),
                    dim,
                    words(kept),
                    x.into_buffer_arg(),
                    weight.into_buffer_arg(),
                    out.clone().into_buffer_arg(),
                    outer as u32,
                    vectors,
                    rows,
                    kept,
                );
            }
            return out;
        }
        let across = outer.div_ceil(product::TILE) as u32;
        in_row_tiles(&x, outer, |some| {
            // SAFETY: as above.
            unsafe {
                product::many_rows::launch_unchecked(
                    &x.client,
                    CubeCount::Static(across, some.len() as u32, 1),
                    side_by_side(),
                    words(kept),
                    x.clone().into_buffer_arg(),
                    weight.clone().into_buffer_arg(),
                    out.clone().into_buffer_arg(),
                    some.start as u32,
                    rows as u32,
                    outer as u32,
                    vectors,
                    kept,
                );
            }
        });
        out
    }

    fn packed_rows(
        ids: IntTensor<Self>,
        weight: IntTensor<Self>,
        kept: Kept,
        first: usize,
    ) -> FloatTensor<Self> {
        let ids = into_contiguous(ids);
        let (count, outer) = (ids.meta.shape()[0], weight.meta.shape()[0]);
        let inner = weight.meta.shape()[1] * kept.values_per_word();
        let out = empty_like(&ids, [count, inner], DType::F32);
        let vectors = count * inner / AT_ONCE;
        // SAFETY: the kernel looks only at rows that there are.
        unsafe {
            product::rows_of::launch_unchecked(
                &ids.client.clone(),
                groups(vectors.div_ceil(product::SIDE * product::SIDE)),
                side_by_side(),
                words(kept),
                ids.into_buffer_arg(),
                weight.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                first as u32,
                outer as u32,
                (inner / AT_ONCE) as u32,
                vectors as u32,
                kept,
            );
        }
        out
    }

    fn packed_head(
        x: FloatTensor<Self>,
        weight: IntTensor<Self>,
        targets: IntTensor<Self>,
        kept: Kept,
        first: usize,
    ) -> FloatTensor<Self> {
        let (x, targets) = (into_contiguous(x), into_contiguous(targets));
        let ([rows, inner], outer) = (x.meta.shape().dims(), weight.meta.shape()[0]);
        check_weight(&x, &weight, kept);
        assert_eq!(targets.meta.shape()[0], rows, "a target a row");
        let out = empty_like(&x, [rows, 4 * head_parts(outer)], DType::F32);
        let across = outer.div_ceil(HEAD_COLUMNS) as u32;
        in_row_tiles(&x, outer, |some| {
            // SAFETY: the shapes are those that the kernel reads and writes.
            unsafe {
                head::partial::launch_unchecked(
                    &x.client,
                    CubeCount::Static(across, some.len() as u32, 1),
                    side_by_side(),
                    words(kept),
                    x.clone().into_buffer_arg(),
                    weight.clone().into_buffer_arg(),
                    targets.clone().into_buffer_arg(),
                    out.clone().into_buffer_arg(),
                    some.start as u32,
                    rows as u32,
                    outer as u32,
                    (inner / AT_ONCE) as u32,
                    first as u32,
                    kept,
                );
            }
        });
        out
    }

    fn joined_head(parts: FloatTensor<Self>, targets: IntTensor<Self>) -> FloatTensor<Self> {
        let (parts, targets) = (into_contiguous(parts), into_contiguous(targets));
        let [rows, width] = parts.meta.shape().dims();
        let out = empty_like(&parts, [rows, 2], DType::F32);
        // SAFETY: as above.
        unsafe {
            head::joined::launch_unchecked(
                &parts.client.clone(),
                groups(rows),
                CubeDim::new_1d(head::TOGETHER as u32),
                parts.into_buffer_arg(),
                targets.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                rows as u32,
                (width / AT_ONCE) as u32,
            );
        }
        out
    }

    fn norm_rows(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        norm(x, weight.clone(), weight, epsilon, false)
    }

    fn norm_centred_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        norm(x, weight, bias, epsilon, true)
    }

    fn turned_rows(x: FloatTensor<Self>, tables: FloatTensor<Self>, table: usize) -> FloatTensor<Self> {
        let (x, tables) = (into_contiguous(x), into_contiguous(tables));
        let ([rows, width], [_, of_table, half]) = (x.meta.shape().dims(), tables.meta.shape().dims());
        assert_eq!(rows, of_table, "a row of the tables a row");
        let out = empty_like(&x, [rows, width], DType::F32);
        let at_once = vector(half);
        let pairs = rows * width / 2 / at_once;
        // SAFETY: as above.
        unsafe {
            rows::turn::launch_unchecked(
                &x.client.clone(),
                groups(pairs.div_ceil(rows::TURNING)),
                CubeDim::new_1d(rows::TURNING as u32),
                at_once,
                x.into_buffer_arg(),
                tables.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                pairs as u32,
                (width / (2 * half)) as u32,
                (half / at_once) as u32,
                rows as u32,
                (2 * table * rows * half / at_once) as u32,
            );
        }
        out
    }
}

fn norm(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, epsilon: f64, centred: bool) -> CubeTensor {
    let [x, weight, bias] = [x, weight, bias].map(into_contiguous);
    let [rows, width] = x.meta.shape().dims();
    assert!(weight.meta.shape()[0] == width && bias.meta.shape()[0] == width, "a weight a column");
    let out = empty_like(&x, [rows, width], DType::F32);
    let at_once = vector(width);
    // SAFETY: as above.
    unsafe {
        rows::norm::launch_unchecked(
            &x.client.clone(),
            groups(rows),
            CubeDim::new_1d(rows::UNITS as u32),
            at_once,
            x.into_buffer_arg(),
            weight.into_buffer_arg(),
            bias.into_buffer_arg(),
            out.clone().into_buffer_arg(),
            rows as u32,
            (width / at_once) as u32,
            width as u32,
            epsilon as f32,
            centred,
        );
    }
    out
}

/// Launches a kernel of `x W^T` for all tiles of rows of `x`, in as few dispatches as the time allows.
fn in_row_tiles(x: &CubeTensor, outer: usize, launch: impl Fn(Range<usize>)) {
    let [rows, inner] = x.meta.shape().dims();
    let each = (product::TILE * outer * inner) as f64;
    in_dispatches(&x.client, &x.device, Work::Products, rows.div_ceil(product::TILE), |_| each, launch);
}

/// The units of a tile.
fn side_by_side() -> CubeDim {
    CubeDim::new_2d(product::SIDE as u32, product::SIDE as u32)
}

/// At least this many workgroups; kernels let the ones beyond do nothing new.
fn groups(count: usize) -> CubeCount {
    let across = count.clamp(1, MOST_GROUPS);
    CubeCount::Static(across as u32, count.div_ceil(across).max(1) as u32, 1)
}

/// A tensor of a shape on the same device, not filled.
fn empty_like(x: &CubeTensor, shape: [usize; 2], dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), Shape::new(shape), dtype)
}

/// The kernels read whole groups of `x`'s rows, and of the weight's.
fn check_weight(x: &CubeTensor, weight: &CubeTensor, kept: Kept) {
    let (inner, words) = (x.meta.shape()[1], weight.meta.shape()[1]);
    assert!(
        inner.is_multiple_of(AT_ONCE) && words * kept.values_per_word() == inner && x.dtype == DType::F32,
        "rows of {inner} numbers meet a weight of {words} words a row"
    );
}
