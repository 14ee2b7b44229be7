//! Attention's kernel for CubeCL's backends: wgpu here.
//!
//! Queries and keys by each rotation, values and the plan come in and one tensor goes out, each bound whole:
//! each has to fit the adapter's largest storage binding, which is also the largest tensor that CubeCL
//! allocates there. At 128 MiB, the minimum in WebGPU, and SmolLM2-135M's width of 576 that is 58,254 tokens.
//! Unused rotations take no binding; with the most that any kind has (`dual_chunk`: three of queries, one of
//! keys) there are eight bindings, including the kernel's own, which is what WebGPU guarantees.

mod kernel;
mod plan;
mod softmax;
mod tiles;

use std::ops::Range;
use std::sync::Arc;

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::{BufferArg, CubeCount, CubeDim, CubeElement};

use super::{AttentionKernel, Heads, MAX_TURNS, Softmax};
use crate::Precision;
use crate::sight::{Sight, Turn};
use tiles::{COLUMNS, Sizes};

/// Bytes of f32.
const F32: usize = size_of::<f32>();

impl AttentionKernel for CubeBackend {
    fn relative_attention(
        query_0: CubeTensor,
        query_1: CubeTensor,
        query_2: CubeTensor,
        key_0: CubeTensor,
        key_1: CubeTensor,
        key_2: CubeTensor,
        value: CubeTensor,
        heads: Heads,
        sight: Arc<Sight>,
        softmax: Softmax,
        lost: Range<usize>,
        _precision: Precision,
    ) -> CubeTensor {
        let turns: Vec<Turn> = (0..sight.zones()).filter_map(|zone| sight.turn(zone)).collect();
        let used = |tensors: [CubeTensor; MAX_TURNS], of: fn(&Turn) -> usize| {
            let count = turns.iter().map(of).max().unwrap_or(0) + 1;
            tensors.into_iter().take(count).map(into_contiguous).collect::<Vec<_>>()
        };
        let queries = used([query_0, query_1, query_2], |turn| turn.query);
        let keys = used([key_0, key_1, key_2], |turn| turn.key);
        let value = into_contiguous(value);
        let (client, dtype, device) = (value.client.clone(), value.dtype, value.device.clone());
        let tokens = sight.rows();
        let covers = |tensor: &CubeTensor, rows: usize, heads_there: usize| {
            let [there, width] = tensor.meta.shape().dims();
            there >= rows && width == heads_there * heads.dim && tensor.dtype == dtype
        };
        let kept = sight.first() + tokens - lost.len();
        assert!(
            queries.iter().all(|query| covers(query, tokens, heads.queries))
                && keys.iter().chain([&value]).all(|key| covers(key, kept, heads.keys)),
            "the tensors have the shapes and the type that the kernel reads"
        );
        let shape = Shape::new([tokens, heads.queries * heads.dim]);
        let out = empty_device_contiguous_dtype(client.clone(), device, shape, dtype);
        let rows = tokens * heads.queries / heads.keys;
        let memory = client.properties().hardware.max_shared_memory_size;
        let sizes = Sizes { sinks: softmax.sinks.is_some(), ..sizes(rows, heads, memory) };
        let mut plan = plan::plan(&sight, &lost, sizes.rows(), sizes.group, heads.keys);
        let is_chosen = sight.chosen_zone().is_some();
        let blocks_of_head = rows.div_ceil(sizes.rows());
        let starts = blocks_of_head * plan::heads_of_plan(&sight, heads.keys);
        let sinks = plan.len();
        plan.extend(softmax.sinks.iter().flat_map(|sinks| sinks.iter().map(|sink| sink.to_bits())));
        let plan_buffer = client.create_from_slice(u32::as_bytes(&plan));
        let buffers =
            |tensors: Vec<CubeTensor>| tensors.into_iter().map(CubeTensor::into_buffer_arg).collect();
        let blocks = CubeCount::Static(blocks_of_head as u32, heads.keys as u32, 1);
        // SAFETY: the assertion and the plan keep every access inside the tensors.
        unsafe {
            kernel::attend::launch_unchecked(
                &client,
                blocks,
                CubeDim::new_2d(COLUMNS as u32, sizes.lines as u32),
                vector(heads.dim),
                buffers(queries),
                buffers(keys),
                value.into_buffer_arg(),
                BufferArg::from_raw_parts(plan_buffer, plan.len()),
                out.clone().into_buffer_arg(),
                rows as u32,
                sight.zones() as u32,
                if is_chosen { blocks_of_head as u32 } else { 0 },
                starts as u32,
                sinks as u32,
                softmax.cap.unwrap_or(0.0),
                sizes,
                is_chosen,
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
fn sizes(rows: usize, heads: Heads, memory: usize) -> Sizes {
    let sizes_with = |lines, rows_per_unit| Sizes {
        vectors: heads.dim / vector(heads.dim),
        group: heads.queries / heads.keys,
        lines,
        rows_per_unit,
        sinks: false,
    };
    // Few rows, as when decoding, would leave most of a block empty.
    let small = [sizes_with(8, 1), sizes_with(8, 4)].into_iter().find(|sizes| rows <= sizes.rows());
    let large = sizes_with(16, 4);
    let fits = large.shared_bytes(vector(heads.dim) * F32) <= memory;
    small.unwrap_or(if fits { large } else { sizes_with(8, 4) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least shared memory that WebGPU guarantees.
    const LEAST: usize = 16 << 10;

    #[test]
    fn every_block_fits_the_shared_memory() {
        for dim in (16..=128).step_by(2) {
            for rows in [1, 8, 9, 32, 33, 10_000] {
                for memory in [LEAST, 32 << 10] {
                    let heads = Heads { queries: 9, keys: 3, dim };
                    let sizes = sizes(rows, heads, memory);
                    assert!(sizes.shared_bytes(vector(dim) * F32) <= memory, "{sizes:?}");
                }
            }
        }
    }

    #[test]
    fn more_memory_makes_larger_blocks() {
        let heads = Heads { queries: 9, keys: 3, dim: 64 };
        assert_eq!(sizes(10_000, heads, LEAST).rows(), 32);
        assert_eq!(sizes(10_000, heads, 2 * LEAST).rows(), 64);
    }
}
