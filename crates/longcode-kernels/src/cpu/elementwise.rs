//! The parts of a layer between its matrix products, and the loss.

use rayon::prelude::*;

use super::simd::{exp, max, soft_cap as soft_cap_in_place, sum_of, sum_of_exp, sum_of_squares, vectorised};

/// Elements that one task of the pool works on: large enough to pay for it, small enough for its cache.
pub(in super::super) const TASK: usize = 1 << 14;

/// `silu(gate) * up`.
pub(in super::super) fn silu_product(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; gate.len()];
    out.par_chunks_mut(TASK).zip(gate.par_chunks(TASK)).zip(up.par_chunks(TASK)).for_each(
        |((out, gate), up)| {
            vectorised(
                #[inline(always)]
                || {
                    for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
                        // exp() is valid up to 88; silu(-80) is 0 in f32 anyway.
                        *out = gate / (1.0 + exp((-gate).min(80.0))) * up;
                    }
                },
            );
        },
    );
    out
}

/// `(up + 1) * gate / (1 + exp(-alpha gate))`, with the gate at most `limit` and up from `-limit` to `limit`.
pub(in super::super) fn clamped_product(gate: &[f32], up: &[f32], alpha: f32, limit: f32) -> Vec<f32> {
    let mut out = vec![0.0; gate.len()];
    out.par_chunks_mut(TASK).zip(gate.par_chunks(TASK)).zip(up.par_chunks(TASK)).for_each(
        |((out, gate), up)| {
            vectorised(
                #[inline(always)]
                || {
                    for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
                        // Not by f32::min and max, which turn NaN into a bound.
                        let gate = if gate > limit { limit } else { gate };
                        let up = if up > limit { limit } else { up };
                        let up = if up < -limit { -limit } else { up };
                        // exp() is valid up to 88; there the product is 0 in f32 anyway.
                        *out = (up + 1.0) * gate / (1.0 + exp((-alpha * gate).min(80.0)));
                    }
                },
            );
        },
    );
    out
}

/// gelu by its tanh approximation: `x / (1 + exp(-2 sqrt(2 / pi) (x + 0.044715 x^3)))`.
pub(in super::super) fn gelu_tanh(x: &[f32]) -> Vec<f32> {
    const TWICE: f32 = 2.0 * 0.797_884_6;
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(out, x)| {
        vectorised(
            #[inline(always)]
            || {
                for (out, &x) in out.iter_mut().zip(x) {
                    let inner = TWICE * (x + 0.044_715 * x * x * x);
                    // exp() is valid up to 88, and gelu is 0 in f32 long before.
                    *out = x / (1.0 + exp((-inner).min(80.0)));
                }
            },
        );
    });
    out
}

/// `cap tanh(x / cap)`.
pub(in super::super) fn soft_cap(x: &[f32], cap: f32) -> Vec<f32> {
    let mut out = x.to_vec();
    out.par_chunks_mut(TASK).for_each(|out| {
        vectorised(
            #[inline(always)]
            || soft_cap_in_place(out, cap),
        );
    });
    out
}

/// Each row of `x` minus its mean, divided by its standard deviation, times `weight` plus `bias`.
pub(in super::super) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Vec<f32> {
    let width = weight.len();
    let rows = (TASK / width).max(1) * width;
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(rows).zip(x.par_chunks(rows)).for_each(|(out, x)| {
        vectorised(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    let mean = sum_of(x) / width as f32;
                    out.iter_mut().zip(x).for_each(|(out, &x)| *out = x - mean);
                    let scale = 1.0 / (sum_of_squares(out) / width as f32 + epsilon).sqrt();
                    for ((out, &weight), &bias) in out.iter_mut().zip(weight).zip(bias) {
                        *out = *out * scale * weight + bias;
                    }
                }
            },
        );
    });
    out
}

/// Each row of `x` divided by its root mean square, times `weight`.
pub(in super::super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f32> {
    let width = weight.len();
    let rows = (TASK / width).max(1) * width;
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(rows).zip(x.par_chunks(rows)).for_each(|(out, x)| {
        vectorised(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    let scale = 1.0 / (sum_of_squares(x) / width as f32 + epsilon).sqrt();
                    for ((out, &x), &weight) in out.iter_mut().zip(x).zip(weight) {
                        *out = x * scale * weight;
                    }
                }
            },
        );
    });
    out
}

/// Rotates every head of every row of `x [rows, heads * dim]` by `table [2, rows, dim / 2]`, cos then
/// sin; dimension `p` turns with `p + dim / 2`.
pub(in super::super) fn rotate(x: &[f32], table: &[f32], rows: usize) -> Vec<f32> {
    let width = x.len() / rows;
    let half = table.len() / 2 / rows;
    let (cos, sin) = table.split_at(rows * half);
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(width).with_min_len(64).zip(x.par_chunks(width)).enumerate().for_each(
        |(row, (out, x))| {
            let (cos, sin) = (&cos[row * half..][..half], &sin[row * half..][..half]);
            vectorised(
                #[inline(always)]
                || {
                    for (out, x) in out.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half)) {
                        rotate_head(out, x, cos, sin);
                    }
                },
            );
        },
    );
    out
}

#[inline(always)]
fn rotate_head(out: &mut [f32], x: &[f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    let (out_low, out_high) = out.split_at_mut(half);
    let (low, high) = x.split_at(half);
    for p in 0..half {
        out_low[p] = low[p] * cos[p] - high[p] * sin[p];
        out_high[p] = high[p] * cos[p] + low[p] * sin[p];
    }
}

/// Pairs of negative log-likelihood and hit (1 or 0) for each row of logits.
pub(in super::super) fn target_scores(logits: &[f32], targets: &[i64]) -> Vec<f32> {
    let vocab = logits.len() / targets.len();
    let score = |(row, &target): (&[f32], &i64)| {
        vectorised(
            #[inline(always)]
            || {
                let target = target as usize;
                let (logit, max) = (row[target], max(row));
                let first = row.iter().position(|&logit| logit == max);
                [sum_of_exp(row, max).ln() + max - logit, f32::from(u8::from(first == Some(target)))]
            },
        )
    };
    logits.par_chunks(vocab).zip(targets).flat_map_iter(score).collect()
}
