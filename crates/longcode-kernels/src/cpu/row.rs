//! A row of weights as stored times one row, on AVX-512: each stored byte is read once, and no value is
//! written.
//!
//! Every format consists of groups of 32 numbers that are `scale * quant + offset`, so a group's part of the
//! product is `scale * sum(quant * x) + offset * sum(x)`; the sums of x are computed once for all rows
//! ([`RowOperand`]).

use std::arch::x86_64::*;

use super::simd::prefetch;
use crate::stored::{Format, StoredTensor, TWICE_FP4, half_scale};

/// How many bytes are prefetched: a page, as the processor itself does not look beyond the end of one.
const AHEAD: usize = 4096;

/// Numbers in a group.
const GROUP: usize = 32;

/// The right side: a row of numbers, and the sum of each group.
pub(super) struct RowOperand<'a> {
    x: &'a [f32],
    sums: Vec<f32>,
}

impl<'a> RowOperand<'a> {
    /// None for a format that is not supported here, or if a row is not whole groups.
    pub(super) fn new(format: &Format, x: &'a [f32]) -> Option<RowOperand<'a>> {
        let (groups, rest) = x.as_chunks::<GROUP>();
        let is_read = rest.is_empty() && kernel(format).is_some();
        is_read.then(|| RowOperand { x, sums: groups.iter().map(|group| group.iter().sum()).collect() })
    }

    /// The products of some rows of a weight.
    ///
    /// # Safety
    /// The processor has AVX-512 (F, BW and VL) and F16C.
    pub(super) unsafe fn multiply(&self, weight: &StoredTensor, first: usize, out: &mut [f32]) {
        let kernel = kernel(weight.format).expect("made for a format that is read");
        let rows = weight.rows(first..first + out.len());
        for (row, out) in rows.chunks_exact(rows.len() / out.len()).zip(out) {
            // SAFETY: the caller's promise.
            *out = unsafe { kernel(row, self.x, &self.sums) };
        }
    }
}

/// A row's bytes, x, and the sums of its groups.
type Kernel = unsafe fn(&[u8], &[f32], &[f32]) -> f32;

fn kernel(format: &Format) -> Option<Kernel> {
    Some(match format.name {
        "F32" => multiply::<F32, 128, 1>,
        "F16" => multiply::<F16, 64, 1>,
        "BF16" => multiply::<Bf16, 64, 1>,
        "Q4_0" => multiply::<Q4_0, 18, 1>,
        "Q4_1" => multiply::<Q4_1, 20, 1>,
        "Q5_0" => multiply::<Q5_0, 22, 1>,
        "Q5_1" => multiply::<Q5_1, 24, 1>,
        "Q8_0" => multiply::<Q8_0, 34, 1>,
        "MXFP4" => multiply::<Mxfp4, 17, 1>,
        "Q4_K" => multiply::<Q4K, 144, 8>,
        "Q5_K" => multiply::<Q5K, 176, 8>,
        "Q6_K" => multiply::<Q6K, 210, 8>,
        _ => return None,
    })
}

/// 32 numbers: the quants of each half, each half's scale, and the offset of all.
struct Group {
    quants: [__m512; 2],
    scales: [f32; 2],
    offset: f32,
}

/// Blocks of `BYTES` bytes.
trait Blocks<const BYTES: usize> {
    /// Whether numbers have an offset or a scale.
    const SCALED: bool = true;

    /// A group of a block.
    ///
    /// # Safety
    /// As [`RowOperand::multiply`].
    unsafe fn group(block: &[u8; BYTES], number: usize) -> Group;
}

/// # Safety
/// As [`RowOperand::multiply`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
unsafe fn multiply<B: Blocks<BYTES>, const BYTES: usize, const GROUPS: usize>(
    row: &[u8],
    x: &[f32],
    sums: &[f32],
) -> f32 {
    let mut total = _mm512_setzero_ps();
    let mut offsets = 0.0;
    let groups = x.as_chunks::<GROUP>().0.chunks_exact(GROUPS).zip(sums.chunks_exact(GROUPS));
    for (block, (x, sums)) in row.as_chunks::<BYTES>().0.iter().zip(groups) {
        for line in (0..BYTES).step_by(64) {
            prefetch(block.as_ptr().wrapping_add(AHEAD + line));
        }
        for (number, (x, sum)) in x.iter().zip(sums).enumerate() {
            // SAFETY: the caller's promise; a group of x is two registers.
            let (group, x) = unsafe {
                let x = [_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x[16..].as_ptr())];
                (B::group(block, number), x)
            };
            let Group { quants, scales, offset } = group;
            if !B::SCALED {
                total = _mm512_fmadd_ps(quants[0], x[0], total);
                total = _mm512_fmadd_ps(quants[1], x[1], total);
            } else if scales[0].to_bits() == scales[1].to_bits() {
                let products = _mm512_fmadd_ps(quants[1], x[1], _mm512_mul_ps(quants[0], x[0]));
                total = _mm512_fmadd_ps(products, _mm512_set1_ps(scales[0]), total);
            } else {
                total = _mm512_fmadd_ps(_mm512_mul_ps(quants[0], x[0]), _mm512_set1_ps(scales[0]), total);
                total = _mm512_fmadd_ps(_mm512_mul_ps(quants[1], x[1]), _mm512_set1_ps(scales[1]), total);
            }
            offsets += offset * sum;
        }
    }
    _mm512_reduce_add_ps(total) + offsets
}

/// Declares a format's blocks by how a group is read.
macro_rules! blocks {
    ($name:ident, $bytes:literal, $scaled:literal, |$block:ident, $number:ident| $group:expr) => {
        struct $name;

        impl Blocks<$bytes> for $name {
            const SCALED: bool = $scaled;

            #[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
            #[inline]
            unsafe fn group($block: &[u8; $bytes], $number: usize) -> Group {
                $group
            }
        }
    };
}

blocks!(F32, 128, false, |block, _number| {
    // SAFETY: twice 64 bytes.
    plain(unsafe { [_mm512_loadu_ps(block.as_ptr().cast()), _mm512_loadu_ps(block[64..].as_ptr().cast())] })
});
blocks!(F16, 64, false, |block, _number| {
    let [first, second] = halves(block);
    plain([_mm512_cvtph_ps(first), _mm512_cvtph_ps(second)])
});
blocks!(Bf16, 64, false, |block, _number| {
    let [first, second] = halves(block);
    plain([widened(first), widened(second)])
});
blocks!(Q4_0, 18, true, |block, _number| {
    let scale = half(block, 0);
    scaled(nibbles(bytes(block, 2)), scale, -8.0 * scale)
});
blocks!(Q4_1, 20, true, |block, _number| scaled(nibbles(bytes(block, 4)), half(block, 0), half(block, 2)));
blocks!(Q5_0, 22, true, |block, _number| {
    let scale = half(block, 0);
    scaled(with_fifth(nibbles(bytes(block, 6)), fifth(block, 2)), scale, -16.0 * scale)
});
blocks!(Q5_1, 24, true, |block, _number| {
    scaled(with_fifth(nibbles(bytes(block, 8)), fifth(block, 4)), half(block, 0), half(block, 2))
});
blocks!(Q8_0, 34, true, |block, _number| {
    let quants = [_mm512_cvtepi8_epi32(bytes(block, 2)), _mm512_cvtepi8_epi32(bytes(block, 18))];
    scaled(quants, half(block, 0), 0.0)
});
blocks!(Mxfp4, 17, true, |block, _number| {
    // SAFETY: 16 bytes.
    let table = unsafe { _mm_loadu_si128(TWICE_FP4.as_ptr().cast()) };
    let packed = bytes(block, 1);
    let low = _mm_set1_epi8(15);
    let first = _mm_shuffle_epi8(table, _mm_and_si128(packed, low));
    let second = _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16::<4>(packed), low));
    let quants = [_mm512_cvtepi8_epi32(first), _mm512_cvtepi8_epi32(second)];
    scaled(quants, half_scale(block[0]), 0.0)
});
blocks!(Q4K, 144, true, |block, number| {
    let [scale, offset] = scale_and_offset(block, number);
    scaled(four_bits(block, 16, number), scale, offset)
});
blocks!(Q5K, 176, true, |block, number| {
    let [scale, offset] = scale_and_offset(block, number);
    let bit = _mm_set1_epi8(1 << number);
    let fifth = [_mm_test_epi8_mask(bytes(block, 16), bit), _mm_test_epi8_mask(bytes(block, 32), bit)];
    scaled(with_fifth(four_bits(block, 48, number), fifth), scale, offset)
});
blocks!(Q6K, 210, true, |block, number| {
    let d = half(block, 208);
    let scale = |n: usize| d * f32::from(block[192 + 2 * number + n] as i8);
    let quants = [six_bits(block, number, 0), six_bits(block, number, 1)];
    Group { quants, scales: [scale(0), scale(1)], offset: 0.0 }
});

/// Numbers unchanged.
fn plain(quants: [__m512; 2]) -> Group {
    Group { quants, scales: [1.0; 2], offset: 0.0 }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn scaled(quants: [__m512i; 2], scale: f32, offset: f32) -> Group {
    let quants = [_mm512_cvtepi32_ps(quants[0]), _mm512_cvtepi32_ps(quants[1])];
    Group { quants, scales: [scale; 2], offset }
}

/// 16 bytes of a block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn bytes(block: &[u8], at: usize) -> __m128i {
    let bytes: &[u8; 16] = block[at..].first_chunk().expect("a block has its parts");
    // SAFETY: 16 bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// 64 bytes as two halves.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn halves(block: &[u8; 64]) -> [__m256i; 2] {
    // SAFETY: 32 bytes each.
    unsafe { [_mm256_loadu_si256(block.as_ptr().cast()), _mm256_loadu_si256(block[32..].as_ptr().cast())] }
}

/// An f16 number of a block.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn half(block: &[u8], at: usize) -> f32 {
    let bits = i32::from(u16::from_le_bytes([block[at], block[at + 1]]));
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(bits)))
}

/// The low, then the high four bits of 16 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn nibbles(packed: __m128i) -> [__m512i; 2] {
    let low = _mm_set1_epi8(15);
    let high = _mm_and_si128(_mm_srli_epi16::<4>(packed), low);
    [_mm512_cvtepu8_epi32(_mm_and_si128(packed, low)), _mm512_cvtepu8_epi32(high)]
}

/// The fifth bits of 32 numbers.
fn fifth(block: &[u8], at: usize) -> [__mmask16; 2] {
    [0, 2].map(|n| u16::from_le_bytes([block[at + n], block[at + n + 1]]))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn with_fifth(quants: [__m512i; 2], fifth: [__mmask16; 2]) -> [__m512i; 2] {
    let [low, high] = quants;
    let sixteen = _mm512_set1_epi32(16);
    [_mm512_mask_add_epi32(low, fifth[0], low, sixteen), _mm512_mask_add_epi32(high, fifth[1], high, sixteen)]
}

/// The four bits, from bit `shift` on, of 16 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn four_bits_at(block: &[u8], at: usize, shift: usize) -> __m512i {
    let shifted = _mm_srl_epi16(bytes(block, at), _mm_cvtsi32_si128(shift as i32));
    _mm512_cvtepu8_epi32(_mm_and_si128(shifted, _mm_set1_epi8(15)))
}

/// Group `number` of 8 that have four bits each: two groups share 32 bytes, low bits first.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn four_bits(block: &[u8], at: usize, number: usize) -> [__m512i; 2] {
    let (first, shift) = (at + number / 2 * 32, number % 2 * 4);
    [four_bits_at(block, first, shift), four_bits_at(block, first + 16, shift)]
}

/// 16 numbers of a group of Q6_K, offset by 32: four groups share 64 bytes of low bits and 32 of high ones.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn six_bits(block: &[u8], number: usize, half: usize) -> __m512 {
    let low = four_bits_at(block, number / 4 * 64 + number % 2 * 32 + 16 * half, number % 4 / 2 * 4);
    let packed = bytes(block, 128 + number / 4 * 32 + 16 * half);
    let shift = _mm_cvtsi32_si128(number as i32 % 4 * 2);
    let high = _mm512_and_si512(_mm512_srl_epi32(_mm512_cvtepu8_epi32(packed), shift), _mm512_set1_epi32(3));
    let quants = _mm512_or_si512(low, _mm512_slli_epi32::<4>(high));
    _mm512_cvtepi32_ps(_mm512_sub_epi32(quants, _mm512_set1_epi32(32)))
}

/// bf16 numbers as f32.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn widened(numbers: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(numbers)))
}

/// The scale and offset in Q4_K and Q5_K.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,f16c,fma")]
#[inline]
fn scale_and_offset(block: &[u8], number: usize) -> [f32; 2] {
    let [scale, min] =
        crate::stored::scale_and_min(block[4..].first_chunk().expect("a block has its parts"), number);
    [half(block, 0) * scale, -half(block, 2) * min]
}
