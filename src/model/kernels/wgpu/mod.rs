//! Attention's kernel for CubeCL's backends: wgpu here.
//!
//! Five tensors come in and one goes out, each bound whole: each has to fit the adapter's largest storage
//! binding, which is also the largest tensor that CubeCL allocates there. At 128 MiB, the least that
//! WebGPU promises, and SmolLM2-135M's width of 576 that is 58,254 tokens.

mod kernel;
mod softmax;
mod tiles;

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::{CubeCount, CubeDim};

use super::{AttentionKernel, Heads};
use tiles::{COLUMNS, Sizes};

/// Bytes of f32.
const F32: usize = size_of::<f32>();

impl AttentionKernel for CubeBackend {
    fn relative_attention(
        near_query: CubeTensor,
        near_key: CubeTensor,
        far_query: CubeTensor,
        far_key: CubeTensor,
        value: CubeTensor,
        heads: Heads,
        window: Option<usize>,
        first: usize,
    ) -> CubeTensor {
        let [near_query, near_key, far_query, far_key, value] =
            [near_query, near_key, far_query, far_key, value].map(into_contiguous);
        let [tokens, _] = near_query.meta.shape().dims();
        let covers = |tensor: &CubeTensor, rows: usize, heads_there: usize| {
            let [there, width] = tensor.meta.shape().dims();
            there >= rows && width == heads_there * heads.dim && tensor.dtype == near_query.dtype
        };
        assert!(
            [&near_query, &far_query].into_iter().all(|query| covers(query, tokens, heads.queries))
                && [&near_key, &far_key, &value].into_iter().all(|key| covers(
                    key,
                    first + tokens,
                    heads.keys
                )),
            "the tensors have the shapes and the type that the kernel reads"
        );
        // A window that no distance reaches is no window.
        let window = window.filter(|&window| window < first + tokens);
        let (client, dtype) = (near_query.client.clone(), near_query.dtype);
        let shape = Shape::new([tokens, heads.queries * heads.dim]);
        let out = empty_device_contiguous_dtype(client.clone(), near_query.device.clone(), shape, dtype);
        let vector = vector(heads.dim);
        let rows = tokens * heads.queries / heads.keys;
        let memory = client.properties().hardware.max_shared_memory_size;
        let sizes = sizes(rows, heads, window.is_some(), memory);
        let blocks = CubeCount::Static(rows.div_ceil(sizes.rows()) as u32, heads.keys as u32, 1);
        // SAFETY: the assertion keeps every access inside the tensors.
        unsafe {
            kernel::attend::launch_unchecked(
                &client,
                blocks,
                CubeDim::new_2d(COLUMNS as u32, sizes.lines as u32),
                vector,
                near_query.into_buffer_arg(),
                near_key.into_buffer_arg(),
                far_query.into_buffer_arg(),
                far_key.into_buffer_arg(),
                value.into_buffer_arg(),
                out.clone().into_buffer_arg(),
                rows as u32,
                first as u32,
                window.unwrap_or_default() as u32,
                sizes,
                dtype_to_storage_type(dtype),
            );
        }
        out
    }
}

/// Dimensions of a head that are loaded at once.
fn vector(dim: usize) -> usize {
    [4, 2].into_iter().find(|vector| dim.is_multiple_of(*vector)).unwrap_or(1)
}

/// Sizes for `rows` query rows of a key head, on an adapter with `memory` bytes of shared memory.
fn sizes(rows: usize, heads: Heads, windowed: bool, memory: usize) -> Sizes {
    let with = |lines, rows_per_unit| Sizes {
        vectors: heads.dim / vector(heads.dim),
        group: heads.queries / heads.keys,
        lines,
        rows_per_unit,
        windowed,
    };
    // Few rows, as in decoding, would leave most of a block empty.
    let small = [with(8, 1), with(8, 4)].into_iter().find(|sizes| rows <= sizes.rows());
    let large = with(16, 4);
    let fits = large.shared_bytes(vector(heads.dim) * F32) <= memory;
    small.unwrap_or(if fits { large } else { with(8, 4) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least shared memory that WebGPU promises.
    const LEAST: usize = 16 << 10;

    #[test]
    fn every_block_fits_the_shared_memory() {
        for dim in (16..=128).step_by(2) {
            for rows in [1, 8, 9, 32, 33, 10_000] {
                for memory in [LEAST, 32 << 10] {
                    let heads = Heads { queries: 9, keys: 3, dim };
                    let sizes = sizes(rows, heads, true, memory);
                    assert!(sizes.shared_bytes(vector(dim) * F32) <= memory, "{sizes:?}");
                }
            }
        }
    }

    #[test]
    fn more_memory_makes_larger_blocks() {
        let heads = Heads { queries: 9, keys: 3, dim: 64 };
        assert_eq!(sizes(10_000, heads, false, LEAST).rows(), 32);
        assert_eq!(sizes(10_000, heads, false, 2 * LEAST).rows(), 64);
    }
}
