//! The mean loss of many sequences of one length, through operations that have gradients.

use burn::backend::Dispatch;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor};

use super::network::row_blocks;
use super::{Network, RotaryTables};
use crate::kernels::{DifferentiableKernels, Heads, is_cpu};

impl Network {
    /// Mean negative log-likelihood, `[1]`, of `targets [predicted]`, each given the `inputs [rows]` of its
    /// sequence up to its own row. The rows are stacked sequences, each with as many tokens as `rotary`,
    /// which has no window. `predicted` says which rows have a target; none means all.
    ///
    /// On a device with gradients it can be followed by `backward()`.
    pub fn mean_loss(
        &self,
        inputs: Tensor<1, Int>,
        predicted: Option<Tensor<1, Int>>,
        targets: Tensor<1, Int>,
        rotary: &RotaryTables,
    ) -> Tensor<1> {
        let mut hidden = self.forward_with(inputs, &mut |_, rows, _| attend_each(rotary, rows));
        if let Some(predicted) = predicted {
            hidden = hidden.select(0, predicted);
        }
        let head = self.head().tensor();
        if is_cpu(&hidden.device()) {
            let [hidden, head] = [hidden, head].map(Tensor::into_dispatch);
            return Tensor::from_dispatch(Dispatch::cross_entropy(hidden, head, targets.into_dispatch()));
        }
        cross_entropy(hidden, &head, targets)
    }
}

/// [`DifferentiableKernels::cross_entropy`] in tensor operations.
pub(super) fn cross_entropy(hidden: Tensor<2>, head: &Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let (count, vocab) = (targets.dims()[0], head.dims()[0]);
    let mut start = 0;
    let sums = row_blocks(hidden, vocab).into_iter().map(|rows| {
        let end = start + rows.dims()[0];
        let targets = targets.clone().slice_dim(0, start..end).unsqueeze_dim(1);
        start = end;
        log_softmax(rows.matmul(head.clone().transpose()), 1).gather(1, targets).sum()
    });
    Tensor::cat(sums.collect(), 0).sum().neg().div_scalar(count as f32)
}

/// Causal attention of each sequence, with as many tokens as `rotary`, to itself.
fn attend_each(rotary: &RotaryTables, rows: [Tensor<2>; 3]) -> Tensor<2> {
    let tables = rotary.one_rotation().expect("training has one rotation");
    let dim = 2 * tables.dims()[2];
    let heads = Heads { queries: rows[0].dims()[1] / dim, keys: rows[1].dims()[1] / dim, dim };
    if is_cpu(&rows[0].device()) {
        let [query, key, value] = rows.map(Tensor::into_dispatch);
        let tables = tables.clone().into_dispatch();
        return Tensor::from_dispatch(Dispatch::causal_attention(query, key, value, tables, heads));
    }
    causal_attention(tables, rows, heads)
}

/// [`DifferentiableKernels::causal_attention`] in tensor operations, with a score matrix for each head.
pub(super) fn causal_attention(
    tables: &Tensor<3>,
    [query, key, value]: [Tensor<2>; 3],
    heads: Heads,
) -> Tensor<2> {
    let ([rows, width], length) = (query.dims(), tables.dims()[1]);
    let (sequences, group) = (rows / length, heads.queries / heads.keys);
    let by_head =
        |x: Tensor<2>, count: usize| x.reshape([sequences, length, count, heads.dim]).swap_dims(1, 2);
    let query = rotate(by_head(query, heads.queries), tables.clone().slice_dim(0, 0..2));
    let key = rotate(by_head(key, heads.keys), tables.clone().slice_dim(0, 2..4));
    // The query heads that share a key head are stacked.
    let query = query.reshape([sequences, heads.keys, group * length, heads.dim]);
    let scores = query.matmul(key.swap_dims(2, 3));
    let scores = scores.reshape([sequences, heads.queries, length, length]);
    let later = later(length, &tables.device()).expand(scores.dims());
    let weights = softmax(scores.mask_fill(later, f32::NEG_INFINITY), 3);
    let weights = weights.reshape([sequences, heads.keys, group * length, length]);
    let mixed = weights.matmul(by_head(value, heads.keys));
    mixed.reshape([sequences, heads.queries, length, heads.dim]).swap_dims(1, 2).reshape([rows, width])
}

/// Rotates `x [sequences, heads, length, dim]` by `[2, length, dim / 2]`, cos and sin.
fn rotate(x: Tensor<4>, table: Tensor<3>) -> Tensor<4> {
    let [_, length, half] = table.dims();
    let [cos, sin] = [0, 1].map(|n| table.clone().slice_dim(0, n..n + 1).reshape([1, 1, length, half]));
    let low = x.clone().slice_dim(3, 0..half);
    let high = x.slice_dim(3, half..2 * half);
    let turned_low = low.clone() * cos.clone() - high.clone() * sin.clone();
    Tensor::cat(vec![turned_low, high * cos + low * sin], 3)
}

/// True where the column comes after the row, `[1, 1, length, length]`.
fn later(length: usize, device: &Device) -> Tensor<4, burn::tensor::Bool> {
    let index = Tensor::<1, Int>::arange(0..length as i64, device);
    let rows = index.clone().reshape([1, 1, length, 1]);
    let columns = index.reshape([1, 1, 1, length]);
    let shape = [1, 1, length, length];
    columns.expand(shape).greater(rows.expand(shape))
}
