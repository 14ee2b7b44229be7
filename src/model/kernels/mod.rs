//! The forward pass's own kernels for the CPU backend, as a burn backend extension.
//!
//! Each does in one pass over memory what tensor operations do in many; the tensor-op form of each
//! stands beside its use and is what GPUs and gradients go through. [`on_cpu`] chooses.

mod attention;
mod elementwise;
mod simd;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Flex, backend_extension};
use burn::tensor::{Device, Shape, TensorData};

/// Shape of an attention beside its token count.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; divides the query heads.
    pub keys: usize,
    /// Dimensions of a head.
    pub dim: usize,
}

/// Kernels of the CPU backend. All tensors are f32.
#[backend_extension(Flex)]
pub trait CpuKernels: Backend {
    /// Causal relative attention.
    ///
    /// `query [tokens, heads * dim]`, `key` and `value [tokens, kv_heads * dim]`, not rotated; `tables
    /// [4 or 8, tokens, dim / 2]`: cos and sin of near queries, near keys, and far queries, far keys
    /// where there is a window. Returns `[tokens, heads * dim]`.
    fn relative_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        heads: Heads,
        window: Option<usize>,
    ) -> FloatTensor<Self>;

    /// `silu(gate) * up`, both `[tokens, inner]`.
    fn silu_product(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Root mean square norm of `x [tokens, hidden]` by `weight [hidden]`.
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;

    /// For each row of `logits [tokens, vocab]`: the negative log-likelihood of its target, and 1 where
    /// the target is the first of the largest logits, else 0. Returns `[tokens, 2]`.
    fn target_scores(logits: FloatTensor<Self>, targets: IntTensor<Self>) -> FloatTensor<Self>;
}

/// Whether tensors of this device go through [`CpuKernels`]: the CPU backend, without gradients.
pub fn on_cpu(device: &Device) -> bool {
    *device == Device::flex() && !device.is_autodiff()
}

impl CpuKernels for Flex {
    fn relative_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        heads: Heads,
        window: Option<usize>,
    ) -> FloatTensor<Self> {
        let shape = query.layout().shape().clone();
        let [query, key, value, tables] = [query, key, value, tables].map(|tensor| tensor.to_contiguous());
        let inputs = attention::Inputs {
            query: query.storage(),
            key: key.storage(),
            value: value.storage(),
            tables: tables.storage(),
            heads,
            window,
        };
        tensor(attention::attend(&inputs), shape)
    }

    fn silu_product(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = gate.layout().shape().clone();
        let [gate, up] = [gate, up].map(|tensor| tensor.to_contiguous());
        tensor(elementwise::silu_product(gate.storage(), up.storage()), shape)
    }

    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let shape = x.layout().shape().clone();
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        tensor(elementwise::rms_norm(x.storage(), weight.storage(), epsilon as f32), shape)
    }

    fn target_scores(logits: FloatTensor<Self>, targets: IntTensor<Self>) -> FloatTensor<Self> {
        let [logits, targets] = [logits, targets].map(|tensor| tensor.to_contiguous());
        let targets: Vec<i64> = targets.into_data().iter().collect();
        let scores = elementwise::target_scores(logits.storage(), &targets);
        tensor(scores, Shape::new([targets.len(), 2]))
    }
}

fn tensor(values: Vec<f32>, shape: Shape) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}
