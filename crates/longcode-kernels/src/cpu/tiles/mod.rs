//! Matrix products of bf16 numbers with f32 sums, on AMX tiles or with AVX512-BF16.
//!
//! A bf16 number is the upper half of an f32: 8 bits of its mantissa. So an f32 is a sum of three of them,
//! except for its last bit or two, and of two to 16 bits; a product of f32 matrices is a sum of products of
//! such terms. [`Terms`] says which ones are used. Accumulation is in f32.
//!
//! The left side is packed in strips of 32 rows ([`Strips`]), the right one in panels of 32 columns
//! ([`Panels`]); inner numbers go in steps of 32, padded with zeros. [`amx`] and [`avx512`] multiply one
//! strip by one panel.

mod amx;
mod avx512;
mod panels;
mod strips;

pub(super) use panels::Panels;
pub(super) use strips::Strips;

use std::arch::x86_64::*;
use std::marker::PhantomData;
use std::ops::Range;

use super::Bf16Instructions;

/// Rows of a strip, columns of a panel, and inner numbers of a step.
pub(super) const SIDE: usize = 32;

/// 32 bf16 numbers: a row of a tile.
#[repr(C, align(64))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Line(pub [u16; SIDE]);

impl Line {
    const ZERO: Line = Line([0; SIDE]);
}

/// Which bf16 terms of the two sides are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    /// One of each side: bf16 as hardware multiplies it.
    One,
    /// Two of the left side times one of the right, which is already bf16.
    Two,
    /// Three of the left side times one of the right.
    Three,
    /// Two of each side, without the product of the small ones: three products.
    Cross,
}

impl Terms {
    /// How many terms a number of the left side has.
    pub(super) fn left(self) -> usize {
        match self {
            Terms::One => 1,
            Terms::Two | Terms::Cross => 2,
            Terms::Three => 3,
        }
    }

    /// How many terms a number of the right side has.
    pub(super) fn right(self) -> usize {
        match self {
            Terms::Cross => 2,
            _ => 1,
        }
    }
}

impl Terms {
    /// Some steps of a strip.
    pub(super) fn of_strip<'a>(self, strip: &'a [Line], steps: &Range<usize>) -> &'a [Line] {
        let step = SIDE * self.left();
        &strip[steps.start * step..steps.end * step]
    }

    /// Some steps of a panel.
    pub(super) fn of_panel<'a>(self, panel: &'a [Line], steps: &Range<usize>) -> &'a [Line] {
        let step = SIDE * self.right();
        &panel[steps.start * step..steps.end * step]
    }
}

/// Calls `put(number, line)` for each term of up to 32 numbers, padded with zeros: each term is nearest to
/// what the earlier ones left over, ties to even.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
#[inline]
pub(super) fn split_into(values: &[f32], terms: usize, mut put: impl FnMut(usize, Line)) {
    let mut whole = [0.0; SIDE];
    let values = match values.as_array::<SIDE>() {
        Some(values) => values,
        None => {
            whole[..values.len()].copy_from_slice(values);
            &whole
        }
    };
    // SAFETY: 32 numbers.
    let mut left = unsafe { [_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values[16..].as_ptr())] };
    for number in 0..terms {
        // SAFETY: both types are 64 bytes, and every pattern of bits is 32 numbers of 16.
        let term: __m512i = unsafe { std::mem::transmute(_mm512_cvtne2ps_pbh(left[1], left[0])) };
        // SAFETY: as above.
        put(number, unsafe { std::mem::transmute::<__m512i, Line>(term) });
        if number + 1 < terms {
            let halves = [_mm512_castsi512_si256(term), _mm512_extracti64x4_epi64::<1>(term)];
            for (left, half) in left.iter_mut().zip(halves) {
                let value = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)));
                *left = _mm512_sub_ps(*left, value);
            }
        }
    }
}

/// A writable part of a matrix of f32 sums, of up to 32 rows and columns.
#[derive(Debug)]
pub(super) struct Sums<'a> {
    first: *mut f32,
    /// Numbers from row to row.
    stride: usize,
    rows: usize,
    columns: usize,
    borrowed: PhantomData<&'a mut f32>,
}

impl<'a> Sums<'a> {
    /// `[rows, columns]` at the beginning of a slice, `stride` numbers from row to row.
    ///
    /// # Panics
    /// When the slice is too short, or there are no rows or columns or more than 32.
    pub(super) fn of(out: &'a mut [f32], stride: usize, [rows, columns]: [usize; 2]) -> Sums<'a> {
        assert!((rows - 1) * stride + columns <= out.len() && columns <= stride);
        // SAFETY: the rows are inside the slice, which is borrowed.
        unsafe { Sums::at(out.as_mut_ptr(), stride, [rows, columns]) }
    }

    /// `[rows, columns]` at a place, `stride` numbers from row to row.
    ///
    /// # Safety
    /// The rows are in memory that nothing else reads or writes meanwhile.
    ///
    /// # Panics
    /// When there are no rows or columns, or more than 32.
    pub(super) unsafe fn at(first: *mut f32, stride: usize, [rows, columns]: [usize; 2]) -> Sums<'a> {
        assert!((1..=SIDE).contains(&rows) && (1..=SIDE).contains(&columns));
        Sums { first, stride, rows, columns, borrowed: PhantomData }
    }

    /// Copies the rows to another place, or back.
    fn copy(&self, other: &Sums, back: bool) {
        for row in 0..self.rows {
            // SAFETY: rows of both parts, which are disjoint borrows.
            unsafe {
                let (own, theirs) = (self.first.add(row * self.stride), other.first.add(row * other.stride));
                let (from, to) = if back { (theirs, own) } else { (own, theirs) };
                from.copy_to_nonoverlapping(to, self.columns);
            }
        }
    }
}

/// A thread's readiness to multiply; releases the tile registers at its end.
pub(in crate::cpu) struct Multiplier {
    products: Bf16Instructions,
}

impl Multiplier {
    /// Prepares this thread. None if the processor has no products of bf16 numbers.
    pub(super) fn new(products: Bf16Instructions) -> Option<Multiplier> {
        match products {
            Bf16Instructions::F32 => return None,
            Bf16Instructions::Avx512Bf16 => {}
            // SAFETY: `Bf16Instructions::Amx` only exists if the processor and the kernel allow tiles.
            Bf16Instructions::Amx => unsafe { amx::configure() },
        }
        Some(Multiplier { products })
    }

    /// `out (+)= strip panel`.
    ///
    /// # Panics
    /// When the sides are not packed for these terms and for each other.
    pub(super) fn multiply(&self, terms: Terms, [strip, panel]: [&[Line]; 2], out: Sums, add: bool) {
        let steps = strip.len() / (SIDE * terms.left());
        assert!(
            steps > 0
                && strip.len() == steps * SIDE * terms.left()
                && panel.len() == steps * SIDE * terms.right(),
            "both sides have {steps} steps of {terms:?}"
        );
        let multiply = |out: &Sums| {
            // SAFETY: the sides have as many lines as the steps read, the part is 32 by 32 and writable, and
            // `new` has checked that the instructions are available.
            unsafe {
                match self.products {
                    Bf16Instructions::Amx => {
                        amx::multiply(terms, strip.as_ptr(), panel.as_ptr(), out, steps, add)
                    }
                    _ => avx512::multiply(terms, strip.as_ptr(), panel.as_ptr(), out, steps, add),
                }
            }
        };
        if (out.rows, out.columns) == (SIDE, SIDE) {
            return multiply(&out);
        }
        let mut whole = [0.0; SIDE * SIDE];
        let whole = Sums::of(&mut whole, SIDE, [SIDE, SIDE]);
        if add {
            out.copy(&whole, false);
        }
        multiply(&whole);
        out.copy(&whole, true);
    }
}

impl Drop for Multiplier {
    fn drop(&mut self) {
        if self.products == Bf16Instructions::Amx {
            // SAFETY: as in `new`.
            unsafe { amx::release() };
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Memory between two pages that must not be touched; what is taken ends at the second one, or begins at
    /// the first.
    struct Guarded {
        start: *mut u8,
        bytes: usize,
    }

    const PAGE: usize = 4096;

    impl Guarded {
        fn new(bytes: usize) -> Guarded {
            let bytes = bytes.next_multiple_of(PAGE);
            let (how, open) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_READ | libc::PROT_WRITE);
            // SAFETY: a separate mapping, of which the pages between the first and the last are opened.
            let start = unsafe {
                let all = libc::mmap(std::ptr::null_mut(), bytes + 2 * PAGE, libc::PROT_NONE, how, -1, 0);
                assert_ne!(all, libc::MAP_FAILED);
                let start = all.cast::<u8>().add(PAGE);
                assert_eq!(libc::mprotect(start.cast(), bytes, open), 0);
                start
            };
            Guarded { start, bytes }
        }

        /// `count` values (of zero bytes at first) at one end.
        fn values<T>(&mut self, count: usize, at_end: bool) -> &mut [T] {
            let first = if at_end { self.bytes - count * size_of::<T>() } else { 0 };
            // SAFETY: inside the open pages, and borrowed.
            unsafe { std::slice::from_raw_parts_mut(self.start.add(first).cast(), count) }
        }
    }

    /// No instruction reads or writes beyond its sides and its sums: touching anything there would end the
    /// test.
    #[test]
    fn nothing_beyond_the_sides_is_touched() {
        for products in Bf16Instructions::here() {
            let Some(multiplier) = Multiplier::new(products) else { continue };
            for terms in [Terms::One, Terms::Two, Terms::Three, Terms::Cross] {
                for (steps, at_end) in [(1, true), (1, false), (5, true), (5, false)] {
                    let lines = [terms.left(), terms.right()].map(|terms| steps * terms * SIDE);
                    let [mut strip, mut panel] = lines.map(|lines| Guarded::new(lines * size_of::<Line>()));
                    let strip: &[Line] = strip.values(lines[0], at_end);
                    let panel: &[Line] = panel.values(lines[1], at_end);
                    let mut sums = Guarded::new(4 * SIDE * SIDE);
                    for (shape, add) in [([SIDE, SIDE], true), ([SIDE, SIDE], false), ([7, 19], true)] {
                        let out = sums.values::<f32>(shape[0] * shape[1], at_end);
                        out.fill(2.0);
                        let expected = if add { 2.0 } else { 0.0 };
                        multiplier.multiply(terms, [strip, panel], Sums::of(out, shape[1], shape), add);
                        assert!(out.iter().all(|&sum| sum == expected), "{products:?} {terms:?} {shape:?}");
                    }
                }
            }
        }
    }
}
