//! Attention's two products in bf16 terms: keys and values are packed once, for every block of queries.

#[cfg(target_arch = "x86_64")]
mod there {
    use std::ops::Range;

    use rayon::prelude::*;

    use super::super::choice::multiplies_in_bf16;
    use super::super::inputs::Inputs;
    use super::super::processor::Bf16Instructions;
    use super::super::simd::{exp_fused, sum};
    use super::super::softmax::online_softmax;
    pub(in crate::cpu) use super::super::tiles::Multiplier;
    use super::super::tiles::{Line, Panels, SIDE, Strips, Sums, Terms, split_into};
    use crate::Heads;
    use crate::Precision;

    /// Fewest query rows for which packing keys and values pays.
    const FEWEST: usize = 32;

    /// A left side: queries or weights.
    pub(crate) type Side = Strips;

    /// Keys and values in bf16 terms.
    pub(crate) struct Packed {
        heads: Vec<Head>,
        dim: usize,
        terms: Terms,
        products: Bf16Instructions,
    }

    /// Keys and values of a key head.
    struct Head {
        /// Keys by each rotation; a panel is 32 keys.
        keys: Vec<Panels>,
        /// A panel is 32 dimensions, of all keys.
        value: Panels,
    }

    /// [`Packed::softmax`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn softmax(
        scores: &mut [f32],
        width: usize,
        mixed: &mut [f32],
        sums: [&mut [f32]; 2],
        lines: &mut [Line],
        terms: usize,
    ) {
        online_softmax(scores, width, mixed, sums, |row, scores, max| {
            let mut lanes = [0.0; SIDE];
            for (step, scores) in scores.as_chunks::<SIDE>().0.iter().enumerate() {
                let mut weights = [0.0; SIDE];
                for ((lane, weight), score) in lanes.iter_mut().zip(&mut weights).zip(scores) {
                    *weight = exp_fused(score - max);
                    *lane += *weight;
                }
                split_into(&weights, terms, |term, line| lines[(step * terms + term) * SIDE + row] = line);
            }
            sum(&lanes)
        });
    }

    impl Packed {
        /// None if the products are f32, or too few.
        pub(crate) fn of(inputs: &Inputs) -> Option<Packed> {
            let products = Bf16Instructions::chosen();
            let terms = match (products, inputs.precision) {
                (Bf16Instructions::F32, _) | (_, Precision::F32 | Precision::F16) => return None,
                (_, Precision::Bf16) if !multiplies_in_bf16(products) => return None,
                (_, Precision::Bf16) => Terms::One,
                (Bf16Instructions::Amx, Precision::Split) => Terms::Cross,
                (Bf16Instructions::Avx512Bf16, Precision::Split) => return None,
            };
            if inputs.sight.rows() < FEWEST || !inputs.lost.is_empty() {
                return None;
            }
            let Heads { keys: heads, dim, .. } = inputs.heads;
            let (count, stride) = (inputs.sight.first() + inputs.sight.rows(), heads * dim);
            let turns = (0..inputs.sight.zones()).filter_map(|zone| inputs.sight.turn(zone));
            let rotations = turns.map(|turn| turn.key + 1).max().unwrap_or(0);
            let heads = (0..heads)
                .into_par_iter()
                .map(|head| {
                    let keys = inputs.keys[..rotations].iter().map(|keys| {
                        let mut panels = Panels::default();
                        panels.pack_rows(&keys[head * dim..], [count, dim], stride, terms.right());
                        panels
                    });
                    let mut value = Panels::default();
                    value.pack_columns(&inputs.value[head * dim..], [count, dim], stride, terms.right());
                    Head { keys: keys.collect(), value }
                })
                .collect();
            Some(Packed { heads, dim, terms, products })
        }

        /// Rows in a strip.
        pub(crate) const STRIP: usize = SIDE;

        /// A multiplier for a block's products, on this thread.
        pub(crate) fn multiplier(&self) -> Multiplier {
            Multiplier::new(self.products).expect("nothing is packed for who cannot multiply it")
        }

        /// The whole panels that contain some keys.
        pub(crate) fn whole_panels(keys: &Range<usize>) -> Range<usize> {
            keys.start / SIDE * SIDE..keys.end.next_multiple_of(SIDE)
        }

        /// Packs queries `[rows, width]` as a left side.
        pub(crate) fn side(&self, x: &[f32], [rows, width]: [usize; 2], side: &mut Side) {
            side.repack(x, [rows, width], self.terms.left());
        }

        /// Scores of whole panels of keys of a head and a rotation, with a strip of queries: `[rows, keys]`.
        pub(crate) fn scores(
            &self,
            multiplier: &Multiplier,
            [head, rotation]: [usize; 2],
            keys: &Range<usize>,
            queries: &[Line],
            scores: &mut [f32],
        ) {
            let width = keys.len();
            for column in (0..width).step_by(SIDE) {
                let panel = self.heads[head].keys[rotation].get((keys.start + column) / SIDE);
                let rows = scores.len() / width;
                let sums = Sums::of(&mut scores[column..], width, [rows, SIDE]);
                multiplier.multiply(self.terms, [queries, panel], sums, false);
            }
        }

        /// [`online_softmax`] for a strip of rows; the weights become a left side at once.
        pub(crate) fn softmax(
            &self,
            scores: &mut [f32],
            width: usize,
            mixed: &mut [f32],
            sums: [&mut [f32]; 2],
            weights: &mut Side,
        ) {
            let lines = weights.strip_of(scores.len() / width, width, self.terms.left());
            // SAFETY: nothing is packed if `Bf16Instructions` is F32; the others have these instructions.
            unsafe { softmax(scores, width, mixed, sums, lines, self.terms.left()) };
        }

        /// Adds the values of whole panels, weighted by a strip of weights.
        pub(crate) fn mix(
            &self,
            multiplier: &Multiplier,
            head: usize,
            keys: &Range<usize>,
            weights: &Side,
            mixed: &mut [f32],
        ) {
            let steps = keys.start / SIDE..keys.end / SIDE;
            let rows = mixed.len() / self.dim;
            for (panel, first) in self.heads[head].value.iter().zip((0..self.dim).step_by(SIDE)) {
                let shape = [rows, (self.dim - first).min(SIDE)];
                let sums = Sums::of(&mut mixed[first..], self.dim, shape);
                let sides = [weights.strip(0), self.terms.of_panel(panel, &steps)];
                multiplier.multiply(self.terms, sides, sums, true);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use there::{Multiplier, Packed, Side};

/// No products of bf16 numbers: nothing is ever packed.
#[cfg(not(target_arch = "x86_64"))]
mod nowhere {
    use std::ops::Range;

    use super::super::inputs::Inputs;

    #[derive(Default)]
    pub struct Side;

    impl Side {
        pub fn strip(&self, _: usize) -> &[f32] {
            &[]
        }
    }

    pub enum Multiplier {}

    pub enum Packed {}

    impl Packed {
        pub const STRIP: usize = 1;

        pub fn of(_: &Inputs) -> Option<Packed> {
            None
        }

        pub fn multiplier(&self) -> Multiplier {
            match *self {}
        }

        pub fn whole_panels(keys: &Range<usize>) -> Range<usize> {
            keys.clone()
        }

        pub fn side(&self, _: &[f32], _: [usize; 2], _: &mut Side) {
            match *self {}
        }

        pub fn scores(&self, _: &Multiplier, _: [usize; 2], _: &Range<usize>, _: &[f32], _: &mut [f32]) {
            match *self {}
        }

        pub fn softmax(&self, _: &mut [f32], _: usize, _: &mut [f32], _: [&mut [f32]; 2], _: &mut Side) {
            match *self {}
        }

        pub fn mix(&self, _: &Multiplier, _: usize, _: &Range<usize>, _: &Side, _: &mut [f32]) {
            match *self {}
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use nowhere::{Multiplier, Packed, Side};
