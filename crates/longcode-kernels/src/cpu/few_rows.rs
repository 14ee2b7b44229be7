//! Products of attention for few query rows: keys and values are read once, in place.

use pulp::{Simd, WithSimd};

use super::simd::{dots, prefetch};

/// Most query rows that count as few.
pub(super) const MOST: usize = 4;
/// How many keys and values are prefetched: their neighbours belong to another head, so the processor itself
/// does not predict the next one.
const AHEAD: usize = 16;

/// Prefetches some numbers.
#[inline(always)]
fn prefetch_row(x: &[f32], first: usize, count: usize) {
    for line in (0..count).step_by(16) {
        prefetch(x.as_ptr().wrapping_add(first + line));
    }
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

/// Adds values, `stride` numbers apart, weighted by `[height, keys]`, to `mixed [height, dim]`.
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
    /// `R` rows: two registers of each row's numbers at a time, then one, then the rest.
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

    /// Adds the numbers from `first` on, which do not fill a register, to `R` rows.
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
