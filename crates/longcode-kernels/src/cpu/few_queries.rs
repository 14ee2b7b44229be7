//! Attention of a few queries, as when decoding: limited by reading keys and values, so the threads share
//! them, by key heads and by ranges of keys.

use std::ops::Range;

use rayon::prelude::*;

use super::block::{Block, Scratch};
use super::inputs::Inputs;
use super::simd::exp;
use crate::Heads;

/// Keys of a task.
const KEYS: usize = 512;

/// What some keys contribute to the rows of a key head's query heads.
struct Part {
    max: Vec<f32>,
    sum: Vec<f32>,
    /// `[height, dim]`, relative to the maxima.
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
            let sink = |max| inputs.weight_of_sink(head, max);
            merge(parts, row, sink, &mut out[(row % rows * queries + head) * dim..][..dim]);
        }
    }
    out
}

fn part(block: &Block, keys: Range<usize>, scratch: &mut Scratch) -> Part {
    block.read(keys.clone(), scratch);
    block.read_chosen(keys, scratch);
    Part { max: scratch.max.clone(), sum: scratch.sum.clone(), mixed: scratch.mixed.clone() }
}

/// Merges a row of all parts into `out [dim]`; `sink` gives what a sink adds to the sum of weights.
fn merge(parts: &[Part], row: usize, sink: impl Fn(f32) -> f32, out: &mut [f32]) {
    let dim = out.len();
    let max = parts.iter().map(|part| part.max[row]).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = sink(max);
    for part in parts.iter().filter(|part| part.sum[row] > 0.0) {
        let weight = exp(part.max[row] - max);
        sum += weight * part.sum[row];
        for (out, mixed) in out.iter_mut().zip(&part.mixed[row * dim..][..dim]) {
            *out += weight * mixed;
        }
    }
    out.iter_mut().for_each(|value| *value /= sum);
}
