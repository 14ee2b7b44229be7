//! The left side of a product.

use std::ops::Range;

use rayon::prelude::*;

use super::{Line, SIDE, split_into};

/// Rows in strips of 32, in bf16 terms.
///
/// In a strip, each step of 32 inner numbers has 32 lines of each term, one for each row: two tiles.
#[derive(Debug, Default)]
pub(crate) struct Strips {
    lines: Vec<Line>,
    terms: usize,
    rows: usize,
    steps: usize,
}

impl Strips {
    /// Packs `x [rows, width]`, on every thread.
    pub(crate) fn pack(x: &[f32], width: usize, terms: usize) -> Strips {
        let (rows, steps) = (x.len() / width, width.div_ceil(SIDE));
        let strip = steps * terms * SIDE;
        let mut lines = vec![Line::ZERO; rows.div_ceil(SIDE) * strip];
        lines
            .par_chunks_mut(strip)
            .zip(x.par_chunks(SIDE * width))
            .for_each(|(strip, x)| pack_strip(strip, x, width, terms));
        Strips { lines, terms, rows, steps }
    }

    /// Packs `x [rows, width]`, on this thread.
    pub(crate) fn repack(&mut self, x: &[f32], [rows, width]: [usize; 2], terms: usize) {
        let steps = width.div_ceil(SIDE);
        let strip = steps * terms * SIDE;
        self.lines.resize(rows.div_ceil(SIDE) * strip, Line::ZERO);
        for (lines, x) in self.lines.chunks_exact_mut(strip).zip(x.chunks(SIDE * width)) {
            pack_strip(lines, x, width, terms);
        }
        (self.terms, self.rows, self.steps) = (terms, rows, steps);
    }

    /// Room for one strip of rows of `width` numbers, to be filled.
    pub(crate) fn strip_of(&mut self, rows: usize, width: usize, terms: usize) -> &mut [Line] {
        let steps = width.div_ceil(SIDE);
        self.lines.resize(steps * terms * SIDE, Line::ZERO);
        (self.terms, self.rows, self.steps) = (terms, rows, steps);
        &mut self.lines
    }

    /// A strip by its number.
    pub(crate) fn strip(&self, number: usize) -> &[Line] {
        let strip = self.steps * self.terms * SIDE;
        &self.lines[number * strip..][..strip]
    }

    /// How many rows the matrix has.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many terms a number has.
    pub(crate) fn terms(&self) -> usize {
        self.terms
    }

    /// How many steps of inner numbers there are.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Each strip and its rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[Line])> {
        let strips = self.lines.chunks_exact((self.steps * self.terms * SIDE).max(1));
        strips.enumerate().map(|(n, strip)| (n * SIDE..((n + 1) * SIDE).min(self.rows), strip))
    }
}

/// Packs up to 32 rows. Later rows keep their contents: no row of the product reads them.
fn pack_strip(strip: &mut [Line], x: &[f32], width: usize, terms: usize) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn pack(strip: &mut [Line], x: &[f32], width: usize, terms: usize) {
        // Step by step, so that lines are written in order.
        for (step, strip) in strip.chunks_exact_mut(terms * SIDE).enumerate() {
            let inner = step * SIDE..((step + 1) * SIDE).min(width);
            for (row, x) in x.chunks_exact(width).enumerate() {
                split_into(&x[inner.clone()], terms, |term, line| strip[term * SIDE + row] = line);
            }
        }
    }
    // SAFETY: sides are only packed if `Bf16Instructions` is not F32, so these instructions are available.
    unsafe { pack(strip, x, width, terms) }
}
