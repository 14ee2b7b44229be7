//! Softmax over logits that come in tiles.

use super::simd::{exp, max};

/// Turns scores `[rows, width]` into weights relative to the running maxima, and rescales the sums so far, of
/// values `mixed [rows, dim]` and of their weights. `weigh` turns a row's scores into weights, `exp(score -
/// max)`, and returns their sum.
#[inline(always)]
pub(super) fn online_softmax(
    scores: &mut [f32],
    width: usize,
    mixed: &mut [f32],
    [max_so_far, sum]: [&mut [f32]; 2],
    mut weigh: impl FnMut(usize, &mut [f32], f32) -> f32,
) {
    let dim = mixed.len() / sum.len();
    let rows = scores.chunks_exact_mut(width).zip(mixed.chunks_exact_mut(dim));
    for (row, ((scores, mixed), (max_so_far, sum))) in rows.zip(max_so_far.iter_mut().zip(sum)).enumerate() {
        let new = max(scores).max(*max_so_far);
        // In a row that has not seen a key yet every weight is 0.
        let added = weigh(row, scores, if new == f32::NEG_INFINITY { 0.0 } else { new });
        if new > *max_so_far {
            let shrink = exp(*max_so_far - new);
            mixed.iter_mut().for_each(|value| *value *= shrink);
            *sum *= shrink;
            *max_so_far = new;
        }
        *sum += added;
    }
}
