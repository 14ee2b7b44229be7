//! Kernels of the CPU backend that have gradients: linear maps, and the other operations that a network is
//! trained through.
//!
//! Burn's own gradients come from its tensor operations, of which a layer needs many, and whose attention
//! holds a full score matrix for each head. Each operation here is one node of burn's graph with a
//! hand-written backward pass (`impl DifferentiableKernels for Autodiff<Flex>`, in [`super::gradients`]);
//! GPUs use the tensor operations next to each use.

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Flex, backend_extension};
use burn::tensor::Shape;

use super::gradients::attention::Sequences;
use super::gradients::loss;
use super::matrix::{Matrix, multiply_in_parallel};
use super::{elementwise, tensor};
use crate::Heads;

/// Kernels of the CPU backend with gradients. All float tensors are f32.
#[backend_extension(Flex, Autodiff)]
pub trait DifferentiableKernels: Backend {
    /// `x weight^T`, for `x [rows, in]` and `weight [out, in]`.
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `silu(gate) * up`, both `[rows, inner]`.
    fn silu_product(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Root mean square norm of `x [rows, hidden]` by `weight [hidden]`.
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;

    /// Causal attention of each of several stacked sequences of one length.
    ///
    /// `query [rows, heads * dim]`, `key` and `value [rows, kv_heads * dim]`, not rotated; `tables [4,
    /// length, dim / 2]`: cos and sin of queries, including the logit scale, and of keys; they get no
    /// gradient. Query head `n` reads key head `n * kv_heads / heads`. Returns `[rows, heads * dim]`.
    fn causal_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        heads: Heads,
    ) -> FloatTensor<Self>;

    /// Mean negative log-likelihood of `targets [rows]` under the logits `hidden head^T`, for `hidden [rows,
    /// width]` and `head [vocab, width]`; only a chunk of rows has its logits in memory at a time. Returns
    /// `[1]`.
    fn cross_entropy(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl DifferentiableKernels for Flex {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        let ([rows, inner], [outer, _]) = (dims(&x), dims(&weight));
        let mut out = vec![0.0; rows * outer];
        multiply_in_parallel(
            Matrix::rows(x.storage(), inner),
            Matrix::columns(weight.storage(), inner),
            &mut out,
            [rows, inner, outer],
            false,
        );
        tensor(out, Shape::new([rows, outer]))
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

    fn causal_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        heads: Heads,
    ) -> FloatTensor<Self> {
        let shape = query.layout().shape().clone();
        let [query, key, value, tables] = [query, key, value, tables].map(|tensor| tensor.to_contiguous());
        let (out, _) = Sequences::new(&query, &key, &value, &tables, heads).attend();
        tensor(out, shape)
    }

    fn cross_entropy(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let [hidden, head] = [hidden, head].map(|tensor| tensor.to_contiguous());
        let width = dims(&hidden)[1];
        let loss = loss::cross_entropy(hidden.storage(), head.storage(), &ids(targets), width);
        tensor(vec![loss], Shape::new([1]))
    }
}

/// Rows and columns.
pub(super) fn dims(tensor: &FloatTensor<Flex>) -> [usize; 2] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1]]
}

pub(super) fn ids(targets: IntTensor<Flex>) -> Vec<usize> {
    targets.to_contiguous().into_data().iter::<i64>().map(|id| id as usize).collect()
}
