//! Kernels of the CPU backend without gradients, and its attention.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Flex, backend_extension};
use burn::tensor::Shape;

use super::experts::StoredExpert;
use super::inputs::Inputs;
use super::product::Operand;
use super::{attention, elementwise, experts, product, tensor};
use crate::Precision;
use crate::sight::Sight;
use crate::stored::StoredTensor;
use crate::{Assigned, AttentionKernel, Heads, MAX_TURNS, Softmax};

/// Kernels of the CPU backend without gradients. All tensors are f32.
#[backend_extension(Flex)]
pub trait InferenceKernels: Backend {
    /// Rotates every head of every row of `x [rows, heads * dim]` by `table [2, rows, dim / 2]`, cos then
    /// sin; dimension `p` turns with `p + dim / 2`.
    fn rotate(x: FloatTensor<Self>, table: FloatTensor<Self>) -> FloatTensor<Self>;

    /// For each row of `logits [tokens, vocab]`: the negative log-likelihood of its target, and 1 if the
    /// target is the first of the largest logits, otherwise 0. Returns `[tokens, 2]`.
    fn target_scores(logits: FloatTensor<Self>, targets: IntTensor<Self>) -> FloatTensor<Self>;

    /// `x / (1 + exp(-2 sqrt(2 / pi) (x + 0.044715 x^3)))`: gelu by its tanh approximation.
    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `cap tanh(x / cap)`.
    fn soft_cap(x: FloatTensor<Self>, cap: f64) -> FloatTensor<Self>;

    /// Each row of `x [rows, width]` minus its mean, divided by its standard deviation, times `weight
    /// [width]` plus `bias [width]`.
    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// `x W^T`, `[rows, out]`, for `x [rows, in]` and a weight `[out, in]` as stored. `operand` keeps what
    /// products of the same `x` share.
    fn stored_product(
        x: FloatTensor<Self>,
        weight: Arc<StoredTensor>,
        precision: Precision,
        operand: Arc<Operand>,
    ) -> FloatTensor<Self>;

    /// Some rows of a weight as stored, `[ids, in]`.
    fn stored_rows(ids: IntTensor<Self>, weight: Arc<StoredTensor>) -> FloatTensor<Self>;

    /// For each row of `x [rows, width]` the sum of the experts that it is assigned to, by their weights.
    fn experts(
        x: FloatTensor<Self>,
        assigned: Arc<[Assigned]>,
        experts: Arc<[StoredExpert]>,
        precision: Precision,
    ) -> FloatTensor<Self>;
}

impl AttentionKernel for Flex {
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
    ) -> FloatTensor<Self> {
        let shape = query_0.layout().shape().clone();
        let contiguous =
            |tensors: [FloatTensor<Self>; MAX_TURNS]| tensors.map(|tensor| tensor.to_contiguous());
        let (queries, keys) = (contiguous([query_0, query_1, query_2]), contiguous([key_0, key_1, key_2]));
        let value = value.to_contiguous();
        let inputs = Inputs {
            queries: queries.each_ref().map(|query| query.storage()),
            keys: keys.each_ref().map(|key| key.storage()),
            value: value.storage(),
            heads,
            sight: &sight,
            softmax,
            lost,
            precision,
        };
        tensor(attention::attend(&inputs), shape)
    }
}

impl InferenceKernels for Flex {
    fn rotate(x: FloatTensor<Self>, table: FloatTensor<Self>) -> FloatTensor<Self> {
        let shape = x.layout().shape().clone();
        let [x, table] = [x, table].map(|tensor| tensor.to_contiguous());
        tensor(elementwise::rotate(x.storage(), table.storage(), shape[0]), shape)
    }

    fn target_scores(logits: FloatTensor<Self>, targets: IntTensor<Self>) -> FloatTensor<Self> {
        let [logits, targets] = [logits, targets].map(|tensor| tensor.to_contiguous());
        let targets: Vec<i64> = targets.into_data().iter().collect();
        let scores = elementwise::target_scores(logits.storage(), &targets);
        tensor(scores, Shape::new([targets.len(), 2]))
    }

    fn gelu_tanh(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let shape = x.layout().shape().clone();
        tensor(elementwise::gelu_tanh(x.storage()), shape)
    }

    fn soft_cap(x: FloatTensor<Self>, cap: f64) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let shape = x.layout().shape().clone();
        tensor(elementwise::soft_cap(x.storage(), cap as f32), shape)
    }

    fn layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let shape = x.layout().shape().clone();
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.to_contiguous());
        tensor(elementwise::layer_norm(x.storage(), weight.storage(), bias.storage(), epsilon as f32), shape)
    }

    fn stored_product(
        x: FloatTensor<Self>,
        weight: Arc<StoredTensor>,
        precision: Precision,
        operand: Arc<Operand>,
    ) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let shape = Shape::new([x.layout().shape()[0], weight.shape[0]]);
        tensor(product::product(x.storage(), &weight, precision, &operand), shape)
    }

    fn stored_rows(ids: IntTensor<Self>, weight: Arc<StoredTensor>) -> FloatTensor<Self> {
        let ids: Vec<i64> = ids.to_contiguous().into_data().iter().collect();
        let shape = Shape::new([ids.len(), weight.columns()]);
        tensor(product::rows(&ids, &weight), shape)
    }

    fn experts(
        x: FloatTensor<Self>,
        assigned: Arc<[Assigned]>,
        experts: Arc<[StoredExpert]>,
        precision: Precision,
    ) -> FloatTensor<Self> {
        let x = x.to_contiguous();
        let shape = x.layout().shape().clone();
        tensor(experts::experts(x.storage(), shape[1], &assigned, &experts, precision), shape)
    }
}
