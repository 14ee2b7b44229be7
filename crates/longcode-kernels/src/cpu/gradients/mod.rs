//! Backward passes of [`DifferentiableKernels`]: each operation saves what its own backward pass reads. Sums
//! over rows have a fixed order, so that the same training gives the same weights.

pub(super) mod attention;
mod elementwise;
pub(super) mod loss;
mod tape;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Flex};
use burn::tensor::Shape;

use super::differentiable::{DifferentiableKernels, dims, ids};
use super::matrix::{Matrix, multiply_in_parallel};
use super::tensor;
use crate::Heads;
use attention::Sequences;

impl<C: CheckpointStrategy> DifferentiableKernels for Autodiff<Flex, C> {
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
        // The gradients are computed at once, while a chunk's probabilities are available.
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
