//! Causal attention of many sequences of one length, and its gradients.
//!
//! A sequence's query heads of one key head are one parallel task, so that the sums over queries in the
//! gradients of keys and values have a fixed order. Within it blocks of queries go one by one; their scores
//! stay in the cache and are computed again for the gradients, from the logarithm of each row's sum (Dao et
//! al. 2022, section 3.1). The query heads that share a key head are stacked in one product.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::super::matrix::{Matrix, multiply};
use super::super::simd::{dot, exp, exp_sum, max, vectorised};
use crate::Heads;

/// Target number of scores in a block: those and their gradients stay in a core's own cache.
const SCORES: usize = 1 << 16;

/// Queries, keys and values of the stacked sequences.
pub(in crate::cpu) struct Sequences<'a> {
    /// `[rows, heads * dim]`
    query: &'a [f32],
    /// `[rows, kv_heads * dim]`
    key: &'a [f32],
    /// `[rows, kv_heads * dim]`
    value: &'a [f32],
    /// `[4, length, dim / 2]`: cos and sin of queries, then of keys.
    tables: &'a [f32],
    heads: Heads,
    length: usize,
}

/// Buffers of a task.
#[derive(Default)]
struct Scratch {
    /// Rotated keys of the task, `[length, dim]`.
    keys: Vec<f32>,
    /// Rotated queries of a block, `[height, dim]`.
    queries: Vec<f32>,
    /// Gradients of a block's outputs, `[height, dim]`.
    grads: Vec<f32>,
    /// `[height, dim]`
    mixed: Vec<f32>,
    /// `[height, keys seen]`
    scores: Vec<f32>,
    /// `[height, keys seen]`
    of_scores: Vec<f32>,
}

impl<'a> Sequences<'a> {
    /// Contiguous tensors; see [`super::DifferentiableKernels::causal_attention`].
    pub(in crate::cpu) fn new(
        query: &'a FloatTensor<Flex>,
        key: &'a FloatTensor<Flex>,
        value: &'a FloatTensor<Flex>,
        tables: &'a FloatTensor<Flex>,
        heads: Heads,
    ) -> Sequences<'a> {
        let length = tables.layout().shape()[1];
        let [query, key, value, tables] = [query, key, value, tables].map(|tensor| tensor.storage());
        Sequences { query, key, value, tables, heads, length }
    }

    /// Query heads of one key head.
    fn group(&self) -> usize {
        self.heads.queries / self.heads.keys
    }

    /// The result `[rows, heads * dim]`, and the logarithm of each row's sum of exponentials, task by task.
    pub(in crate::cpu) fn attend(&self) -> (Vec<f32>, Vec<f32>) {
        let width = self.group() * self.heads.dim;
        let mut out = vec![0.0; self.query.len()];
        let mut log_sums = vec![0.0; self.query.len() / self.heads.dim];
        out.par_chunks_mut(self.length * width)
            .zip(log_sums.par_chunks_mut(self.length * self.group()))
            .with_max_len(1)
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (number, (out, log_sums))| {
                self.task(number).attend(scratch, out, log_sums);
            });
        (self.by_row(out, width), log_sums)
    }

    /// Gradients with respect to `query`, `key` and `value`, from that with respect to the output.
    pub(in crate::cpu) fn gradients(&self, out: &[f32], log_sums: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
        let (width, dim, length) = (self.group() * self.heads.dim, self.heads.dim, self.length);
        let mut of_query = vec![0.0; self.query.len()];
        let [mut of_key, mut of_value] = [vec![0.0; self.key.len()], vec![0.0; self.key.len()]];
        let of_keys = of_key.par_chunks_mut(length * dim).zip(of_value.par_chunks_mut(length * dim));
        of_query
            .par_chunks_mut(length * width)
            .zip(of_keys)
            .zip(log_sums.par_chunks(length * self.group()))
            .with_max_len(1)
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (number, ((of_query, of_keys), log_sums))| {
                let done = Done { out, log_sums, grad };
                self.task(number).gradients(scratch, &done, of_query, of_keys);
            });
        [self.by_row(of_query, width), self.by_row(of_key, dim), self.by_row(of_value, dim)]
    }

    /// The tasks are the sequences' key heads.
    fn task(&self, number: usize) -> Task<'_> {
        Task { inputs: self, sequence: number / self.heads.keys, key_head: number % self.heads.keys }
    }

    /// Values task by task, `[sequences, kv_heads, length, width]`, as `[rows, kv_heads * width]`.
    fn by_row(&self, by_task: Vec<f32>, width: usize) -> Vec<f32> {
        let keys = self.heads.keys;
        if keys == 1 {
            return by_task;
        }
        let mut by_row = vec![0.0; by_task.len()];
        by_row
            .par_chunks_mut(self.length * keys * width)
            .zip(by_task.par_chunks(self.length * keys * width))
            .for_each(|(by_row, by_task)| {
                for (head, rows) in by_task.chunks_exact(self.length * width).enumerate() {
                    for (row, values) in rows.chunks_exact(width).enumerate() {
                        by_row[(row * keys + head) * width..][..width].copy_from_slice(values);
                    }
                }
            });
        by_row
    }

    /// cos and sin of a token, for queries or for keys.
    fn angles(&self, keys: bool, token: usize) -> (&[f32], &[f32]) {
        let half = self.heads.dim / 2;
        let table = |n: usize| &self.tables[(n * self.length + token) * half..][..half];
        let first = 2 * usize::from(keys);
        (table(first), table(first + 1))
    }
}

/// What the forward pass left, and the gradient with respect to its output.
struct Done<'a> {
    /// `[rows, heads * dim]`, for all tasks.
    out: &'a [f32],
    /// For this task.
    log_sums: &'a [f32],
    /// `[rows, heads * dim]`, for all tasks.
    grad: &'a [f32],
}

/// One key head of one sequence, with its query heads.
struct Task<'a> {
    inputs: &'a Sequences<'a>,
    sequence: usize,
    key_head: usize,
}

impl Task<'_> {
    /// Blocks of queries.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let length = self.inputs.length;
        let block = (SCORES / (length * self.inputs.group())).clamp(16, 128);
        (0..length).step_by(block).map(move |start| start..(start + block).min(length))
    }

    /// Writes `out [length, group * dim]` and `log_sums`, block by block.
    fn attend(&self, scratch: &mut Scratch, out: &mut [f32], log_sums: &mut [f32]) {
        let (dim, group) = (self.inputs.heads.dim, self.inputs.group());
        self.rotate_keys(&mut scratch.keys);
        for tokens in self.blocks() {
            let height = tokens.len() * group;
            let log_sums = &mut log_sums[tokens.start * group..][..height];
            self.scores(&tokens, scratch);
            let Scratch { scores, mixed, .. } = scratch;
            softmax(scores, &tokens, log_sums);
            mixed.resize(height * dim, 0.0);
            self.multiply_values(scores, mixed, &tokens);
            for (row, mixed) in mixed.chunks_exact(dim).enumerate() {
                let (member, token) = (row / tokens.len(), tokens.start + row % tokens.len());
                out[(token * group + member) * dim..][..dim].copy_from_slice(mixed);
            }
        }
    }

    /// Gradients with respect to the task's queries `[length, group * dim]`, keys and values `[length, dim]`.
    fn gradients(
        &self,
        scratch: &mut Scratch,
        done: &Done,
        of_query: &mut [f32],
        (of_key, of_value): (&mut [f32], &mut [f32]),
    ) {
        let (dim, group) = (self.inputs.heads.dim, self.inputs.group());
        self.rotate_keys(&mut scratch.keys);
        for tokens in self.blocks() {
            let (height, seen) = (tokens.len() * group, tokens.end);
            self.scores(&tokens, scratch);
            self.stack(done.grad, &tokens, &mut scratch.grads);
            self.stack(done.out, &tokens, &mut scratch.mixed);
            let Scratch { keys, queries, grads, mixed, scores, of_scores } = scratch;
            weights(scores, &tokens, &done.log_sums[tokens.start * group..][..height]);
            multiply(
                Matrix::columns(scores, seen),
                Matrix::rows(grads, dim),
                &mut of_value[..seen * dim],
                [seen, height, dim],
                true,
            );
            of_scores.resize(height * seen, 0.0);
            self.multiply_by_values(grads, of_scores, &tokens);
            softmax_gradient(scores, of_scores, &tokens, grads, mixed);
            multiply(
                Matrix::rows(of_scores, seen),
                Matrix::rows(keys, dim),
                mixed,
                [height, seen, dim],
                false,
            );
            self.turn_back(mixed, &tokens, of_query);
            multiply(
                Matrix::columns(of_scores, seen),
                Matrix::rows(queries, dim),
                &mut of_key[..seen * dim],
                [seen, height, dim],
                true,
            );
        }
        for (token, of_key) in of_key.chunks_exact_mut(dim).enumerate() {
            let (cos, sin) = self.inputs.angles(true, token);
            rotate(of_key, cos, sin, -1.0);
        }
    }

    /// The task's keys, rotated.
    fn rotate_keys(&self, rotated: &mut Vec<f32>) {
        let Heads { keys, dim, .. } = self.inputs.heads;
        rotated.clear();
        for token in 0..self.inputs.length {
            let row = self.sequence * self.inputs.length + token;
            rotated.extend_from_slice(&self.inputs.key[(row * keys + self.key_head) * dim..][..dim]);
            let (cos, sin) = self.inputs.angles(true, token);
            rotate(&mut rotated[token * dim..], cos, sin, 1.0);
        }
    }

    /// The block's rows of `x [rows, heads * dim]` for the task's query heads, `[group, tokens, dim]`.
    fn stack(&self, x: &[f32], tokens: &Range<usize>, stacked: &mut Vec<f32>) {
        let (Heads { queries, dim, .. }, group) = (self.inputs.heads, self.inputs.group());
        stacked.clear();
        for head in self.key_head * group..(self.key_head + 1) * group {
            for token in tokens.clone() {
                let row = self.sequence * self.inputs.length + token;
                stacked.extend_from_slice(&x[(row * queries + head) * dim..][..dim]);
            }
        }
    }

    /// Scores of the block's queries and the keys up to its last, not yet masked.
    fn scores(&self, tokens: &Range<usize>, scratch: &mut Scratch) {
        let dim = self.inputs.heads.dim;
        let Scratch { keys, queries, scores, .. } = scratch;
        self.stack(self.inputs.query, tokens, queries);
        for (row, query) in queries.chunks_exact_mut(dim).enumerate() {
            let (cos, sin) = self.inputs.angles(false, tokens.start + row % tokens.len());
            rotate(query, cos, sin, 1.0);
        }
        let height = tokens.len() * self.inputs.group();
        scores.resize(height * tokens.end, 0.0);
        multiply(
            Matrix::rows(queries, dim),
            Matrix::columns(keys, dim),
            scores,
            [height, dim, tokens.end],
            false,
        );
    }

    /// The task's values, from its first token on, and the stride of their rows.
    fn values(&self) -> (&[f32], usize) {
        let Heads { keys, dim, .. } = self.inputs.heads;
        let first = (self.sequence * self.inputs.length * keys + self.key_head) * dim;
        (&self.inputs.value[first..], keys * dim)
    }

    /// `out [height, dim] = weights [height, seen] values`.
    fn multiply_values(&self, weights: &[f32], out: &mut [f32], tokens: &Range<usize>) {
        let (values, stride) = self.values();
        let dims = [out.len() / self.inputs.heads.dim, tokens.end, self.inputs.heads.dim];
        multiply(Matrix::rows(weights, tokens.end), Matrix::rows(values, stride), out, dims, false);
    }

    /// `out [height, seen] = grads [height, dim] values^T`.
    fn multiply_by_values(&self, grads: &[f32], out: &mut [f32], tokens: &Range<usize>) {
        let ((values, stride), dim) = (self.values(), self.inputs.heads.dim);
        let dims = [grads.len() / dim, dim, tokens.end];
        multiply(Matrix::rows(grads, dim), Matrix::columns(values, stride), out, dims, false);
    }

    /// Gradients with respect to the block's rotated queries, `[height, dim]`, turned back into `of_query
    /// [length, group * dim]`.
    fn turn_back(&self, rotated: &[f32], tokens: &Range<usize>, of_query: &mut [f32]) {
        let (dim, group) = (self.inputs.heads.dim, self.inputs.group());
        for (row, rotated) in rotated.chunks_exact(dim).enumerate() {
            let (member, token) = (row / tokens.len(), tokens.start + row % tokens.len());
            let out = &mut of_query[(token * group + member) * dim..][..dim];
            out.copy_from_slice(rotated);
            let (cos, sin) = self.inputs.angles(false, token);
            rotate(out, cos, sin, -1.0);
        }
    }
}

/// Rotates one vector, dimension `p` with `p + h`; in the other direction if `sign` is -1, which is the
/// transpose.
fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
    vectorised(
        #[inline(always)]
        || {
            let (low, high) = x.split_at_mut(cos.len());
            for ((low, high), (&cos, &sin)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
                let (x, y, sin) = (*low, *high, sign * sin);
                *low = x * cos - y * sin;
                *high = y * cos + x * sin;
            }
        },
    );
}

/// Each row of scores, and how many keys it sees. Rows are `[group, tokens]`.
fn rows<'a>(
    scores: &'a mut [f32],
    tokens: &Range<usize>,
) -> impl Iterator<Item = (&'a mut [f32], usize)> + use<'a> {
    let (start, count, width) = (tokens.start, tokens.len(), tokens.end);
    scores.chunks_exact_mut(width).enumerate().map(move |(row, scores)| (scores, start + row % count + 1))
}

/// Turns scores into weights, and keeps the logarithm of each row's sum.
fn softmax(scores: &mut [f32], tokens: &Range<usize>, log_sums: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for ((scores, seen), log_sum) in rows(scores, tokens).zip(log_sums) {
                let (seen, later) = scores.split_at_mut(seen);
                let max = max(seen);
                let sum = exp_sum(seen, max);
                let factor = 1.0 / sum;
                seen.iter_mut().for_each(|value| *value *= factor);
                later.fill(0.0);
                *log_sum = max + sum.ln();
            }
        },
    );
}

/// Turns scores into weights again.
fn weights(scores: &mut [f32], tokens: &Range<usize>, log_sums: &[f32]) {
    vectorised(
        #[inline(always)]
        || {
            for ((scores, seen), &log_sum) in rows(scores, tokens).zip(log_sums) {
                let (seen, later) = scores.split_at_mut(seen);
                seen.iter_mut().for_each(|value| *value = exp(*value - log_sum));
                later.fill(0.0);
            }
        },
    );
}

/// Turns the gradient with respect to the weights into that with respect to the scores: `w (g - sum(out
/// grad))`, row by row.
fn softmax_gradient(
    weights: &[f32],
    of_scores: &mut [f32],
    tokens: &Range<usize>,
    grads: &[f32],
    outs: &[f32],
) {
    let dim = grads.len() / (of_scores.len() / tokens.end);
    vectorised(
        #[inline(always)]
        || {
            let vectors = grads.chunks_exact(dim).zip(outs.chunks_exact(dim));
            let rows = of_scores.chunks_exact_mut(tokens.end).zip(weights.chunks_exact(tokens.end));
            for ((of_scores, weights), (grad, out)) in rows.zip(vectors) {
                let mean = dot(grad, out);
                for (of_score, &weight) in of_scores.iter_mut().zip(weights) {
                    *of_score = weight * (*of_score - mean);
                }
            }
        },
    );
}
