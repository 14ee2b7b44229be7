//! What the bytes of a tensor mean: plain numbers, and the block formats of GGUF files.

use std::hint::black_box;

use super::blocks;
use super::numbers::{bf16_to_f32, f16_to_f32};
use crate::vectorised;

/// A format of tensor data that can be read.
#[derive(Debug)]
pub struct Format {
    /// Its number in a GGUF file.
    pub id: u32,
    /// Its name in llama.cpp.
    pub name: &'static str,
    /// Values of a block; 1 for plain numbers.
    pub block_values: usize,
    /// Bytes of a block.
    pub block_bytes: usize,
    /// Decodes whole blocks, as many as fill the values.
    pub decode: fn(&[u8], &mut [f32]),
}

impl PartialEq for Format {
    fn eq(&self, other: &Format) -> bool {
        self.id == other.id
    }
}

/// Decodes numbers by an expression, which is compiled into the loop.
macro_rules! numbers {
    ($to_f32:expr) => {
        |bytes, values| {
            decode(
                bytes,
                values,
                #[inline(always)]
                |bytes| $to_f32(bytes),
            )
        }
    };
}

/// Decodes blocks by a function, which is compiled into the loop.
macro_rules! blocks {
    ($decode:ident) => {
        |bytes, values| {
            decode_blocks(
                bytes,
                values,
                #[inline(always)]
                |block, values| blocks::$decode(block, values),
            )
        }
    };
}

/// Every format that can be read.
pub static FORMATS: &[Format] = &[
    format(0, "F32", 1, 4, numbers!(f32::from_le_bytes)),
    format(1, "F16", 1, 2, numbers!((|bytes| f16_to_f32(u16::from_le_bytes(bytes))))),
    format(30, "BF16", 1, 2, numbers!(|bytes| bf16_to_f32(u16::from_le_bytes(bytes)))),
    format(2, "Q4_0", 32, 18, blocks!(q4_0)),
    format(3, "Q4_1", 32, 20, blocks!(q4_1)),
    format(6, "Q5_0", 32, 22, blocks!(q5_0)),
    format(7, "Q5_1", 32, 24, blocks!(q5_1)),
    format(8, "Q8_0", 32, 34, blocks!(q8_0)),
    format(10, "Q2_K", 256, 84, blocks!(q2_k)),
    format(11, "Q3_K", 256, 110, blocks!(q3_k)),
    format(12, "Q4_K", 256, 144, blocks!(q4_k)),
    format(13, "Q5_K", 256, 176, blocks!(q5_k)),
    format(14, "Q6_K", 256, 210, blocks!(q6_k)),
    format(39, "MXFP4", 32, 17, blocks!(mxfp4)),
];

const fn format(
    id: u32,
    name: &'static str,
    block_values: usize,
    block_bytes: usize,
    decode: fn(&[u8], &mut [f32]),
) -> Format {
    Format { id, name, block_values, block_bytes, decode }
}

impl Format {
    /// 4 bytes a number.
    pub fn f32() -> &'static Format {
        &FORMATS[0]
    }

    /// 2 bytes a number: IEEE's half.
    pub fn f16() -> &'static Format {
        &FORMATS[1]
    }

    /// 2 bytes a number: the upper half of an f32.
    pub fn bf16() -> &'static Format {
        &FORMATS[2]
    }

    /// 17 bytes for 32 numbers: a power of two and numbers of four bits (OCP MX 1.0).
    pub fn mxfp4() -> &'static Format {
        &FORMATS[FORMATS.len() - 1]
    }

    /// Bytes of this many values; none if they do not fill whole blocks or the count overflows.
    pub fn bytes(&self, values: usize) -> Option<usize> {
        let whole = values.is_multiple_of(self.block_values);
        (values / self.block_values).checked_mul(self.block_bytes).filter(|_| whole)
    }
}

/// Plain numbers of `BYTES` bytes.
#[inline(always)]
fn decode<const BYTES: usize>(bytes: &[u8], values: &mut [f32], to_f32: impl Fn([u8; BYTES]) -> f32) {
    let (numbers, _) = bytes.as_chunks::<BYTES>();
    vectorised(
        #[inline(always)]
        || {
            for (value, number) in values.iter_mut().zip(numbers) {
                *value = to_f32(*number);
            }
        },
    );
}

/// Blocks of `BYTES` bytes and `VALUES` values.
#[inline(always)]
fn decode_blocks<const BYTES: usize, const VALUES: usize>(
    bytes: &[u8],
    values: &mut [f32],
    decode: impl Fn(&[u8; BYTES], &mut [f32; VALUES]),
) {
    let ((blocks, _), (values, _)) = (bytes.as_chunks::<BYTES>(), values.as_chunks_mut::<VALUES>());
    vectorised(
        #[inline(always)]
        || {
            for (block, values) in blocks.iter().zip(values) {
                // One block after another: a compiler that vectorises over blocks gathers and scatters.
                decode(black_box(block), values);
            }
        },
    );
}
