//! Cross-entropy over the vocabulary, with the logits of a few rows at a time.

use rayon::prelude::*;

use super::super::matrix::{Matrix, multiply_in_parallel};
use super::super::simd::{exp_sum, max, sum_of_exp, vectorised};

/// Rows whose logits are in memory at a time.
const ROWS: usize = 512;

/// Mean negative log-likelihood of targets, and its gradients.
pub(in crate::cpu) struct Loss {
    pub(in crate::cpu) mean: f32,
    /// `[rows, width]`
    pub(in crate::cpu) of_hidden: Vec<f32>,
    /// `[vocab, width]`
    pub(in crate::cpu) of_head: Vec<f32>,
}

/// Mean negative log-likelihood of `targets` under the logits of `hidden [rows, width]` and `head [vocab,
/// width]`.
pub(in crate::cpu) fn cross_entropy(hidden: &[f32], head: &[f32], targets: &[usize], width: usize) -> f32 {
    let vocab = head.len() / width;
    let score = |(logits, &target): (&[f32], &usize)| {
        vectorised(
            #[inline(always)]
            || {
                let max = max(logits);
                sum_of_exp(logits, max).ln() + max - logits[target]
            },
        )
    };
    let mut losses = Vec::with_capacity(targets.len());
    let mut logits = Vec::new();
    for (hidden, targets) in hidden.chunks(ROWS * width).zip(targets.chunks(ROWS)) {
        multiply_logits(hidden, head, width, &mut logits);
        losses.par_extend(logits.par_chunks(vocab).zip(targets).map(score));
    }
    mean(&losses)
}

/// [`cross_entropy`] with its gradients.
pub(in crate::cpu) fn cross_entropy_gradients(
    hidden: &[f32],
    head: &[f32],
    targets: &[usize],
    width: usize,
) -> Loss {
    let (vocab, share) = (head.len() / width, 1.0 / targets.len() as f32);
    let mut of_hidden = vec![0.0; hidden.len()];
    let mut of_head = vec![0.0; head.len()];
    let mut losses = Vec::with_capacity(targets.len());
    let mut logits = Vec::new();
    let chunks = hidden.chunks(ROWS * width).zip(of_hidden.chunks_mut(ROWS * width));
    for ((hidden, of_hidden), targets) in chunks.zip(targets.chunks(ROWS)) {
        multiply_logits(hidden, head, width, &mut logits);
        losses.par_extend(
            logits.par_chunks_mut(vocab).zip(targets).map(|(logits, &target)| reverse(logits, target, share)),
        );
        let rows = targets.len();
        multiply_in_parallel(
            Matrix::rows(&logits, vocab),
            Matrix::rows(head, width),
            of_hidden,
            [rows, vocab, width],
            false,
        );
        multiply_in_parallel(
            Matrix::columns(&logits, vocab),
            Matrix::rows(hidden, width),
            &mut of_head,
            [vocab, rows, width],
            true,
        );
    }
    Loss { mean: mean(&losses), of_hidden, of_head }
}

/// Turns a row of logits into the loss's gradient with respect to them, times `share`; returns the loss.
fn reverse(logits: &mut [f32], target: usize, share: f32) -> f32 {
    vectorised(
        #[inline(always)]
        || {
            let (logit, max) = (logits[target], max(logits));
            let sum = exp_sum(logits, max);
            let factor = share / sum;
            logits.iter_mut().for_each(|value| *value *= factor);
            logits[target] -= share;
            sum.ln() + max - logit
        },
    )
}

fn multiply_logits(hidden: &[f32], head: &[f32], width: usize, logits: &mut Vec<f32>) {
    let (rows, vocab) = (hidden.len() / width, head.len() / width);
    logits.resize(rows * vocab, 0.0);
    multiply_in_parallel(
        Matrix::rows(hidden, width),
        Matrix::columns(head, width),
        logits,
        [rows, width, vocab],
        false,
    );
}

fn mean(losses: &[f32]) -> f32 {
    (losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64) as f32
}
