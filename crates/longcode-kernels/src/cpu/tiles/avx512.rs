//! A strip times a panel with AVX512-BF16, on the same packed sides as AMX.

use std::arch::x86_64::*;

use super::{Line, SIDE, Sums, Terms};

/// Rows whose sums are in registers: 16 registers of 32, and two for the panel.
const ROWS: usize = 8;

/// `out (+)= strip panel`, 32 by 32.
///
/// # Safety
/// The processor has AVX512-BF16. The strip and the panel have `steps` steps of these terms, and `out` is 32
/// by 32.
pub(super) unsafe fn multiply(
    terms: Terms,
    strip: *const Line,
    panel: *const Line,
    out: &Sums,
    steps: usize,
    add: bool,
) {
    for row in (0..SIDE).step_by(ROWS) {
        // SAFETY: ROWS rows of the strip's 32 and of `out`, by the caller's promise.
        unsafe {
            multiply_rows(
                terms,
                strip.add(row),
                panel,
                out.first.add(row * out.stride),
                out.stride,
                steps,
                add,
            )
        };
    }
}

/// [`multiply`] for some rows.
///
/// # Safety
/// As [`multiply`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn multiply_rows(
    terms: Terms,
    strip: *const Line,
    panel: *const Line,
    out: *mut f32,
    stride: usize,
    steps: usize,
    add: bool,
) {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    if add {
        for (row, sums) in sums.iter_mut().enumerate() {
            for (half, sum) in sums.iter_mut().enumerate() {
                // SAFETY: a row's 32 sums.
                *sum = unsafe { _mm512_loadu_ps(out.add(row * stride + half * 16)) };
            }
        }
    }
    let products: &[(usize, usize)] = match terms {
        Terms::One => &[(0, 0)],
        Terms::Two => &[(0, 0), (1, 0)],
        Terms::Three => &[(0, 0), (1, 0), (2, 0)],
        Terms::Cross => &[(0, 0), (1, 0), (0, 1)],
    };
    for step in 0..steps {
        for &(left, right) in products {
            // SAFETY: lines of the step's terms.
            let (strip, panel) = unsafe {
                (
                    strip.add((step * terms.left() + left) * SIDE).cast::<i32>(),
                    panel.add((step * terms.right() + right) * SIDE).cast::<i32>(),
                )
            };
            for pair in 0..SIDE / 2 {
                // SAFETY: line `pair` of both tiles of the panel; a pair of each row of the strip.
                unsafe {
                    let columns = [0, 16].map(|tile| _mm512_load_si512(panel.add((tile + pair) * 16).cast()));
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let row = _mm512_set1_epi32(*strip.add(row * 16 + pair));
                        for (sum, columns) in sums.iter_mut().zip(columns) {
                            *sum = _mm512_dpbf16_ps(*sum, numbers(row), numbers(columns));
                        }
                    }
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (half, sum) in sums.iter().enumerate() {
            // SAFETY: a row's 32 sums.
            unsafe { _mm512_storeu_ps(out.add(row * stride + half * 16), *sum) };
        }
    }
}

/// 32 bf16 numbers, in the type that products take.
#[inline(always)]
fn numbers(bits: __m512i) -> __m512bh {
    // SAFETY: both types are 64 bytes, and every pattern of bits is 32 numbers of 16.
    unsafe { std::mem::transmute::<__m512i, __m512bh>(bits) }
}
