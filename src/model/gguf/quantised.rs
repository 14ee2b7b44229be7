//! The block formats of ggml, as f32: what each byte of a block means.
//!
//! Every format cuts a row into blocks of 32 or 256 values that share scales. `d` is a block's scale and
//! `m` (or `dmin`) its offset, both f16; the K formats scale each 16 or 32 of their 256 values once more,
//! by small integers. Arithmetic is f32 in the order of ggml, so that values agree to the bit.

use half::{bf16, f16};
use rayon::prelude::*;

/// A format of tensor data that can be read.
#[derive(Debug, Clone, Copy)]
pub struct TensorType {
    /// Its number in a file.
    id: u32,
    /// Its name in llama.cpp.
    pub name: &'static str,
    /// Values of a block.
    pub block_values: usize,
    /// Bytes of a block.
    pub block_bytes: usize,
    /// One block's bytes to its values.
    decode: fn(&[u8], &mut [f32]),
}

const fn format(
    id: u32,
    name: &'static str,
    block_values: usize,
    block_bytes: usize,
    decode: fn(&[u8], &mut [f32]),
) -> TensorType {
    TensorType { id, name, block_values, block_bytes, decode }
}

/// Every format that can be read.
pub const TENSOR_TYPES: &[TensorType] = &[
    format(0, "F32", 1, 4, |block, values| {
        values[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]])
    }),
    format(1, "F16", 1, 2, |block, values| values[0] = half_at(block, 0)),
    format(30, "BF16", 1, 2, |block, values| values[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32()),
    format(2, "Q4_0", 32, 18, q4_0),
    format(3, "Q4_1", 32, 20, q4_1),
    format(6, "Q5_0", 32, 22, q5_0),
    format(7, "Q5_1", 32, 24, q5_1),
    format(8, "Q8_0", 32, 34, q8_0),
    format(10, "Q2_K", 256, 84, q2_k),
    format(11, "Q3_K", 256, 110, q3_k),
    format(12, "Q4_K", 256, 144, q4_k),
    format(13, "Q5_K", 256, 176, q5_k),
    format(14, "Q6_K", 256, 210, q6_k),
];

/// Formats that are known by name only.
const OTHER_TYPES: &[(u32, &str)] = &[
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

impl TensorType {
    /// The format of that number; else its name, or what stands for one.
    pub(super) fn of(id: u32) -> std::result::Result<TensorType, String> {
        TENSOR_TYPES.iter().find(|format| format.id == id).copied().ok_or_else(|| {
            let known = OTHER_TYPES.iter().find(|(other, _)| *other == id);
            known.map_or_else(|| format!("number {id}"), |(_, name)| name.to_string())
        })
    }

    /// Bytes of that many values; none where they do not fill whole blocks or the count overflows.
    pub(super) fn bytes(&self, values: usize) -> Option<usize> {
        let whole = values.is_multiple_of(self.block_values);
        (values / self.block_values).checked_mul(self.block_bytes).filter(|_| whole)
    }

    /// Whole blocks as values.
    pub fn decode(&self, bytes: &[u8]) -> Vec<f32> {
        /// Blocks that one thread decodes at a time.
        const PIECE: usize = 4096;
        let mut values = vec![0.0; bytes.len() / self.block_bytes * self.block_values];
        let pieces = values.par_chunks_mut(PIECE * self.block_values);
        pieces.zip(bytes.par_chunks(PIECE * self.block_bytes)).for_each(|(values, bytes)| {
            let blocks = bytes.chunks_exact(self.block_bytes);
            for (values, block) in values.chunks_exact_mut(self.block_values).zip(blocks) {
                (self.decode)(block, values);
            }
        });
        values
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// `[d, m]` at a place.
fn halves_at(block: &[u8], at: usize) -> [f32; 2] {
    [half_at(block, at), half_at(block, at + 2)]
}

/// The low and the high four bits: of 32 values packed in 16 bytes, value n and value n + 16.
fn nibbles(byte: u8) -> [u8; 2] {
    [byte & 15, byte >> 4]
}

/// `d`, 16 bytes of values offset by 8.
fn q4_0(block: &[u8], values: &mut [f32]) {
    let d = half_at(block, 0);
    for (n, &byte) in block[2..].iter().enumerate() {
        let [low, high] = nibbles(byte).map(|q| f32::from(q) - 8.0);
        values[n] = d * low;
        values[n + 16] = d * high;
    }
}

/// `d`, `m`, 16 bytes of values.
fn q4_1(block: &[u8], values: &mut [f32]) {
    let [d, m] = halves_at(block, 0);
    for (n, &byte) in block[4..].iter().enumerate() {
        let [low, high] = nibbles(byte).map(f32::from);
        values[n] = d * low + m;
        values[n + 16] = d * high + m;
    }
}

/// The 32 five-bit values of 4 bytes of fifth bits and 16 bytes of the other four.
fn five_bits(packed: &[u8]) -> [f32; 32] {
    let fifth = u32::from_le_bytes([packed[0], packed[1], packed[2], packed[3]]);
    std::array::from_fn(|n| {
        let low = nibbles(packed[4 + n % 16])[n / 16];
        f32::from(low | (((fifth >> n) as u8 & 1) << 4))
    })
}

/// `d`, fifth bits, 16 bytes of values offset by 16.
fn q5_0(block: &[u8], values: &mut [f32]) {
    let d = half_at(block, 0);
    for (value, q) in values.iter_mut().zip(five_bits(&block[2..])) {
        *value = d * (q - 16.0);
    }
}

/// `d`, `m`, fifth bits, 16 bytes of values.
fn q5_1(block: &[u8], values: &mut [f32]) {
    let [d, m] = halves_at(block, 0);
    for (value, q) in values.iter_mut().zip(five_bits(&block[4..])) {
        *value = d * q + m;
    }
}

/// `d`, 32 signed bytes.
fn q8_0(block: &[u8], values: &mut [f32]) {
    let d = half_at(block, 0);
    for (value, &q) in values.iter_mut().zip(&block[2..]) {
        *value = d * f32::from(q as i8);
    }
}

/// Two bits of value `n` of 256: 128 values share 32 bytes, which hold 32 values in each pair of bits.
fn two_bits(packed: &[u8], n: usize) -> u8 {
    (packed[n / 128 * 32 + n % 32] >> (n % 128 / 32 * 2)) & 3
}

/// Four bits of value `n` of 256: 64 values share 32 bytes, low bits first.
fn four_bits(packed: &[u8], n: usize) -> u8 {
    nibbles(packed[n / 64 * 32 + n % 32])[n % 64 / 32]
}

/// 16 bytes of a scale and an offset in four bits each, for 16 values each; 64 bytes of values; `d`, `dmin`.
fn q2_k(block: &[u8], values: &mut [f32]) {
    let (scales, packed) = block.split_at(16);
    let [d, dmin] = halves_at(block, 80);
    for (n, value) in values.iter_mut().enumerate() {
        let [scale, min] = nibbles(scales[n / 16]).map(f32::from);
        *value = d * scale * f32::from(two_bits(packed, n)) - dmin * min;
    }
}

/// 32 bytes of third bits (4 is subtracted where they are unset), 64 bytes of the other two, 12 bytes of
/// six-bit scales offset by 32 for 16 values each, `d`.
fn q3_k(block: &[u8], values: &mut [f32]) {
    let (third, packed, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let d = half_at(block, 108);
    let scale = |n: usize| {
        let low = nibbles(scales[n % 8])[n / 8];
        let high = (scales[8 + n % 4] >> (n / 4 * 2)) & 3;
        f32::from(low | (high << 4)) - 32.0
    };
    for (n, value) in values.iter_mut().enumerate() {
        let offset = if (third[n % 32] >> (n / 32)) & 1 == 1 { 0.0 } else { 4.0 };
        *value = d * scale(n / 16) * (f32::from(two_bits(packed, n)) - offset);
    }
}

/// Six-bit scale and offset number `n` of 8, for 32 values each, in 12 bytes.
fn scale_and_min(packed: &[u8], n: usize) -> [f32; 2] {
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
fn q4_k(block: &[u8], values: &mut [f32]) {
    let [d, dmin] = halves_at(block, 0);
    let (scales, packed) = (&block[4..16], &block[16..]);
    for (n, value) in values.iter_mut().enumerate() {
        let [scale, min] = scale_and_min(scales, n / 32);
        *value = d * scale * f32::from(four_bits(packed, n)) - dmin * min;
    }
}

/// As `q4_k`, with 32 bytes of fifth bits before the other four.
fn q5_k(block: &[u8], values: &mut [f32]) {
    let [d, dmin] = halves_at(block, 0);
    let (scales, fifth, packed) = (&block[4..16], &block[16..48], &block[48..]);
    for (n, value) in values.iter_mut().enumerate() {
        let [scale, min] = scale_and_min(scales, n / 32);
        let q = four_bits(packed, n) | (((fifth[n % 32] >> (n / 32)) & 1) << 4);
        *value = d * scale * f32::from(q) - dmin * min;
    }
}

/// 128 bytes of the low four bits (128 values share 64 bytes, low bits first), 64 bytes of the high two,
/// offset by 32; 16 signed scales for 16 values each, `d`.
fn q6_k(block: &[u8], values: &mut [f32]) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half_at(block, 208);
    for (n, value) in values.iter_mut().enumerate() {
        let low = nibbles(low[n / 128 * 64 + n % 64])[n % 128 / 64];
        let q = f32::from(low | (two_bits(high, n) << 4)) - 32.0;
        *value = d * f32::from(scales[n / 16] as i8) * q;
    }
}
