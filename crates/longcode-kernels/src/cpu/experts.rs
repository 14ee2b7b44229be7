//! Experts: feed-forward parts of which each row goes through a few.
//!
//! Rows are grouped by expert. An expert's rows are gathered, go through its three products together, and are
//! added to the result by their weights; an expert without rows costs nothing.

use rayon::prelude::*;

use super::elementwise::{clamped_product, silu_product};
use super::product::{self, Operand};
use super::shared::Shared;
use crate::stored::StoredTensor;
use crate::{Assigned, Precision};

/// Most rows an expert for which experts run side by side: then each product alone is too small for all threads.
const FEW: usize = 4;

/// How the results of an expert's gate and up maps become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExpertGate {
    /// `silu(gate) * up`.
    Silu,
    /// `(up + 1) * gate / (1 + exp(-alpha gate))`, with the gate at most `limit` and up from `-limit` to `limit`
    /// (gpt-oss).
    Clamped {
        /// Steepness of the gate.
        alpha: f32,
        /// Bound of both.
        limit: f32,
    },
}

/// The feed-forward part `down(g(gate(x), up(x)))` of one expert, as a checkpoint stores it.
#[derive(Debug)]
pub struct StoredExpert {
    /// `[inner, width]`
    pub gate: StoredTensor,
    /// `[inner, width]`
    pub up: StoredTensor,
    /// `[width, inner]`
    pub down: StoredTensor,
    /// Biases of the three maps; none if they have none.
    pub biases: Option<[Vec<f32>; 3]>,
    /// `g`.
    pub activation: ExpertGate,
}

impl StoredExpert {
    /// `x` and the result are `[rows, width]`.
    fn forward(&self, x: &[f32], precision: Precision) -> Vec<f32> {
        let operand = Operand::default();
        let map = |x: &[f32], weight, number: usize, operand: &Operand| {
            let mut made = product::product(x, weight, precision, operand);
            if let Some(biases) = &self.biases {
                let bias = &biases[number];
                made.par_chunks_mut(bias.len()).with_min_len(16).for_each(|made| {
                    made.iter_mut().zip(bias).for_each(|(made, bias)| *made += bias);
                });
            }
            made
        };
        let [gate, up] = [map(x, &self.gate, 0, &operand), map(x, &self.up, 1, &operand)];
        let inner = match self.activation {
            ExpertGate::Silu => silu_product(&gate, &up),
            ExpertGate::Clamped { alpha, limit } => clamped_product(&gate, &up, alpha, limit),
        };
        map(&inner, &self.down, 2, &Operand::default())
    }
}

/// The sum over the experts of each row of `x [rows, width]`, by their weights: `[rows, width]`.
pub(super) fn experts(
    x: &[f32],
    width: usize,
    assigned: &[Assigned],
    experts: &[StoredExpert],
    precision: Precision,
) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let made = |assigned: &Assigned| {
        experts[assigned.expert].forward(&gathered(x, width, &assigned.rows), precision)
    };
    if assigned.iter().all(|assigned| assigned.rows.len() <= FEW) {
        let made: Vec<_> = assigned.par_iter().with_max_len(1).map(made).collect();
        assigned.iter().zip(&made).for_each(|(assigned, made)| add(&mut out, width, assigned, made));
    } else {
        assigned.iter().for_each(|assigned| add(&mut out, width, assigned, &made(assigned)));
    }
    out
}

/// Some rows of `x [.., width]`.
fn gathered(x: &[f32], width: usize, rows: &[usize]) -> Vec<f32> {
    let mut gathered = Vec::with_capacity(rows.len() * width);
    rows.iter().for_each(|row| gathered.extend_from_slice(&x[row * width..(row + 1) * width]));
    gathered
}

/// Adds an expert's result, `[its rows, width]`, to `out [rows, width]`.
fn add(out: &mut Vec<f32>, width: usize, assigned: &Assigned, made: &[f32]) {
    let shared = Shared::new(out);
    let rows = assigned.rows.par_iter().zip(&assigned.weights).zip(made.par_chunks_exact(width));
    rows.with_min_len(16).for_each(|((row, weight), made)| {
        // SAFETY: an expert has a row once, so no other task has this part.
        let out = unsafe { shared.part(row * width, width) };
        out.iter_mut().zip(made).for_each(|(out, made)| *out += weight * made);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::{Bytes, Format};

    fn matrix(shape: [usize; 2], value: impl Fn(usize) -> f32) -> StoredTensor {
        let bytes = (0..shape[0] * shape[1]).flat_map(|n| value(n).to_le_bytes()).collect();
        StoredTensor {
            file: "test".into(),
            shape: shape.to_vec(),
            format: Format::f32(),
            bytes: Bytes::Owned(bytes),
        }
    }

    /// Few rows, many rows, an expert without rows, a row without experts.
    #[test]
    fn experts_are_summed_by_their_weights() {
        let (width, inner) = (6, 5);
        let number = |seed: usize, n: usize| ((seed * 31 + n * 17) % 13) as f32 / 6.0 - 1.0;
        let all: Vec<StoredExpert> = (0..3)
            .map(|expert| StoredExpert {
                gate: matrix([inner, width], |n| number(expert, n)),
                up: matrix([inner, width], |n| number(expert + 7, n)),
                down: matrix([width, inner], |n| number(expert + 11, n)),
                biases: (expert == 2)
                    .then(|| [5, 5, 6].map(|width| (0..width).map(|n| number(3, n)).collect())),
                activation: match expert {
                    2 => ExpertGate::Clamped { alpha: 1.7, limit: 0.9 },
                    _ => ExpertGate::Silu,
                },
            })
            .collect();
        for rows in [3, 40] {
            let x: Vec<f32> = (0..rows * width).map(|n| number(5, n)).collect();
            let of = |expert: usize, rows: Vec<usize>| Assigned {
                expert,
                weights: rows.iter().map(|row| 0.25 + (row % 3) as f32).collect(),
                rows,
            };
            let assigned = [of(0, (0..rows - 1).collect()), of(2, vec![1])];
            let ours = experts(&x, width, &assigned, &all, Precision::F32);
            let mut theirs = vec![0f64; x.len()];
            for assigned in &assigned {
                let expert = &all[assigned.expert];
                for (&row, &weight) in assigned.rows.iter().zip(&assigned.weights) {
                    let x: Vec<f64> = x[row * width..(row + 1) * width].iter().map(|&x| x.into()).collect();
                    let map = |weight, number: usize, x: &[f64]| {
                        let mut made = dot(weight, x);
                        if let Some(biases) = &expert.biases {
                            made.iter_mut().zip(&biases[number]).for_each(|(y, &b)| *y += f64::from(b));
                        }
                        made
                    };
                    let inner: Vec<f64> = map(&expert.gate, 0, &x)
                        .into_iter()
                        .zip(map(&expert.up, 1, &x))
                        .map(|(gate, up)| match expert.activation {
                            ExpertGate::Silu => gate / (1.0 + (-gate).exp()) * up,
                            ExpertGate::Clamped { alpha, limit } => {
                                let (alpha, limit) = (f64::from(alpha), f64::from(limit));
                                let (gate, up) = (gate.min(limit), up.clamp(-limit, limit));
                                (up + 1.0) * gate / (1.0 + (-alpha * gate).exp())
                            }
                        })
                        .collect();
                    let made = map(&expert.down, 2, &inner);
                    theirs[row * width..].iter_mut().zip(made).for_each(|(sum, made)| {
                        *sum += f64::from(weight) * made;
                    });
                }
            }
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert!((f64::from(*ours) - theirs).abs() < 1e-4, "{rows}: {ours} for {theirs}");
            }
        }
    }

    fn dot(weight: &StoredTensor, x: &[f64]) -> Vec<f64> {
        let values = weight.values();
        values
            .chunks_exact(x.len())
            .map(|row| row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum())
            .collect()
    }
}
