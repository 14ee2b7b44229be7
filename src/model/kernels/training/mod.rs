//! The kernels of the CPU backend that have gradients: what training goes through.
//!
//! Burn's own gradients come from its tensor operations, of which a layer needs many, and whose attention
//! holds a full score matrix for each head. Each operation here is one node of burn's graph with a
//! backward pass written out (`impl TrainingKernels for Autodiff<Flex>`); GPUs go through the tensor
//! operations that stand beside each use. Sums over rows go in a fixed order, so that the same training
//! gives the same weights.

mod attention;
mod elementwise;
mod loss;
mod tape;
#[cfg(test)]
mod tests;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Flex, backend_extension};
use burn::tensor::{Device, Shape};

use super::cpu::matrix::{Matrix, multiply_in_parallel};
use super::{Heads, tensor};
use attention::Sequences;

/// Kernels of the CPU backend with gradients. All float tensors are f32.
#[backend_extension(Flex, Autodiff)]
pub trait TrainingKernels: Backend {
    /// `x weight^T`, of `x [rows, in]` and `weight [out, in]`.
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `silu(gate) * up`, both `[rows, inner]`.
    fn silu_product(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Root mean square norm of `x [rows, hidden]` by `weight [hidden]`.
    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;

    /// Causal attention of each of several sequences of one length, one below the other.
    ///
    /// `query [rows, heads * dim]`, `key` and `value [rows, kv_heads * dim]`, not rotated; `tables
    /// [4, length, dim / 2]`: cos and sin of queries, the logit scale included, and of keys, which get no
    /// gradient. Query head `n` reads key head `n * kv_heads / heads`. Returns `[rows, heads * dim]`.
    fn causal_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        heads: Heads,
    ) -> FloatTensor<Self>;

    /// Mean negative log-likelihood of `targets [rows]` under the logits `hidden head^T`, of
    /// `hidden [rows, width]` and `head [vocab, width]`; the logits exist a chunk of rows at a time.
    /// Returns `[1]`.
    fn cross_entropy(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// Whether tensors of this device go through [`TrainingKernels`]: the CPU backend, with or without
/// gradients.
pub fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

impl TrainingKernels for Flex {
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
        tensor(super::cpu::elementwise::silu_product(gate.storage(), up.storage()), shape)
    }

    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let shape = x.layout().shape().clone();
        let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
        tensor(super::cpu::elementwise::rms_norm(x.storage(), weight.storage(), epsilon as f32), shape)
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

/// Gradients: each operation saves what its backward pass reads.
impl<C: CheckpointStrategy> TrainingKernels for Autodiff<Flex, C> {
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive().to_contiguous(), weight.into_primitive().to_contiguous());
        let out = Flex::linear(x.clone(), weight.clone());
        tape::record::<C, _, 2>(nodes, out, (x, weight), |(x, weight), grad| {
            let ([rows, inner], [outer, _]) = (dims(&x), dims(&weight));
            let (mut of_x, mut of_weight) = (vec![0.0; rows * inner], vec![0.0; outer * inner]);
            let grad: &[f32] = grad.storage();
            multiply_in_parallel(
                Matrix::rows(grad, outer),
                Matrix::rows(weight.storage(), inner),
                &mut of_x,
                [rows, outer, inner],
                false,
            );
            multiply_in_parallel(
                Matrix::columns(grad, outer),
                Matrix::rows(x.storage(), inner),
                &mut of_weight,
                [outer, rows, inner],
                false,
            );
            [tensor(of_x, x.layout().shape().clone()), tensor(of_weight, weight.layout().shape().clone())]
        })
    }

    fn silu_product(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [gate.node(), up.node()];
        let (gate, up) = (gate.into_primitive().to_contiguous(), up.into_primitive().to_contiguous());
        let out = Flex::silu_product(gate.clone(), up.clone());
        tape::record::<C, _, 2>(nodes, out, (gate, up), |(gate, up), grad| {
            let shape = gate.layout().shape();
            let grads = elementwise::silu_product(gate.storage(), up.storage(), grad.storage());
            grads.map(|values| tensor(values, shape.clone()))
        })
    }

    fn rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node()];
        let (x, weight) = (x.into_primitive().to_contiguous(), weight.into_primitive().to_contiguous());
        let out = Flex::rms_norm(x.clone(), weight.clone(), epsilon);
        tape::record::<C, _, 2>(nodes, out, (x, weight, epsilon), |(x, weight, epsilon), grad| {
            let shapes = [&x, &weight].map(|tensor| tensor.layout().shape().clone());
            let grads = elementwise::rms_norm(x.storage(), weight.storage(), epsilon as f32, grad.storage());
            let [of_x, of_weight] = grads;
            let [x_shape, weight_shape] = shapes;
            [tensor(of_x, x_shape), tensor(of_weight, weight_shape)]
        })
    }

    fn causal_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        tables: FloatTensor<Self>,
        heads: Heads,
    ) -> FloatTensor<Self> {
        let nodes = [query.node(), key.node(), value.node()];
        let inputs = [query, key, value, tables].map(|tensor| tensor.into_primitive().to_contiguous());
        let [query, key, value, tables] = &inputs;
        let (out, log_sums) = Sequences::new(query, key, value, tables, heads).attend();
        let out = tensor(out, query.layout().shape().clone());
        let saved = (inputs, out.clone(), log_sums, heads);
        tape::record::<C, _, 3>(nodes, out, saved, |(inputs, out, log_sums, heads), grad| {
            let [query, key, value, tables] = &inputs;
            let shapes = [query, key, value].map(|tensor| tensor.layout().shape().clone());
            let sequences = Sequences::new(query, key, value, tables, heads);
            let [of_query, of_key, of_value] = sequences.gradients(out.storage(), &log_sums, grad.storage());
            let [query, key, value] = shapes;
            [tensor(of_query, query), tensor(of_key, key), tensor(of_value, value)]
        })
    }

    fn cross_entropy(
        hidden: FloatTensor<Self>,
        head: FloatTensor<Self>,
        targets: IntTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [hidden.node(), head.node()];
        let (hidden, head) = (hidden.into_primitive().to_contiguous(), head.into_primitive().to_contiguous());
        let width = dims(&hidden)[1];
        // The gradients come at once, while a chunk's probabilities are at hand.
        let loss::Loss { mean, of_hidden, of_head } =
            loss::cross_entropy_gradients(hidden.storage(), head.storage(), &ids(targets), width);
        let grads = [
            tensor(of_hidden, hidden.layout().shape().clone()),
            tensor(of_head, head.layout().shape().clone()),
        ];
        let out = tensor(vec![mean], Shape::new([1]));
        tape::record::<C, _, 2>(nodes, out, grads, |grads, grad| {
            let factor: f32 = grad.storage()[0];
            grads.map(|values| elementwise::scaled(values, factor))
        })
    }
}

/// Rows and columns.
fn dims(tensor: &FloatTensor<Flex>) -> [usize; 2] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1]]
}

fn ids(targets: IntTensor<Flex>) -> Vec<usize> {
    targets.to_contiguous().into_data().iter::<i64>().map(|id| id as usize).collect()
}
