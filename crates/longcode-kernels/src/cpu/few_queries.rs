//! Attention of a few queries, as while decoding: bound by the keys and values that are read, so the threads
//! share them, by key heads and by ranges of keys.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::attention::{Block, Inputs, Scratch};
use super::simd::{dots, exp, prefetch};
use crate::Heads;

/// Most query rows that are few.
pub(super) const MOST: usize = 4;

/// Keys of a task.
const KEYS: usize = 512;

/// Keys and values that are asked for ahead of their use: what lies beside them is another head's, so the
/// processor itself does not see the next one coming.
const AHEAD: usize = 16;

/// Asks for some numbers ahead of their use.
#[inline(always)]
fn prefetch_row(x: &[f32], first: usize, count: usize) {
    for line in (0..count).step_by(16) {
        prefetch(x.as_ptr().wrapping_add(first + line));
    }
}

/// What some keys add to the rows of a key head's query heads.
struct Part {
    max: Vec<f32>,
    sum: Vec<f32>,
    /// `[height, dim]`, by the maxima.
    mixed: Vec<f32>,
}

/// `[rows, heads * dim]`.
pub(super) fn attend(inputs: &Inputs) -> Vec<f32> {
    let Heads { queries, keys: heads, dim } = inputs.heads;
    let (rows, group) = (inputs.sight.rows(), queries / heads);
    let ranges = (inputs.sight.first() + rows).div_ceil(KEYS);
    let parts: Vec<Part> = (0..heads * ranges)
        .into_par_iter()
        .with_max_len(1)
        .map_init(Scratch::default, |scratch, task| {
            let (key_head, range) = (task / ranges, task % ranges * KEYS);
            part(&Block { inputs, packed: None, key_head, rows: 0..rows }, range..range + KEYS, scratch)
        })
        .collect();
    let mut out = vec![0.0; rows * queries * dim];
    for (key_head, parts) in parts.chunks_exact(ranges).enumerate() {
        for row in 0..group * rows {
            let head = key_head * group + row / rows;
            merge(parts, row, &mut out[(row % rows * queries + head) * dim..][..dim]);
        }
    }
    out
}

fn part(block: &Block, keys: Range<usize>, scratch: &mut Scratch) -> Part {
    block.read(keys, scratch);
    Part { max: scratch.max.clone(), sum: scratch.sum.clone(), mixed: scratch.mixed.clone() }
}

/// A row of all parts, into `out [dim]`.
fn merge(parts: &[Part], row: usize, out: &mut [f32]) {
    let dim = out.len();
    let max = parts.iter().map(|part| part.max[row]).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for part in parts.iter().filter(|part| part.sum[row] > 0.0) {
        let weight = exp(part.max[row] - max);
        sum += weight * part.sum[row];
        for (out, mixed) in out.iter_mut().zip(&part.mixed[row * dim..][..dim]) {
            *out += weight * mixed;
        }
    }
    out.iter_mut().for_each(|value| *value /= sum);
}

/// Scores of keys, `stride` numbers apart, by queries `[height, dim]`: `[height, keys]`.
pub(super) fn scores(queries: &[f32], keys: &[f32], dim: usize, stride: usize, scores: &mut [f32]) {
    pulp::Arch::new().dispatch(Scores { queries, keys, dim, stride, scores });
}

struct Scores<'a> {
    queries: &'a [f32],
    keys: &'a [f32],
    dim: usize,
    stride: usize,
    scores: &'a mut [f32],
}

impl WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Scores { queries, keys, dim, stride, scores } = self;
        let width = scores.len() / (queries.len() / dim);
        let key = |n: usize| {
            prefetch_row(keys, (n + AHEAD) * stride, dim);
            &keys[n * stride..][..dim]
        };
        let whole = width / 4 * 4;
        for n in (0..whole).step_by(4) {
            let beside = [key(n), key(n + 1), key(n + 2), key(n + 3)];
            for (row, query) in queries.chunks_exact(dim).enumerate() {
                scores[row * width + n..][..4].copy_from_slice(&dots(simd, query, beside));
            }
        }
        for n in whole..width {
            for (row, query) in queries.chunks_exact(dim).enumerate() {
                [scores[row * width + n]] = dots(simd, query, [key(n)]);
            }
        }
    }
}

/// Adds values, `stride` numbers apart, by weights `[height, keys]` to `mixed [height, dim]`.
pub(super) fn mix(weights: &[f32], values: &[f32], dim: usize, stride: usize, mixed: &mut [f32]) {
    pulp::Arch::new().dispatch(Mix { weights, values, dim, stride, mixed });
}

struct Mix<'a> {
    weights: &'a [f32],
    values: &'a [f32],
    dim: usize,
    stride: usize,
    mixed: &'a mut [f32],
}

impl WithSimd for Mix<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.weights.len() / (self.mixed.len() / self.dim);
        let rows = self.weights.chunks(4 * width).zip(self.mixed.chunks_mut(4 * self.dim));
        for (weights, mixed) in rows {
            let of_rows = Mix { weights, mixed, ..self };
            match weights.len() / width {
                1 => of_rows.rows::<S, 1>(simd),
                2 => of_rows.rows::<S, 2>(simd),
                3 => of_rows.rows::<S, 3>(simd),
                _ => of_rows.rows::<S, 4>(simd),
            }
        }
    }
}

impl Mix<'_> {
    /// `R` rows: two registers of each row's numbers at a time, then one, then what is left of one.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(mut self, simd: S) {
        let lanes = S::F32_LANES;
        let mut first = 0;
        while first + 2 * lanes <= self.dim {
            self.registers::<S, R, 2>(simd, first);
            first += 2 * lanes;
        }
        if first + lanes <= self.dim {
            self.registers::<S, R, 1>(simd, first);
            first += lanes;
        }
        if first < self.dim {
            self.rest::<S, R>(simd, first);
        }
    }

    /// Adds `N` registers of each value, from `first` on, to `R` rows.
    #[inline(always)]
    fn registers<S: Simd, const R: usize, const N: usize>(&mut self, simd: S, first: usize) {
        let (count, width) = (N * S::F32_LANES, self.weights.len() / R);
        let mut sums = [[simd.splat_f32s(0.0); N]; R];
        for n in 0..width {
            prefetch_row(self.values, (n + AHEAD) * self.stride + first, count);
            let value = S::as_simd_f32s(&self.values[n * self.stride + first..][..count]).0;
            for (row, sums) in sums.iter_mut().enumerate() {
                let weight = simd.splat_f32s(self.weights[row * width + n]);
                for (sum, &value) in sums.iter_mut().zip(value) {
                    *sum = simd.mul_add_e_f32s(weight, value, *sum);
                }
            }
        }
        for (row, sums) in sums.into_iter().enumerate() {
            let mixed = &mut self.mixed[row * self.dim + first..][..count];
            for (mixed, sum) in S::as_mut_simd_f32s(mixed).0.iter_mut().zip(sums) {
                *mixed = simd.add_f32s(*mixed, sum);
            }
        }
    }

    /// Adds the numbers from `first` on, which fill no register, to `R` rows.
    #[inline(always)]
    fn rest<S: Simd, const R: usize>(&mut self, simd: S, first: usize) {
        let width = self.weights.len() / R;
        for row in 0..R {
            let mixed = &mut self.mixed[row * self.dim..(row + 1) * self.dim][first..];
            let mut sum = simd.partial_load_f32s(mixed);
            for n in 0..width {
                let value = &self.values[n * self.stride..][first..self.dim];
                let weight = simd.splat_f32s(self.weights[row * width + n]);
                sum = simd.mul_add_e_f32s(weight, simd.partial_load_f32s(value), sum);
            }
            simd.partial_store_f32s(mixed, sum);
        }
    }
}
