//! Attention's kernel for CubeCL's backends: wgpu here.
//!
//! Queries and keys by each rotation, values and the plan come in and one tensor goes out, each bound whole:
//! each has to fit the adapter's largest storage binding, which is also the largest tensor that CubeCL
//! allocates there. At 128 MiB, the minimum in WebGPU, and SmolLM2-135M's width of 576 that is 58,254 tokens.
//! Unused rotations take no binding; with the most that any kind has (`dual_chunk`: three of queries, one of
//! keys) there are eight bindings, including the kernel's own, which is what WebGPU guarantees.

mod head;
mod kernel;
mod pace;
mod packed;
mod plan;
mod product;
mod rows;
mod softmax;
mod split;
mod tiles;
mod words;

use std::ops::Range;
use std::sync::Arc;

use burn::backend::DispatchDevice;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Device, Shape};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeDevice};
use cubecl::client::Client;
use cubecl::prelude::{BufferArg, CubeCount, CubeDim};

use super::{AttentionKernel, Heads, MAX_TURNS, Softmax};
use crate::Precision;
use crate::sight::{Sight, Turn};
use pace::{Work, in_dispatches};
use plan::Planned;
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
        let dtype = value.dtype;
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
        let attention = Attention { queries, keys, value, heads, sight, softmax, lost };
        attention.compute()
    }
}

/// An attention whose tensors are checked.
struct Attention {
    queries: Vec<CubeTensor>,
    keys: Vec<CubeTensor>,
    value: CubeTensor,
    heads: Heads,
    sight: Arc<Sight>,
    softmax: Softmax,
    lost: Range<usize>,
}

impl Attention {
    fn compute(self) -> CubeTensor {
        let CubeTensor { client, device, dtype, .. } = self.value.clone();
        let heads = self.heads;
        let tokens = self.sight.rows();
        let rows = tokens * heads.queries / heads.keys;
        let memory = client.properties().hardware.max_shared_memory_size;
        let sizes = Sizes { sinks: self.softmax.sinks.is_some(), ..sizes(rows, heads, memory) };
        let plan = plan::on_device(
            &client,
            &device,
            &self.sight,
            &self.lost,
            self.softmax.sinks.as_ref(),
            sizes,
            heads,
        );
        let blocks = rows.div_ceil(sizes.rows());
        let width = heads.queries * heads.dim;
        let shares = match dtype {
            // A sink counts once in a row.
            DType::F32 if !sizes.sinks => split::shares(blocks * heads.keys, self.sight.first() + tokens),
            _ => 1,
        };
        let parts = if shares == 1 { tokens } else { split::rows_of_parts(shares, tokens, heads) };
        let out =
            empty_device_contiguous_dtype(client.clone(), device.clone(), Shape::new([parts, width]), dtype);
        let products = |block: usize| {
            // The last block is taken first.
            let keys = plan.keys[blocks - 1 - block];
            (2 * sizes.rows() * heads.dim * heads.keys) as f64 * keys as f64
        };
        in_dispatches(&client, &device, Work::Attention, blocks, products, |some| {
            let count = CubeCount::Static(some.len() as u32, heads.keys as u32, shares as u32);
            self.launch(count, some.start, rows, sizes, &plan, &out, dtype);
        });
        if shares == 1 { out } else { split::joined(out, shares, tokens, heads) }
    }

    /// Launches the kernel for some blocks.
    #[allow(clippy::too_many_arguments, reason = "what a launch needs")]
    fn launch(
        &self,
        count: CubeCount,
        first: usize,
        rows: usize,
        sizes: Sizes,
        plan: &Planned,
        out: &CubeTensor,
        dtype: DType,
    ) {
        let buffers =
            |tensors: &[CubeTensor]| tensors.iter().cloned().map(CubeTensor::into_buffer_arg).collect();
        let (is_chosen, blocks) = (self.sight.chosen_zone().is_some(), rows.div_ceil(sizes.rows()));
        // SAFETY: the tensors' check and the plan keep every access inside the tensors.
        unsafe {
            kernel::attend::launch_unchecked(
                &self.value.client,
                count,
                CubeDim::new_2d(COLUMNS as u32, sizes.lines as u32),
                vector(self.heads.dim),
                buffers(&self.queries),
                buffers(&self.keys),
                self.value.clone().into_buffer_arg(),
                BufferArg::from_raw_parts(plan.buffer.clone(), plan.numbers),
                out.clone().into_buffer_arg(),
                first as u32,
                rows as u32,
                self.sight.zones() as u32,
                if is_chosen { blocks as u32 } else { 0 },
                (blocks * plan::heads_of_plan(&self.sight, self.heads.keys)) as u32,
                plan.sinks as u32,
                self.softmax.cap.unwrap_or(0.0),
                sizes,
                is_chosen,
                dtype_to_storage_type(dtype),
            );
        }
    }
}

/// CubeCL's handle of a device; none for the CPU.
fn cube_device(device: &Device) -> Option<CubeDevice> {
    let of = |device: &DispatchDevice| match device {
        DispatchDevice::Cube(device) => Some(device.clone()),
        _ => None,
    };
    match device.as_dispatch() {
        DispatchDevice::Autodiff(device) => of(&device.clone().inner()),
        device => of(device),
    }
}

/// What launches kernels on a device; none for the CPU.
pub(super) fn client(device: &Device) -> Option<Client> {
    cube_device(device).map(|device| device.client())
}

/// Seconds of the longest dispatch that was measured on a device.
pub(super) fn longest_dispatch(device: &Device) -> Option<f64> {
    pace::longest(&cube_device(device)?)
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
