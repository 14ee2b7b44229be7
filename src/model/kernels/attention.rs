//! Exact windowed attention at about the price of one attention, without a score matrix.
//!
//! Blocks of queries are the parallel tasks. For a block, the keys fall into three ranges: all far, a
//! band that needs both rotations, all near (see [`super::super::attention`]). Each range goes in tiles
//! with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022), so that scores live in the
//! cache. The query heads that share a key head stand below one another in one product.

use std::ops::Range;

use rayon::prelude::*;

use super::Heads;
use super::simd::{exp_sum, max, vectorised};

/// Keys in a tile.
const TILE: usize = 256;

/// Query rows, of all heads that share a key head, that a block aims at.
const ROWS: usize = 192;

/// Inputs of [`super::CpuKernels::relative_attention`].
pub(super) struct Inputs<'a> {
    /// `[tokens, heads * dim]`
    pub(super) query: &'a [f32],
    /// `[tokens, kv_heads * dim]`
    pub(super) key: &'a [f32],
    /// `[tokens, kv_heads * dim]`
    pub(super) value: &'a [f32],
    /// `[4 or 8, tokens, dim / 2]`
    pub(super) tables: &'a [f32],
    pub(super) heads: Heads,
    /// Distances from here on use the far tables.
    pub(super) window: Option<usize>,
}

/// cos and sin of every token, `[tokens, dim / 2]` each.
#[derive(Clone, Copy)]
struct Table<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
}

impl Inputs<'_> {
    fn tokens(&self) -> usize {
        self.query.len() / (self.heads.queries * self.heads.dim)
    }

    /// Table `number` in the order near query, near key, far query, far key.
    fn table(&self, number: usize) -> Table<'_> {
        let size = self.tokens() * self.heads.dim / 2;
        let part = |n: usize| &self.tables[n * size..(n + 1) * size];
        Table { cos: part(2 * number), sin: part(2 * number + 1) }
    }
}

/// A block's query tokens and what its tiles need.
struct Block<'a> {
    inputs: &'a Inputs<'a>,
    /// Keys rotated near, `[tokens, kv_heads * dim]`.
    near_keys: &'a [f32],
    /// Keys rotated far, where there is a window.
    far_keys: &'a [f32],
    tokens: Range<usize>,
}

/// `[tokens, heads * dim]`.
pub(super) fn attend(inputs: &Inputs) -> Vec<f32> {
    let Heads { queries, keys, dim } = inputs.heads;
    let near_keys = rotate_all(inputs.key, inputs.table(1), dim);
    let far_keys = inputs.window.map(|_| rotate_all(inputs.key, inputs.table(3), dim)).unwrap_or_default();
    let block = (ROWS * keys / queries).clamp(16, 128);
    let mut out = vec![0.0; inputs.query.len()];
    let row = queries * dim;
    // One block a task: late blocks see more keys than early ones, and stealing evens that out.
    out.par_chunks_mut(block * row).with_max_len(1).enumerate().for_each(|(number, out)| {
        let start = number * block;
        let tokens = start..start + out.len() / row;
        let block = Block { inputs, near_keys: &near_keys, far_keys: &far_keys, tokens };
        let mut scratch = Scratch::default();
        for key_head in 0..keys {
            block.attend(key_head, &mut scratch, out);
        }
    });
    out
}

/// Every head of every token rotated, in the layout of `x`.
fn rotate_all(x: &[f32], table: Table, dim: usize) -> Vec<f32> {
    let half = dim / 2;
    let width = x.len() * half / table.cos.len();
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(width).with_min_len(64).zip(x.par_chunks(width)).enumerate().for_each(
        |(token, (out, x))| {
            let (cos, sin) = (&table.cos[token * half..][..half], &table.sin[token * half..][..half]);
            vectorised(
                #[inline(always)]
                || {
                    for (out, x) in out.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
                        rotate(out, x, cos, sin);
                    }
                },
            );
        },
    );
    out
}

/// Rotates one vector, dimension `p` with `p + h`.
#[inline(always)]
fn rotate(out: &mut [f32], x: &[f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    let (out_low, out_high) = out.split_at_mut(half);
    let (low, high) = x.split_at(half);
    for p in 0..half {
        out_low[p] = low[p] * cos[p] - high[p] * sin[p];
        out_high[p] = high[p] * cos[p] + low[p] * sin[p];
    }
}

/// Buffers of a block, kept between its key heads.
#[derive(Default)]
struct Scratch {
    near_query: Vec<f32>,
    far_query: Vec<f32>,
    scores: Vec<f32>,
    far_scores: Vec<f32>,
    /// Weighted sum of values so far, by the running maximum, `[rows, dim]`.
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
    /// Attention of the block's tokens for the query heads of one key head, into `out [tokens, heads *
    /// dim]` of the block.
    fn attend(&self, key_head: usize, scratch: &mut Scratch, out: &mut [f32]) {
        let dim = self.inputs.heads.dim;
        let rows = self.rows();
        self.rotate_queries(key_head, 0, &mut scratch.near_query);
        if self.inputs.window.is_some() {
            self.rotate_queries(key_head, 2, &mut scratch.far_query);
            scratch.far_scores.resize(rows * TILE, 0.0);
        }
        scratch.scores.resize(rows * TILE, 0.0);
        scratch.mixed.clear();
        scratch.mixed.resize(rows * dim, 0.0);
        scratch.max.clear();
        scratch.max.resize(rows, f32::NEG_INFINITY);
        scratch.sum.clear();
        scratch.sum.resize(rows, 0.0);
        for (side, range) in self.ranges() {
            for start in range.clone().step_by(TILE) {
                self.tile(key_head, side, start..(start + TILE).min(range.end), scratch);
            }
        }
        self.write(key_head, scratch, out);
    }

    /// Query heads of one key head.
    fn group(&self) -> usize {
        self.inputs.heads.queries / self.inputs.heads.keys
    }

    /// Rows of the block: its tokens for each query head of a key head.
    fn rows(&self) -> usize {
        self.group() * self.tokens.len()
    }

    /// Key ranges, first to last. The first holds key 0, which every row sees, so that running maxima
    /// are finite from the first tile on.
    fn ranges(&self) -> Vec<(Side, Range<usize>)> {
        let Range { start, end } = self.tokens;
        let Some(window) = self.inputs.window else { return vec![(Side::Near, 0..end)] };
        let first_band = (start + 1).saturating_sub(window);
        let first_near = end.saturating_sub(window).max(first_band);
        let ranges =
            [(Side::Far, 0..first_band), (Side::Band, first_band..first_near), (Side::Near, first_near..end)];
        ranges.into_iter().filter(|(_, range)| !range.is_empty()).collect()
    }

    /// The block's queries of one key head's group, rotated, `[group, tokens, dim]`.
    fn rotate_queries(&self, key_head: usize, table: usize, rotated: &mut Vec<f32>) {
        let Heads { queries, dim, .. } = self.inputs.heads;
        let (table, half) = (self.inputs.table(table), dim / 2);
        rotated.resize(self.rows() * dim, 0.0);
        let rows = (0..self.group()).flat_map(|member| self.tokens.clone().map(move |token| (member, token)));
        vectorised(
            #[inline(always)]
            || {
                for ((member, token), out) in rows.zip(rotated.chunks_exact_mut(dim)) {
                    let head = key_head * self.group() + member;
                    let x = &self.inputs.query[(token * queries + head) * dim..][..dim];
                    rotate(out, x, &table.cos[token * half..][..half], &table.sin[token * half..][..half]);
                }
            },
        );
    }

    /// Scores of a tile of keys, and the values they add.
    fn tile(&self, key_head: usize, side: Side, keys: Range<usize>, scratch: &mut Scratch) {
        let (rows, dim) = (self.rows(), self.inputs.heads.dim);
        let stride = self.inputs.heads.keys * dim;
        let first = keys.start * stride + key_head * dim;
        let width = keys.len();
        let Scratch { near_query, far_query, scores, far_scores, mixed, max, sum } = scratch;
        let scores = &mut scores[..rows * width];
        let product = |query: &[f32], keys: &[f32], scores: &mut [f32]| {
            multiply(
                Matrix::rows(query, dim),
                Matrix::columns(&keys[first..], stride),
                scores,
                [rows, dim, width],
                false,
            );
        };
        match side {
            Side::Near => product(near_query, self.near_keys, scores),
            Side::Far => product(far_query, self.far_keys, scores),
            Side::Band => {
                let far_scores = &mut far_scores[..rows * width];
                product(near_query, self.near_keys, scores);
                product(far_query, self.far_keys, far_scores);
                self.choose(&keys, scores, far_scores);
            }
        }
        if keys.end > self.tokens.start + 1 {
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
            [rows, width, dim],
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
            let token = self.tokens.start + row % self.tokens.len();
            let far_keys = (token + 1).saturating_sub(window).clamp(keys.start, keys.end) - keys.start;
            scores[..far_keys].copy_from_slice(&far[..far_keys]);
        }
    }

    /// Masks the keys after each row's token.
    fn mask_later(&self, keys: &Range<usize>, scores: &mut [f32]) {
        for (row, scores) in scores.chunks_exact_mut(keys.len()).enumerate() {
            let token = self.tokens.start + row % self.tokens.len();
            let seen = (token + 1).clamp(keys.start, keys.end) - keys.start;
            scores[seen..].fill(f32::NEG_INFINITY);
        }
    }

    /// Divides by the sums and puts the rows where their heads belong.
    fn write(&self, key_head: usize, scratch: &Scratch, out: &mut [f32]) {
        let Heads { queries, dim, .. } = self.inputs.heads;
        let tokens = self.tokens.len();
        for (row, (mixed, sum)) in scratch.mixed.chunks_exact(dim).zip(&scratch.sum).enumerate() {
            let head = key_head * self.group() + row / tokens;
            let out = &mut out[(row % tokens * queries + head) * dim..][..dim];
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

/// A matrix in memory: element `(r, c)` at `r * row_stride + c * column_stride`.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows `stride` apart.
    fn rows(values: &'a [f32], stride: usize) -> Matrix<'a> {
        Matrix { values, row_stride: stride, column_stride: 1 }
    }

    /// Columns `stride` apart: the transpose of [`Matrix::rows`].
    fn columns(values: &'a [f32], stride: usize) -> Matrix<'a> {
        Matrix { values, row_stride: 1, column_stride: stride }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.values.len()
    }
}

/// `out [m, n] (+)= lhs [m, k] rhs [k, n]`, on this thread.
fn multiply(lhs: Matrix, rhs: Matrix, out: &mut [f32], [m, k, n]: [usize; 3], add: bool) {
    assert!(lhs.covers(m, k) && rhs.covers(k, n) && out.len() == m * n, "matrices lie inside their slices");
    // SAFETY: the assertion keeps every access inside the slices, and `out` is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            lhs.values.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.values.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
