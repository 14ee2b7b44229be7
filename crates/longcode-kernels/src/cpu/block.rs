//! Attention of a block of query rows of one key head: tiles of keys with an online softmax.
//!
//! The keys that a block sees fall into stretches, most with one rotation, some with two
//! ([`Sight::stretches`]). Each stretch goes in tiles (Milakov and Gimelshein 2018; Dao et al. 2022), so that
//! scores stay in the cache. The query heads that share a key head are stacked in one product.
//!
//! [`Sight::stretches`]: crate::Sight::stretches

use std::ops::Range;

use super::few_rows;
use super::inputs::Inputs;
use super::matrix::{Matrix, multiply};
use super::shared::Shared;
use super::simd::{exp_sum, soft_cap, vectorised};
use super::softmax::online_softmax;
use super::tiled::{Multiplier, Packed, Side};
use crate::chosen::Group;
use crate::sight::{Stretch, Turn, rows_of};
use crate::{Heads, MAX_TURNS};

/// Keys in a tile.
const TILE: usize = 256;

/// Caps scores, where the attention caps its logits.
pub(super) fn cap_scores(inputs: &Inputs, scores: &mut [f32]) {
    if let Some(cap) = inputs.softmax.cap {
        vectorised(
            #[inline(always)]
            || soft_cap(scores, cap),
        );
    }
}

/// [`online_softmax`] with weights in f32.
pub(super) fn softmax_in_f32(scores: &mut [f32], width: usize, mixed: &mut [f32], sums: [&mut [f32]; 2]) {
    vectorised(
        #[inline(always)]
        || {
            online_softmax(
                scores,
                width,
                mixed,
                sums,
                #[inline(always)]
                |_, scores, max| exp_sum(scores, max),
            )
        },
    );
}

/// Query rows of one key head's query heads, and what their tiles need.
pub(super) struct Block<'a> {
    pub(super) inputs: &'a Inputs<'a>,
    /// Keys and values for products in bf16 terms; none if products are f32.
    pub(super) packed: Option<&'a Packed>,
    pub(super) key_head: usize,
    pub(super) rows: Range<usize>,
}

/// Buffers of a block.
#[derive(Default)]
pub(super) struct Scratch {
    /// The block's queries by each rotation, `[group, rows, dim]`; empty if it meets no zone with that
    /// rotation.
    queries: [Vec<f32>; MAX_TURNS],
    /// The left sides of products in bf16 terms: queries by each rotation, and weights.
    sides: [Side; MAX_TURNS],
    weights: Side,
    scores: Vec<f32>,
    /// Scores by a second rotation.
    other_scores: Vec<f32>,
    /// Weighted sum of values so far, relative to the running maximum, `[height, dim]`.
    pub(super) mixed: Vec<f32>,
    /// Running maximum and sum of each row.
    pub(super) max: Vec<f32>,
    pub(super) sum: Vec<f32>,
}

impl Block<'_> {
    /// Attention of the block's rows, written to their places in `out [all rows, heads * dim]`.
    pub(super) fn attend(&self, scratch: &mut Scratch, out: Shared) {
        self.read(0..usize::MAX, scratch);
        self.write(scratch, out);
    }

    /// Weighted sums so far of the values in a range of keys, and of their weights.
    pub(super) fn read(&self, range: Range<usize>, scratch: &mut Scratch) {
        let dim = self.inputs.heads.dim;
        let height = self.height();
        let stretches = self.inputs.sight.stretches(self.rows.clone());
        scratch.queries.iter_mut().for_each(Vec::clear);
        for &zone in stretches.iter().flat_map(|stretch| &stretch.zones) {
            let query = self.turn(zone).query;
            if scratch.queries[query].is_empty() {
                self.stack(self.inputs.queries[query], &mut scratch.queries[query]);
                if let Some(packed) = self.packed {
                    packed.side(&scratch.queries[query], [height, dim], &mut scratch.sides[query]);
                }
            }
        }
        // A tile whose borders are moved to those of panels is wider by up to two panels.
        let room = height * (TILE + 64);
        scratch.scores.resize(room, 0.0);
        scratch.other_scores.resize(room, 0.0);
        scratch.mixed.clear();
        scratch.mixed.resize(height * dim, 0.0);
        scratch.max.clear();
        scratch.max.resize(height, f32::NEG_INFINITY);
        scratch.sum.clear();
        scratch.sum.resize(height, 0.0);
        let multiplier = self.packed.map(Packed::multiplier);
        for Stretch { keys, zones } in &stretches {
            let keys = keys.start.max(range.start)..keys.end.min(range.end);
            for start in keys.clone().step_by(TILE) {
                self.tile(zones, start..(start + TILE).min(keys.end), scratch, multiplier.as_ref());
            }
        }
    }

    /// Adds what the rows see in a range of keys of those that were chosen; after [`Block::read`], for few rows.
    pub(super) fn read_chosen(&self, range: Range<usize>, scratch: &mut Scratch) {
        let sight = self.inputs.sight;
        let Some(zone) = sight.chosen_zone() else { return };
        let query = self.turn(zone).query;
        if scratch.queries[query].is_empty() {
            self.stack(self.inputs.queries[query], &mut scratch.queries[query]);
        }
        for Group { rows, keys } in sight.groups(self.key_head, self.rows.clone()) {
            for keys in keys {
                let keys = keys.start.max(range.start)..keys.end.min(range.end);
                for start in keys.clone().step_by(TILE) {
                    self.chosen_tile(zone, &rows, &(start..(start + TILE).min(keys.end)), scratch);
                }
            }
        }
    }

    /// A tile of chosen keys that some rows see.
    fn chosen_tile(&self, zone: usize, seen_by: &[usize], keys: &Range<usize>, scratch: &mut Scratch) {
        let (turn, width) = (self.turn(zone), keys.len());
        let Scratch { queries, scores, mixed, max, sum, .. } = scratch;
        let scores = &mut scores[..self.height() * width];
        self.scores(&queries[turn.query], turn.key, keys, scores);
        cap_scores(self.inputs, scores);
        for (row, scores) in scores.chunks_exact_mut(width).enumerate() {
            let is_seen = seen_by.contains(&(self.rows.start + row % self.rows.len()));
            let inside = if is_seen { self.columns(zone, row, keys) } else { 0..0 };
            scores[..inside.start].fill(f32::NEG_INFINITY);
            scores[inside.end..].fill(f32::NEG_INFINITY);
        }
        softmax_in_f32(scores, width, mixed, [max, sum]);
        self.mix(scores, keys, mixed);
    }

    fn turn(&self, zone: usize) -> Turn {
        self.inputs.sight.turn(zone).expect("a stretch names zones that are seen")
    }

    /// Query heads of one key head.
    fn group(&self) -> usize {
        self.inputs.heads.queries / self.inputs.heads.keys
    }

    /// The block's rows for each query head of its key head, stacked.
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

    /// Scores of a tile of keys, which the rows see in these zones, and the values that they add.
    fn tile(
        &self,
        zones: &[usize],
        keys: Range<usize>,
        scratch: &mut Scratch,
        multiplier: Option<&Multiplier>,
    ) {
        // A strip of rows at a time, so that its scores and weights stay in the cache.
        let group = self.packed.map_or(self.height(), |_| Packed::STRIP);
        for first in (0..self.height()).step_by(group) {
            let rows = first..(first + group).min(self.height());
            self.rows_of_tile(zones, &keys, rows, scratch, multiplier);
        }
    }

    /// [`Block::tile`] for some of the rows, counted with all their heads.
    fn rows_of_tile(
        &self,
        zones: &[usize],
        keys: &Range<usize>,
        rows: Range<usize>,
        scratch: &mut Scratch,
        multiplier: Option<&Multiplier>,
    ) {
        let dim = self.inputs.heads.dim;
        // Whole panels of keys; those outside of the tile are masked.
        let tile = self.packed.map_or(keys.clone(), |_| Packed::whole_panels(keys));
        let width = tile.len();
        let Scratch { queries, sides, weights, scores, other_scores, mixed, max, sum } = scratch;
        let scores = &mut scores[..rows.len() * width];
        let product = |zone: usize, scores: &mut [f32]| {
            let turn = self.turn(zone);
            match self.packed.zip(multiplier) {
                Some((packed, multiplier)) => {
                    let queries = sides[turn.query].strip(rows.start / Packed::STRIP);
                    packed.scores(multiplier, [self.key_head, turn.key], &tile, queries, scores);
                }
                None => self.scores(&queries[turn.query], turn.key, &tile, scores),
            }
        };
        let (zone, others) = zones.split_first().expect("a stretch is seen in a zone");
        product(*zone, scores);
        for &zone in others {
            let other_scores = &mut other_scores[..scores.len()];
            product(zone, other_scores);
            self.choose(zone, &tile, rows.start, scores, other_scores);
        }
        cap_scores(self.inputs, scores);
        if !(others.is_empty() && self.inputs.sight.all_in(*zone, &self.rows, keys)) {
            self.mask_unseen(&tile, rows.start, scores);
        }
        if tile != *keys {
            let own = keys.start - tile.start..keys.end - tile.start;
            for scores in scores.chunks_exact_mut(width) {
                scores[..own.start].fill(f32::NEG_INFINITY);
                scores[own.end..].fill(f32::NEG_INFINITY);
            }
        }
        let mixed = &mut mixed[rows.start * dim..rows.end * dim];
        let sums = [&mut max[rows.clone()], &mut sum[rows]];
        match self.packed.zip(multiplier) {
            Some((packed, multiplier)) => {
                packed.softmax(scores, width, mixed, sums, weights);
                packed.mix(multiplier, self.key_head, &tile, weights, mixed);
            }
            None => {
                softmax_in_f32(scores, width, mixed, sums);
                self.mix(scores, &tile, mixed);
            }
        }
    }

    /// Where a tile's keys or values begin, and how many numbers from one to the next.
    fn place(&self, keys: &Range<usize>) -> (usize, usize) {
        let Heads { keys: heads, dim, .. } = self.inputs.heads;
        (rows_of(keys, &self.inputs.lost).start * heads * dim + self.key_head * dim, heads * dim)
    }

    /// Scores of a tile by a rotation of keys, in f32, `[height, keys]`.
    fn scores(&self, queries: &[f32], key: usize, keys: &Range<usize>, scores: &mut [f32]) {
        let (dim, (first, stride)) = (self.inputs.heads.dim, self.place(keys));
        let there = &self.inputs.keys[key][first..];
        if self.rows.len() <= few_rows::MOST {
            return few_rows::scores(queries, there, dim, stride, scores);
        }
        let dims = [self.height(), dim, keys.len()];
        multiply(Matrix::rows(queries, dim), Matrix::columns(there, stride), scores, dims, false);
    }

    /// Adds a tile's values, weighted by `[height, keys]`, in f32.
    fn mix(&self, weights: &[f32], keys: &Range<usize>, mixed: &mut [f32]) {
        let (dim, (first, stride)) = (self.inputs.heads.dim, self.place(keys));
        let values = &self.inputs.value[first..];
        if self.rows.len() <= few_rows::MOST {
            return few_rows::mix(weights, values, dim, stride, mixed);
        }
        let dims = [self.height(), keys.len(), dim];
        multiply(Matrix::rows(weights, keys.len()), Matrix::rows(values, stride), mixed, dims, true);
    }

    /// Takes the scores of each row's keys in a zone, from row `first` on.
    fn choose(&self, zone: usize, keys: &Range<usize>, first: usize, scores: &mut [f32], of_zone: &[f32]) {
        let width = keys.len();
        let rows = scores.chunks_exact_mut(width).zip(of_zone.chunks_exact(width));
        for (row, (scores, of_zone)) in rows.enumerate() {
            let inside = self.columns(zone, first + row, keys);
            scores[inside.clone()].copy_from_slice(&of_zone[inside]);
        }
    }

    /// Masks the keys that are in no open zone of each row, from row `first` on.
    fn mask_unseen(&self, keys: &Range<usize>, first: usize, scores: &mut [f32]) {
        let sight = self.inputs.sight;
        for zone in (0..sight.zones()).filter(|&zone| !sight.is_open(zone)) {
            for (row, scores) in scores.chunks_exact_mut(keys.len()).enumerate() {
                scores[self.columns(zone, first + row, keys)].fill(f32::NEG_INFINITY);
            }
        }
    }

    /// Columns of a tile that belong to a row's zone; the row is counted with all heads of the block.
    fn columns(&self, zone: usize, row: usize, keys: &Range<usize>) -> Range<usize> {
        let inside = self.inputs.sight.keys(zone, self.rows.start + row % self.rows.len());
        let column = |key: usize| key.clamp(keys.start, keys.end) - keys.start;
        column(inside.start)..column(inside.end)
    }

    /// Divides by the sums and puts the rows in their heads' places.
    pub(super) fn write(&self, scratch: &Scratch, out: Shared) {
        let Heads { queries, dim, .. } = self.inputs.heads;
        let rows = self.rows.len();
        for (row, (mixed, sum)) in scratch.mixed.chunks_exact(dim).zip(&scratch.sum).enumerate() {
            let head = self.key_head * self.group() + row / rows;
            let sum = sum + self.inputs.weight_of_sink(head, scratch.max[row]);
            let place = ((self.rows.start + row % rows) * queries + head) * dim;
            // SAFETY: one head of one row, which no other block writes.
            let out = unsafe { out.part(place, dim) };
            for (out, mixed) in out.iter_mut().zip(mixed) {
                *out = mixed / sum;
            }
        }
    }
}
