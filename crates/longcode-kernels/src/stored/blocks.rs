//! The block formats of ggml, decoded to f32: what each byte of a block means.
//!
//! Every format cuts a row into blocks of 32 or 256 values that share scales. `d` is a block's scale and `m`
//! (or `dmin`) its offset, both f16; the K formats scale each 16 or 32 of their 256 values once more, by
//! small integers. Arithmetic is f32 in the order of ggml, so that values agree to the bit. Values that share
//! a shift and a scale are neighbours, so the loops over them vectorise.

use super::numbers::f16_to_f32;

#[inline(always)]
fn half_at(block: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([block[at], block[at + 1]]))
}

/// The low and the high four bits of 16 bytes: values 0 to 15, and 16 to 31.
#[inline(always)]
fn nibbles(bytes: &[u8; 16]) -> [u8; 32] {
    let mut values = [0; 32];
    for (n, byte) in bytes.iter().enumerate() {
        values[n] = byte & 15;
        values[n + 16] = byte >> 4;
    }
    values
}

/// `N` bytes at a place. They are copied before values are written: as the bytes could be the values' own
/// memory, a compiler would not read 16 of them at once.
#[inline(always)]
fn part<const N: usize>(block: &[u8], at: usize) -> &[u8; N] {
    block[at..].first_chunk().expect("a block has its parts")
}

/// `d`, 16 bytes of values offset by 8.
#[inline(always)]
pub(super) fn q4_0(block: &[u8; 18], values: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for (value, q) in values.iter_mut().zip(nibbles(part(block, 2))) {
        *value = d * (f32::from(q) - 8.0);
    }
}

/// `d`, `m`, 16 bytes of values.
#[inline(always)]
pub(super) fn q4_1(block: &[u8; 20], values: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    for (value, q) in values.iter_mut().zip(nibbles(part(block, 4))) {
        *value = d * f32::from(q) + m;
    }
}

/// Twice the numbers of four bits of MXFP4: a sign, two bits of exponent, one of mantissa.
pub(crate) const TWICE_FP4: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Half of a scale of MXFP4, `2^(byte - 127)`, so that it goes with [`TWICE_FP4`].
#[inline(always)]
pub(crate) fn half_scale(byte: u8) -> f32 {
    // The two smallest are below the normal numbers.
    f32::from_bits(if byte < 2 { 0x0020_0000 << byte } else { u32::from(byte - 1) << 23 })
}

/// A scale, 16 bytes of values.
#[inline(always)]
pub(super) fn mxfp4(block: &[u8; 17], values: &mut [f32; 32]) {
    let scale = half_scale(block[0]);
    for (value, q) in values.iter_mut().zip(nibbles(part(block, 1))) {
        *value = scale * f32::from(TWICE_FP4[usize::from(q)]);
    }
}

/// The 32 five-bit values of 4 bytes of fifth bits and 16 bytes of the other four.
#[inline(always)]
fn five_bits(packed: &[u8; 20]) -> [u8; 32] {
    let fifth = u32::from_le_bytes(*part(packed, 0));
    let mut values = nibbles(part(packed, 4));
    for (n, value) in values.iter_mut().enumerate() {
        *value |= ((fifth >> n) as u8 & 1) << 4;
    }
    values
}

/// `d`, fifth bits, 16 bytes of values offset by 16.
#[inline(always)]
pub(super) fn q5_0(block: &[u8; 22], values: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for (value, q) in values.iter_mut().zip(five_bits(part(block, 2))) {
        *value = d * (f32::from(q) - 16.0);
    }
}

/// `d`, `m`, fifth bits, 16 bytes of values.
#[inline(always)]
pub(super) fn q5_1(block: &[u8; 24], values: &mut [f32; 32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    for (value, q) in values.iter_mut().zip(five_bits(part(block, 4))) {
        *value = d * f32::from(q) + m;
    }
}

/// `d`, 32 signed bytes.
#[inline(always)]
pub(super) fn q8_0(block: &[u8; 34], values: &mut [f32; 32]) {
    let d = half_at(block, 0);
    for (value, q) in values.iter_mut().zip(*part::<32>(block, 2)) {
        *value = d * f32::from(q as i8);
    }
}

/// Number `n` of 8 times 32 values that have two bits each: 128 values share 32 bytes, which hold 32 values
/// in each pair of bits.
#[inline(always)]
fn two_bits(packed: &[u8; 64], n: usize) -> [u8; 32] {
    let mut values = *part::<32>(packed, n / 4 * 32);
    for value in &mut values {
        *value = (*value >> (n % 4 * 2)) & 3;
    }
    values
}

/// Number `n` of 8 times 32 values that have four bits each: 64 values share 32 bytes, low bits first.
#[inline(always)]
fn four_bits(packed: &[u8; 128], n: usize) -> [u8; 32] {
    let mut values = *part::<32>(packed, n / 2 * 32);
    for value in &mut values {
        *value = (*value >> (n % 2 * 4)) & 15;
    }
    values
}

/// Each of 32 values times a scale, one for each 16 of them.
#[inline(always)]
fn scaled(values: &mut [f32], quants: [f32; 32], scales: [f32; 2]) {
    for (half, scale) in scales.into_iter().enumerate() {
        for n in 16 * half..16 * (half + 1) {
            values[n] = scale * quants[n];
        }
    }
}

/// 16 bytes of a scale and an offset in four bits each, for 16 values each; 64 bytes of values; `d`, `dmin`.
#[inline(always)]
pub(super) fn q2_k(block: &[u8; 84], values: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 80), half_at(block, 82));
    for (n, values) in values.chunks_exact_mut(32).enumerate() {
        let pair = [block[2 * n], block[2 * n + 1]];
        let mut quants = [0.0; 32];
        for (quant, q) in quants.iter_mut().zip(two_bits(part(block, 16), n)) {
            *quant = f32::from(q);
        }
        scaled(values, quants, pair.map(|byte| d * f32::from(byte & 15)));
        for (values, byte) in values.chunks_exact_mut(16).zip(pair) {
            let offset = dmin * f32::from(byte >> 4);
            values.iter_mut().for_each(|value| *value -= offset);
        }
    }
}

/// 32 bytes of third bits (4 is subtracted if they are unset), 64 bytes of the other two, 12 bytes of six-bit
/// scales offset by 32 for 16 values each, `d`.
#[inline(always)]
pub(super) fn q3_k(block: &[u8; 110], values: &mut [f32; 256]) {
    let (third, scales): ([u8; 32], [u8; 12]) = (*part(block, 0), *part(block, 96));
    let d = half_at(block, 108);
    let scale = |n: usize| {
        let low = (scales[n % 8] >> (n / 8 * 4)) & 15;
        let high = (scales[8 + n % 4] >> (n / 4 * 2)) & 3;
        d * (f32::from(low | (high << 4)) - 32.0)
    };
    for (n, values) in values.chunks_exact_mut(32).enumerate() {
        let low = two_bits(part(block, 32), n);
        let mut quants = [0.0; 32];
        for ((quant, low), third) in quants.iter_mut().zip(low).zip(third) {
            *quant = f32::from(low) - (4 - ((third >> n) & 1) * 4) as f32;
        }
        scaled(values, quants, [scale(2 * n), scale(2 * n + 1)]);
    }
}

/// Six-bit scale and offset number `n` of 8, for 32 values each, in 12 bytes.
#[inline(always)]
pub(crate) fn scale_and_min(packed: &[u8; 12], n: usize) -> [f32; 2] {
    let pair = match n {
        0..4 => [packed[n] & 63, packed[n + 4] & 63],
        _ => [
            (packed[n + 4] & 15) | ((packed[n - 4] >> 6) << 4),
            (packed[n + 4] >> 4) | ((packed[n] >> 6) << 4),
        ],
    };
    pair.map(f32::from)
}

/// `d`, `dmin`, 12 bytes of scales and offsets, 128 bytes of values.
#[inline(always)]
pub(super) fn q4_k(block: &[u8; 144], values: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    for (n, values) in values.chunks_exact_mut(32).enumerate() {
        let [scale, min] = scale_and_min(part(block, 4), n);
        let (scale, offset) = (d * scale, dmin * min);
        for (value, q) in values.iter_mut().zip(four_bits(part(block, 16), n)) {
            *value = scale * f32::from(q) - offset;
        }
    }
}

/// As `q4_k`, with 32 bytes of fifth bits before the other four.
#[inline(always)]
pub(super) fn q5_k(block: &[u8; 176], values: &mut [f32; 256]) {
    let (d, dmin) = (half_at(block, 0), half_at(block, 2));
    let fifth: [u8; 32] = *part(block, 16);
    for (n, values) in values.chunks_exact_mut(32).enumerate() {
        let [scale, min] = scale_and_min(part(block, 4), n);
        let (scale, offset) = (d * scale, dmin * min);
        let low = four_bits(part(block, 48), n);
        for ((value, low), fifth) in values.iter_mut().zip(low).zip(fifth) {
            *value = scale * f32::from(low | (((fifth >> n) & 1) << 4)) - offset;
        }
    }
}

/// 128 bytes of the low four bits (128 values share 64 bytes, low bits first), 64 bytes of the high two,
/// offset by 32; 16 signed scales for 16 values each, `d`.
#[inline(always)]
pub(super) fn q6_k(block: &[u8; 210], values: &mut [f32; 256]) {
    let scales: [u8; 16] = *part(block, 192);
    let d = half_at(block, 208);
    for (n, values) in values.chunks_exact_mut(32).enumerate() {
        let low: [u8; 32] = *part(block, n / 4 * 64 + n % 2 * 32);
        let high = two_bits(part(block, 128), n);
        let mut quants = [0.0; 32];
        for ((quant, low), high) in quants.iter_mut().zip(low).zip(high) {
            *quant = f32::from(((low >> (n % 4 / 2 * 4)) & 15) | (high << 4)) - 32.0;
        }
        scaled(values, quants, [2 * n, 2 * n + 1].map(|n| d * f32::from(scales[n] as i8)));
    }
}
