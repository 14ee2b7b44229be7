//! The network's own kernels, as burn backend extensions, by where they run: [`cpu`] and [`gpu`].
//!
//! Each does in one pass over memory what tensor operations do in many; the tensor-op form of each is next to
//! its use. Attention has a kernel on every backend. On the CPU those of [`DifferentiableKernels`] have
//! gradients and those of [`InferenceKernels`] have none: [`is_cpu`] and [`is_cpu_without_gradients`] choose.
//! On GPUs [`GpuKernels`] have none: [`is_gpu_without_gradients`] chooses.
//!
//! ```
//! use longcode_kernels::{Sight, Turn};
//!
//! // Three queries that see everything up to themselves, by one rotation.
//! let turn = Some(Turn { query: 0, key: 0 });
//! let sight = Sight::new(0..3, 3).with_zone(vec![0; 3], 0, turn);
//! assert_eq!(sight.keys(0, 2), 0..3);
//! // Within a window of 2 tokens the last one no longer sees the first.
//! assert_eq!(sight.within(2).keys(1, 2), 1..3);
//! ```
//!
//! [`Sight`], [`Precision`], [`stored`] and the traits of kernels are the stable face of this crate.

pub mod blocks;
pub mod chosen;
mod cpu;
#[cfg(feature = "gpu")]
mod gpu;
pub mod packed;
pub mod precision;
pub mod sight;
pub mod stored;

pub use chosen::{Chosen, KeyLists};
use cpu::vectorised;
pub use cpu::{
    Bf16Instructions, DifferentiableKernels, ExpertGate, InferenceKernels, Measured, Operand, StoredExpert,
};
pub use packed::{GpuKernels, Kept};
pub use precision::Precision;
pub use sight::{Sight, Stretch, Turn};

use std::ops::Range;
use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};
use burn::tensor::Device;

/// Most rotations that an attention kernel takes, of queries and of keys.
pub const MAX_TURNS: usize = 3;

/// Shape of an attention, apart from its token count.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; divides the query heads.
    pub keys: usize,
    /// Dimensions of a head.
    pub dim: usize,
}

/// What an attention does with its logits besides the softmax.
#[derive(Debug, Clone, Default)]
pub struct Softmax {
    /// `c`: each logit `x` becomes `c tanh(x / c)` (Gemma 2).
    pub cap: Option<f32>,
    /// A logit for each query head that takes part in the sum of each row's softmax and has no value: what a head
    /// gives it, it gives to no key (gpt-oss).
    pub sinks: Option<Arc<[f32]>>,
}

/// The rows that go through one expert of a mixture.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// Which expert.
    pub expert: usize,
    /// The rows, in order, each once.
    pub rows: Vec<usize>,
    /// For each of the rows, the factor on the expert's result.
    pub weights: Vec<f32>,
}

/// Attention on the CPU backend and on wgpu.
#[backend_extension(Flex, Cube: cfg(feature = "gpu"), Fusion: cfg(feature = "gpu"))]
pub trait AttentionKernel: Backend {
    /// Relative attention of query rows to the keys that they see.
    ///
    /// The queries are `[rows, heads * dim]` by up to [`MAX_TURNS`] rotations, including the logit scale;
    /// keys, by as many, and `value` are `[keys, kv_heads * dim]`, without the positions `lost`, and may have
    /// more rows than are seen. Tensors that `sight` does not name are not read. Query head `n` reads key
    /// head `n * kv_heads / heads`. `softmax` is applied to the logits. Returns `[rows, heads * dim]`.
    ///
    /// The two products are computed in `precision` on the CPU, and in the tensors' own on wgpu.
    #[allow(clippy::too_many_arguments, reason = "a backend extension takes tensors one by one")]
    #[fusion(dtype = query_0, shape = query_0)]
    fn relative_attention(
        query_0: FloatTensor<Self>,
        query_1: FloatTensor<Self>,
        query_2: FloatTensor<Self>,
        key_0: FloatTensor<Self>,
        key_1: FloatTensor<Self>,
        key_2: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: Heads,
        sight: Arc<Sight>,
        softmax: Softmax,
        lost: Range<usize>,
        precision: Precision,
    ) -> FloatTensor<Self>;
}

/// Whether tensors on this device belong to the CPU backend, with or without gradients: they can use
/// [`DifferentiableKernels`].
pub fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// Whether tensors on this device belong to the CPU backend and have no gradients: they can use
/// [`InferenceKernels`] too.
pub fn is_cpu_without_gradients(device: &Device) -> bool {
    is_cpu(device) && !device.is_autodiff()
}

/// Whether tensors on this device belong to a GPU and have no gradients: they can use [`GpuKernels`].
pub fn is_gpu_without_gradients(device: &Device) -> bool {
    !device.is_autodiff() && !is_cpu(device)
}

/// Bytes of the largest tensor that a device can bind to a kernel; none on the CPU, which binds nothing.
pub fn largest_binding(device: &Device) -> Option<usize> {
    #[cfg(feature = "gpu")]
    return gpu::client(device).map(|client| client.properties().memory.max_page_size as usize);
    #[cfg(not(feature = "gpu"))]
    {
        let _ = device;
        None
    }
}

/// What compiles the kernels of a GPU, as CubeCL names it: `wgpu<wgsl>`.
#[cfg(feature = "gpu")]
pub fn compiler_of(device: &Device) -> String {
    gpu::client(device).map_or_else(String::new, |client| client.name().into())
}

/// Seconds of the longest dispatch of a kernel that was measured on a device; none if there was none, as on
/// the CPU.
pub fn longest_dispatch(device: &Device) -> Option<f64> {
    #[cfg(feature = "gpu")]
    return gpu::longest_dispatch(device);
    #[cfg(not(feature = "gpu"))]
    {
        let _ = device;
        None
    }
}
