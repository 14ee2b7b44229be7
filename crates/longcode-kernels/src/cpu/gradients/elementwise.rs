//! Backward passes of the parts of a layer between its matrix products.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use rayon::prelude::*;

use super::super::elementwise::TASK;
use super::super::simd::{dot, exp, sum_of_squares, vectorised};
use super::super::tensor;

/// Gradients of `silu(gate) * up` with respect to `gate` and `up`.
pub(super) fn silu_product(gate: &[f32], up: &[f32], grad: &[f32]) -> [Vec<f32>; 2] {
    let (mut of_gate, mut of_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
    let outputs = of_gate.par_chunks_mut(TASK).zip(of_up.par_chunks_mut(TASK));
    let inputs = gate.par_chunks(TASK).zip(up.par_chunks(TASK)).zip(grad.par_chunks(TASK));
    outputs.zip(inputs).for_each(|((of_gate, of_up), ((gate, up), grad))| {
        vectorised(
            #[inline(always)]
            || {
                let outputs = of_gate.iter_mut().zip(of_up);
                for ((of_gate, of_up), ((&gate, &up), &grad)) in outputs.zip(gate.iter().zip(up).zip(grad)) {
                    // As in the forward pass, exp() is valid up to 88.
                    let sigmoid = 1.0 / (1.0 + exp((-gate).min(80.0)));
                    *of_gate = grad * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
                    *of_up = grad * gate * sigmoid;
                }
            },
        );
    });
    [of_gate, of_up]
}

/// Gradients of the root mean square norm with respect to `x` and `weight`.
///
/// With `r = 1 / sqrt(mean(x^2) + epsilon)`: for `x_i` it is `r (w_i g_i - x_i r^2 mean(w g x))`, for `w_i`
/// the sum over rows of `g_i x_i r`.
pub(super) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, grad: &[f32]) -> [Vec<f32>; 2] {
    let width = weight.len();
    let rows = (TASK / width).max(1) * width;
    let mut of_x = vec![0.0; x.len()];
    let of_weight: Vec<Vec<f32>> = of_x
        .par_chunks_mut(rows)
        .zip(x.par_chunks(rows))
        .zip(grad.par_chunks(rows))
        .map(|((of_x, x), grad)| {
            let mut of_weight = vec![0.0; width];
            vectorised(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
                    for (of_x, (x, grad)) in of_x.chunks_exact_mut(width).zip(rows) {
                        rms_norm_row(x, weight, epsilon, grad, of_x, &mut of_weight);
                    }
                },
            );
            of_weight
        })
        .collect();
    [of_x, sum(of_weight, width)]
}

#[inline(always)]
fn rms_norm_row(
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    grad: &[f32],
    of_x: &mut [f32],
    of_weight: &mut [f32],
) {
    let width = x.len() as f32;
    let scale = 1.0 / (sum_of_squares(x) / width + epsilon).sqrt();
    for ((of_x, &grad), &weight) in of_x.iter_mut().zip(grad).zip(weight) {
        *of_x = grad * weight;
    }
    let shrink = dot(of_x, x) * scale * scale / width;
    for ((of_x, of_weight), (&x, &grad)) in of_x.iter_mut().zip(of_weight).zip(x.iter().zip(grad)) {
        *of_x = scale * (*of_x - x * shrink);
        *of_weight += grad * x * scale;
    }
}

/// The sum of vectors, from first to last.
fn sum(parts: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part;
        }
    }
    total
}

/// `values * factor`.
pub(super) fn scaled(values: FloatTensor<Flex>, factor: f32) -> FloatTensor<Flex> {
    if factor == 1.0 {
        return values;
    }
    let shape = values.layout().shape().clone();
    tensor(values.storage::<f32>().par_iter().with_min_len(TASK).map(|value| value * factor).collect(), shape)
}
