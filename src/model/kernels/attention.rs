//! Exact attention of several zones at about the price of one attention, without a score matrix.
//!
//! Blocks of query rows of one key head are the parallel tasks. For a block, the keys that it sees fall
//! into stretches, most of one rotation, some of two (see [`super::super::attention`]). Each
//! stretch goes in tiles with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022), so that
//! scores live in the cache. The query heads that share a key head stand below one another in one
//! product.

use std::ops::Range;

use rayon::prelude::*;

use super::super::attention::{Sight, Stretch, Turn, rows_of};
use super::matrix::{Matrix, multiply};
use super::simd::{exp_sum, max, vectorised};
use super::{Heads, MAX_TURNS};

/// Keys in a tile.
const TILE: usize = 256;

/// Query rows, of all heads that share a key head, that a block aims at.
const ROWS: usize = 192;

/// Inputs of [`super::AttentionKernel::relative_attention`].
pub(super) struct Inputs<'a> {
    /// `[rows, heads * dim]` by each rotation.
    pub(super) queries: [&'a [f32]; MAX_TURNS],
    /// `[keys, kv_heads * dim]` by each rotation.
    pub(super) keys: [&'a [f32]; MAX_TURNS],
    /// `[keys, kv_heads * dim]`
    pub(super) value: &'a [f32],
    pub(super) heads: Heads,
    pub(super) sight: &'a Sight,
    /// Positions that keys and values have no rows for.
    pub(super) lost: Range<usize>,
}

/// `[rows, heads * dim]`.
pub(super) fn attend(inputs: &Inputs) -> Vec<f32> {
    let Heads { queries, keys, dim } = inputs.heads;
    let rows = inputs.sight.rows();
    let width = queries / keys * dim;
    let block = (ROWS * keys / queries).clamp(16, 128);
    let mut by_head = vec![0.0; rows * queries * dim];
    let tasks: Vec<_> = by_head
        .chunks_mut(rows * width)
        .enumerate()
        .flat_map(|(key_head, out)| {
            out.chunks_mut(block * width).enumerate().map(move |(number, out)| {
                let start = number * block;
                (Block { inputs, key_head, rows: start..start + out.len() / width }, out)
            })
        })
        .collect();
    // One block a task: late blocks see more keys than early ones, and stealing evens that out.
    tasks
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(Scratch::default, |scratch, (block, out)| block.attend(scratch, out));
    interleave(by_head, keys, width)
}

/// `[groups, rows, width]` as `[rows, groups * width]`.
fn interleave(by_group: Vec<f32>, groups: usize, width: usize) -> Vec<f32> {
    if groups == 1 {
        return by_group;
    }
    let group = by_group.len() / groups;
    let mut out = vec![0.0; by_group.len()];
    out.par_chunks_mut(groups * width).with_min_len(64).enumerate().for_each(|(row, out)| {
        for (n, out) in out.chunks_exact_mut(width).enumerate() {
            out.copy_from_slice(&by_group[n * group + row * width..][..width]);
        }
    });
    out
}

/// Rotates every head of every row of `x [rows, heads * dim]` by `table [2, rows, dim / 2]`, cos then
/// sin; dimension `p` turns with `p + dim / 2`.
pub(super) fn rotate(x: &[f32], table: &[f32], rows: usize) -> Vec<f32> {
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

/// Query rows of one key head's query heads, and what their tiles need.
struct Block<'a> {
    inputs: &'a Inputs<'a>,
    key_head: usize,
    rows: Range<usize>,
}

/// Buffers of a block.
#[derive(Default)]
struct Scratch {
    /// The block's queries by each rotation, `[group, rows, dim]`; empty where it meets no zone of it.
    queries: [Vec<f32>; MAX_TURNS],
    scores: Vec<f32>,
    /// Scores by another rotation.
    other_scores: Vec<f32>,
    /// Weighted sum of values so far, by the running maximum, `[height, dim]`.
    mixed: Vec<f32>,
    /// Running maximum and sum of each row.
    max: Vec<f32>,
    sum: Vec<f32>,
}

impl Block<'_> {
    /// Attention of the block's rows, into `out [rows, group * dim]`.
    fn attend(&self, scratch: &mut Scratch, out: &mut [f32]) {
        let dim = self.inputs.heads.dim;
        let height = self.height();
        let stretches = self.inputs.sight.stretches(self.rows.clone());
        scratch.queries.iter_mut().for_each(Vec::clear);
        for &zone in stretches.iter().flat_map(|stretch| &stretch.zones) {
            let query = self.turn(zone).query;
            if scratch.queries[query].is_empty() {
                self.stack(self.inputs.queries[query], &mut scratch.queries[query]);
            }
        }
        scratch.scores.resize(height * TILE, 0.0);
        scratch.other_scores.resize(height * TILE, 0.0);
        scratch.mixed.clear();
        scratch.mixed.resize(height * dim, 0.0);
        scratch.max.clear();
        scratch.max.resize(height, f32::NEG_INFINITY);
        scratch.sum.clear();
        scratch.sum.resize(height, 0.0);
        for Stretch { keys, zones } in &stretches {
            for start in keys.clone().step_by(TILE) {
                self.tile(zones, start..(start + TILE).min(keys.end), scratch);
            }
        }
        self.write(scratch, out);
    }

    fn turn(&self, zone: usize) -> Turn {
        self.inputs.sight.turn(zone).expect("a stretch names zones that are seen")
    }

    /// Query heads of one key head.
    fn group(&self) -> usize {
        self.inputs.heads.queries / self.inputs.heads.keys
    }

    /// The block's rows for each query head of its key head, below one another.
    fn height(&self) -> usize {
        self.group() * self.rows.len()
    }

    /// The block's queries, `[group, rows, dim]`.
    fn stack(&self, query: &[f32], stacked: &mut Vec<f32>) {
        let Heads { queries, dim, .. } = self.inputs.heads;
        for head in self.key_head * self.group()..(self.key_head + 1) * self.group() {
            for row in self.rows.clone() {
                stacked.extend_from_slice(&query[(row * queries + head) * dim..][..dim]);
            }
        }
    }

    /// Scores of a tile of keys, which the rows see in these zones, and the values they add.
    fn tile(&self, zones: &[usize], keys: Range<usize>, scratch: &mut Scratch) {
        let (height, dim) = (self.height(), self.inputs.heads.dim);
        let stride = self.inputs.heads.keys * dim;
        let first = rows_of(&keys, &self.inputs.lost).start * stride + self.key_head * dim;
        let width = keys.len();
        let Scratch { queries, scores, other_scores, mixed, max, sum } = scratch;
        let scores = &mut scores[..height * width];
        let product = |zone: usize, scores: &mut [f32]| {
            let turn = self.turn(zone);
            multiply(
                Matrix::rows(&queries[turn.query], dim),
                Matrix::columns(&self.inputs.keys[turn.key][first..], stride),
                scores,
                [height, dim, width],
                false,
            );
        };
        let (zone, others) = zones.split_first().expect("a stretch is seen in a zone");
        product(*zone, scores);
        for &zone in others {
            let other_scores = &mut other_scores[..height * width];
            product(zone, other_scores);
            self.choose(zone, &keys, scores, other_scores);
        }
        if !(others.is_empty() && self.inputs.sight.all_in(*zone, &self.rows, &keys)) {
            self.mask_unseen(&keys, scores);
        }
        vectorised(
            #[inline(always)]
            || online_softmax(scores, width, mixed, dim, max, sum),
        );
        multiply(
            Matrix::rows(scores, width),
            Matrix::rows(&self.inputs.value[first..], stride),
            mixed,
            [height, width, dim],
            true,
        );
    }

    /// Takes the scores of the keys that each row has in a zone.
    fn choose(&self, zone: usize, keys: &Range<usize>, scores: &mut [f32], of_zone: &[f32]) {
        let width = keys.len();
        let rows = scores.chunks_exact_mut(width).zip(of_zone.chunks_exact(width));
        for (row, (scores, of_zone)) in rows.enumerate() {
            let inside = self.columns(zone, row, keys);
            scores[inside.clone()].copy_from_slice(&of_zone[inside]);
        }
    }

    /// Masks the keys that each row does not see.
    fn mask_unseen(&self, keys: &Range<usize>, scores: &mut [f32]) {
        let sight = self.inputs.sight;
        for zone in (0..sight.zones()).filter(|&zone| sight.turn(zone).is_none()) {
            for (row, scores) in scores.chunks_exact_mut(keys.len()).enumerate() {
                scores[self.columns(zone, row, keys)].fill(f32::NEG_INFINITY);
            }
        }
    }

    /// Columns of a tile that a row of the block, counted with all its heads, has in a zone.
    fn columns(&self, zone: usize, row: usize, keys: &Range<usize>) -> Range<usize> {
        let inside = self.inputs.sight.keys(zone, self.rows.start + row % self.rows.len());
        let column = |key: usize| key.clamp(keys.start, keys.end) - keys.start;
        column(inside.start)..column(inside.end)
    }

    /// Divides by the sums and puts the rows where their heads belong.
    fn write(&self, scratch: &Scratch, out: &mut [f32]) {
        let (dim, rows) = (self.inputs.heads.dim, self.rows.len());
        for (row, (mixed, sum)) in scratch.mixed.chunks_exact(dim).zip(&scratch.sum).enumerate() {
            let out = &mut out[(row % rows * self.group() + row / rows) * dim..][..dim];
            for (out, mixed) in out.iter_mut().zip(mixed) {
                *out = mixed / sum;
            }
        }
    }
}

/// Turns scores `[rows, width]` into weights by the running maxima, and rescales what was summed so far.
#[inline(always)]
fn online_softmax(
    scores: &mut [f32],
    width: usize,
    mixed: &mut [f32],
    dim: usize,
    max_so_far: &mut [f32],
    sum: &mut [f32],
) {
    let rows =
        scores.chunks_exact_mut(width).zip(mixed.chunks_exact_mut(dim)).zip(max_so_far.iter_mut().zip(sum));
    for ((scores, mixed), (max_so_far, sum)) in rows {
        let new = max(scores).max(*max_so_far);
        if new == f32::NEG_INFINITY {
            // The row has not seen a key yet.
            scores.fill(0.0);
            continue;
        }
        let added = exp_sum(scores, new);
        if new > *max_so_far {
            let shrink = super::simd::exp(*max_so_far - new);
            mixed.iter_mut().for_each(|value| *value *= shrink);
            *sum *= shrink;
            *max_so_far = new;
        }
        *sum += added;
    }
}
