//! The right side of a product.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{Line, SIDE, split_into};
use crate::stored::{Format, StoredTensor};
use crate::vectorised;

/// Columns of a tile.
const TILE: usize = 16;

/// Bytes of a line.
const LINE: usize = size_of::<Line>();

/// Up to 32 columns in bf16 terms: for each step of 32 inner numbers, and each term, two tiles of 16 columns.
/// Line `r` of a tile holds the inner numbers `2r` and `2r + 1` of every column.
pub(super) type Panel = [Line];

/// Panels of 32 columns.
#[derive(Debug, Default)]
pub(crate) struct Panels {
    lines: Vec<Line>,
    /// Lines of a panel.
    panel: usize,
    rows: Rows,
}

/// Columns before they are turned: 16 rows of steps of terms.
#[derive(Debug, Default)]
struct Rows {
    lines: Vec<Line>,
    values: Vec<f32>,
}

impl Panels {
    /// Packs some rows of a weight as columns, in `terms` terms.
    pub(crate) fn pack_weight(&mut self, weight: &StoredTensor, rows: Range<usize>, terms: usize) {
        let (count, width) = (rows.len(), weight.columns());
        self.begin(count, width, terms);
        let Panels { lines, panel, rows: scratch } = self;
        for (number, tile) in (0..count).step_by(TILE).enumerate() {
            let rows = rows.start + tile..rows.start + (tile + TILE).min(count);
            let (here, panel) = (rows.len(), &mut lines[number / 2 * *panel..][..*panel]);
            // Whole lines of bf16 numbers are read in place.
            if weight.format == Format::bf16() && terms == 1 && width.is_multiple_of(SIDE) {
                turn_into(weight.rows(rows), here, panel, number % 2);
            } else {
                scratch.decode(weight, rows, terms);
                turn_into(bytes(&scratch.lines), here, panel, number % 2);
            }
        }
    }

    /// Packs `count` rows of `width` numbers, `stride` apart, as columns.
    pub(crate) fn pack_rows(&mut self, x: &[f32], [count, width]: [usize; 2], stride: usize, terms: usize) {
        self.begin(count, width, terms);
        let Panels { lines, panel, rows: scratch } = self;
        for (number, tile) in (0..count).step_by(TILE).enumerate() {
            let here = (count - tile).min(TILE);
            scratch.split(&x[tile * stride..], [here, width], stride, terms);
            let panel = &mut lines[number / 2 * *panel..][..*panel];
            turn_into(bytes(&scratch.lines), here, panel, number % 2);
        }
    }

    /// Packs `count` rows of `width` numbers, `stride` apart, as inner numbers: the columns stay columns.
    pub(crate) fn pack_columns(
        &mut self,
        x: &[f32],
        [count, width]: [usize; 2],
        stride: usize,
        terms: usize,
    ) {
        self.begin(width, count, terms);
        let panel = self.panel;
        let rows = self.rows.split(x, [count, width], stride, terms);
        let line = |row: usize, step: usize, term: usize| {
            if row < count { rows[(row * width.div_ceil(SIDE) + step) * terms + term] } else { Line::ZERO }
        };
        let lines = &mut self.lines;
        vectorised(
            #[inline(always)]
            || {
                for pair in 0..count.div_ceil(2) {
                    for number in 0..width.div_ceil(SIDE) {
                        for term in 0..terms {
                            let [even, odd] = [0, 1].map(|n| line(2 * pair + n, number, term));
                            let (step, row) = (pair / TILE, pair % TILE);
                            let tiles = number * panel + (step * terms + term) * SIDE + row;
                            for (tile, half) in [0, TILE].into_iter().enumerate() {
                                let out = &mut lines[tiles + tile * TILE].0;
                                for n in 0..TILE {
                                    out[2 * n] = even.0[half + n];
                                    out[2 * n + 1] = odd.0[half + n];
                                }
                            }
                        }
                    }
                }
            },
        );
    }

    /// The panels, 32 columns each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Panel> {
        self.lines.chunks_exact(self.panel)
    }

    /// A panel by its number.
    pub(crate) fn get(&self, number: usize) -> &Panel {
        &self.lines[number * self.panel..][..self.panel]
    }

    /// Makes room for `columns` columns of `inner` numbers, all zero.
    fn begin(&mut self, columns: usize, inner: usize, terms: usize) {
        self.panel = inner.div_ceil(SIDE) * terms * SIDE;
        self.rows.lines.clear();
        self.lines.clear();
        self.lines.resize(columns.div_ceil(SIDE) * self.panel, Line::ZERO);
    }
}

impl Rows {
    /// Rows of a weight in terms, `[rows, steps, terms]`.
    fn decode(&mut self, weight: &StoredTensor, rows: Range<usize>, terms: usize) {
        let (count, width) = (rows.len(), weight.columns());
        if weight.format == Format::bf16() {
            return self.copy(weight.rows(rows), width, terms);
        }
        let mut values = std::mem::take(&mut self.values);
        values.resize(count * width, 0.0);
        weight.decode_rows(rows, &mut values);
        self.split(&values, [count, width], width, terms);
        self.values = values;
    }

    /// Rows of bf16 numbers; additional terms are zero.
    fn copy(&mut self, bytes: &[u8], width: usize, terms: usize) {
        self.lines.clear();
        for row in bytes.chunks_exact(2 * width) {
            for values in row.chunks(2 * SIDE) {
                let mut line = Line::ZERO;
                for (number, bytes) in line.0.iter_mut().zip(values.as_chunks().0) {
                    *number = u16::from_le_bytes(*bytes);
                }
                self.lines.push(line);
                self.lines.extend((1..terms).map(|_| Line::ZERO));
            }
        }
    }

    /// Rows of f32 numbers in terms.
    fn split(&mut self, x: &[f32], [count, width]: [usize; 2], stride: usize, terms: usize) -> &[Line] {
        self.lines.resize(count * width.div_ceil(SIDE) * terms, Line::ZERO);
        let rows = (0..count).map(|row| &x[row * stride..][..width]);
        for (x, lines) in rows.zip(self.lines.chunks_exact_mut(width.div_ceil(SIDE) * terms)) {
            // SAFETY: sides are only packed if `Bf16Instructions` is not F32, so these instructions are
            // available.
            unsafe { split_row(x, terms, lines) };
        }
        &self.lines
    }
}

/// A row's terms, `[steps, terms]`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn split_row(x: &[f32], terms: usize, lines: &mut [Line]) {
    for (values, lines) in x.chunks(SIDE).zip(lines.chunks_exact_mut(terms)) {
        split_into(values, terms, |term, line| lines[term] = line);
    }
}

/// Lines as bytes.
fn bytes(lines: &[Line]) -> &[u8] {
    // SAFETY: a line is 64 bytes, without padding.
    unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
}

/// Turns up to 16 rows of lines into the columns of a panel's first or second tiles.
fn turn_into(rows: &[u8], count: usize, panel: &mut Panel, tile: usize) {
    let row_bytes = rows.len() / count;
    for n in 0..row_bytes / LINE {
        let column = |row: usize| {
            if row < count {
                rows[row * row_bytes + n * LINE..].first_chunk().expect("a row is whole lines")
            } else {
                &[0; LINE]
            }
        };
        let turned = &mut panel[n * SIDE + tile * TILE..][..TILE];
        // SAFETY: panels are only packed with AVX-512: `Bf16Instructions` is not F32.
        unsafe { turn(std::array::from_fn(column), turned.try_into().expect("16 lines")) };
    }
}

/// Turns 16 columns of 16 pairs each into 16 lines, each with one pair of every column: a transposition of 16
/// by 16 numbers of 32 bits.
#[target_feature(enable = "avx512f")]
fn turn(columns: [&[u8; LINE]; TILE], lines: &mut [Line; TILE]) {
    // SAFETY: 64 bytes each.
    let load = |column: usize| unsafe { _mm512_loadu_si512(columns[column].as_ptr().cast()) };
    for c in 0..4 {
        // Lane L of `quarter(g)` holds number 4L + c of the rows 4g to 4g + 3.
        let quarter = |g: usize| {
            let (a, b, d, e) = (load(4 * g), load(4 * g + 1), load(4 * g + 2), load(4 * g + 3));
            let (low, high) = match c {
                0 | 1 => (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(d, e)),
                _ => (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(d, e)),
            };
            match c % 2 {
                0 => _mm512_unpacklo_epi64(low, high),
                _ => _mm512_unpackhi_epi64(low, high),
            }
        };
        let [a, b, d, e] = [quarter(0), quarter(1), quarter(2), quarter(3)];
        let even = [_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(d, e)];
        let odd = [_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(d, e)];
        let turned = [
            _mm512_shuffle_i32x4::<0x88>(even[0], even[1]),
            _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]),
            _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]),
            _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]),
        ];
        for (lane, turned) in turned.into_iter().enumerate() {
            // SAFETY: a line is 64 bytes, aligned.
            unsafe { _mm512_store_si512((&raw mut lines[4 * lane + c]).cast(), turned) };
        }
    }
}
