//! Exact windowed attention at about the price of one attention, without a score matrix.
//!
//! Blocks of query rows of one key head are the parallel tasks. For a block, the keys fall into three
//! ranges: all far, a band that needs both rotations, all near (see [`super::super::attention`]). Each
//! range goes in tiles with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022), so that
//! scores live in the cache. The query heads that share a key head stand below one another in one
//! product.

use std::ops::Range;

use rayon::prelude::*;

use super::Heads;
use super::matrix::{Matrix, multiply};
use super::simd::{exp_sum, max, vectorised};

/// Keys in a tile.
const TILE: usize = 256;

/// Query rows, of all heads that share a key head, that a block aims at.
const ROWS: usize = 192;

/// Inputs of [`super::AttentionKernel::relative_attention`].
pub(super) struct Inputs<'a> {
    pub(super) near: Rotated<'a>,
    /// Not read without a window.
    pub(super) far: Rotated<'a>,
    /// `[keys, kv_heads * dim]`
    pub(super) value: &'a [f32],
    pub(super) heads: Heads,
    /// Distances from here on use the far rotation.
    pub(super) window: Option<usize>,
    /// Position of the first query row.
    pub(super) first: usize,
}

/// Queries `[rows, heads * dim]` and keys `[keys, kv_heads * dim]` under one rotation.
#[derive(Clone, Copy)]
pub(super) struct Rotated<'a> {
    pub(super) query: &'a [f32],
    pub(super) key: &'a [f32],
}

/// `[rows, heads * dim]`.
pub(super) fn attend(inputs: &Inputs) -> Vec<f32> {
    let Heads { queries, keys, dim } = inputs.heads;
    let rows = inputs.near.query.len() / (queries * dim);
    let width = queries / keys * dim;
    let block = (ROWS * keys / queries).clamp(16, 128);
    let mut by_head = vec![0.0; inputs.near.query.len()];
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
    near_query: Vec<f32>,
    far_query: Vec<f32>,
    scores: Vec<f32>,
    far_scores: Vec<f32>,
    /// Weighted sum of values so far, by the running maximum, `[height, dim]`.
    mixed: Vec<f32>,
    /// Running maximum and sum of each row.
    max: Vec<f32>,
    sum: Vec<f32>,
}

/// Which rotation the scores of a key range use.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Near,
    Far,
    Band,
}

impl Block<'_> {
    /// Attention of the block's rows, into `out [rows, group * dim]`.
    fn attend(&self, scratch: &mut Scratch, out: &mut [f32]) {
        let dim = self.inputs.heads.dim;
        let height = self.height();
        self.stack(self.inputs.near.query, &mut scratch.near_query);
        if self.inputs.window.is_some() {
            self.stack(self.inputs.far.query, &mut scratch.far_query);
            scratch.far_scores.resize(height * TILE, 0.0);
        }
        scratch.scores.resize(height * TILE, 0.0);
        scratch.mixed.clear();
        scratch.mixed.resize(height * dim, 0.0);
        scratch.max.clear();
        scratch.max.resize(height, f32::NEG_INFINITY);
        scratch.sum.clear();
        scratch.sum.resize(height, 0.0);
        for (side, range) in self.ranges() {
            for start in range.clone().step_by(TILE) {
                self.tile(side, start..(start + TILE).min(range.end), scratch);
            }
        }
        self.write(scratch, out);
    }

    /// Positions of the block's rows.
    fn tokens(&self) -> Range<usize> {
        self.inputs.first + self.rows.start..self.inputs.first + self.rows.end
    }

    /// Query heads of one key head.
    fn group(&self) -> usize {
        self.inputs.heads.queries / self.inputs.heads.keys
    }

    /// The block's rows for each query head of its key head, below one another.
    fn height(&self) -> usize {
        self.group() * self.rows.len()
    }

    /// Key ranges, first to last. The first holds key 0, which every row sees, so that running maxima
    /// are finite from the first tile on.
    fn ranges(&self) -> Vec<(Side, Range<usize>)> {
        let Range { start, end } = self.tokens();
        let Some(window) = self.inputs.window else { return vec![(Side::Near, 0..end)] };
        let first_band = (start + 1).saturating_sub(window);
        let first_near = end.saturating_sub(window).max(first_band);
        let ranges =
            [(Side::Far, 0..first_band), (Side::Band, first_band..first_near), (Side::Near, first_near..end)];
        ranges.into_iter().filter(|(_, range)| !range.is_empty()).collect()
    }

    /// The block's queries, `[group, rows, dim]`.
    fn stack(&self, query: &[f32], stacked: &mut Vec<f32>) {
        let Heads { queries, dim, .. } = self.inputs.heads;
        stacked.clear();
        for head in self.key_head * self.group()..(self.key_head + 1) * self.group() {
            for row in self.rows.clone() {
                stacked.extend_from_slice(&query[(row * queries + head) * dim..][..dim]);
            }
        }
    }

    /// Scores of a tile of keys, and the values they add.
    fn tile(&self, side: Side, keys: Range<usize>, scratch: &mut Scratch) {
        let (height, dim) = (self.height(), self.inputs.heads.dim);
        let stride = self.inputs.heads.keys * dim;
        let first = keys.start * stride + self.key_head * dim;
        let width = keys.len();
        let Scratch { near_query, far_query, scores, far_scores, mixed, max, sum } = scratch;
        let scores = &mut scores[..height * width];
        let product = |query: &[f32], keys: &[f32], scores: &mut [f32]| {
            multiply(
                Matrix::rows(query, dim),
                Matrix::columns(&keys[first..], stride),
                scores,
                [height, dim, width],
                false,
            );
        };
        match side {
            Side::Near => product(near_query, self.inputs.near.key, scores),
            Side::Far => product(far_query, self.inputs.far.key, scores),
            Side::Band => {
                let far_scores = &mut far_scores[..height * width];
                product(near_query, self.inputs.near.key, scores);
                product(far_query, self.inputs.far.key, far_scores);
                self.choose(&keys, scores, far_scores);
            }
        }
        if keys.end > self.tokens().start + 1 {
            self.mask_later(&keys, scores);
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

    /// Puts the far scores where the distance is at least the window.
    fn choose(&self, keys: &Range<usize>, scores: &mut [f32], far_scores: &[f32]) {
        let window = self.inputs.window.unwrap_or(usize::MAX);
        let width = keys.len();
        for (row, (scores, far)) in
            scores.chunks_exact_mut(width).zip(far_scores.chunks_exact(width)).enumerate()
        {
            let token = self.tokens().start + row % self.rows.len();
            let far_keys = (token + 1).saturating_sub(window).clamp(keys.start, keys.end) - keys.start;
            scores[..far_keys].copy_from_slice(&far[..far_keys]);
        }
    }

    /// Masks the keys after each row's token.
    fn mask_later(&self, keys: &Range<usize>, scores: &mut [f32]) {
        for (row, scores) in scores.chunks_exact_mut(keys.len()).enumerate() {
            let token = self.tokens().start + row % self.rows.len();
            let seen = (token + 1).clamp(keys.start, keys.end) - keys.start;
            scores[seen..].fill(f32::NEG_INFINITY);
        }
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
