//! Numbers of a weight as 32-bit words, in the form in which they are kept on a GPU, and their decoding in
//! registers: what is moved is what is kept, and products are those of f32 numbers.

use cubecl::prelude::*;

use crate::packed::Kept;

/// Values that a unit loads and multiplies at once.
pub(super) const AT_ONCE: usize = 4;

/// Some neighbouring numbers of a row.
pub(super) type Four = Vector<f32, Const<AT_ONCE>>;

/// Words of [`AT_ONCE`] values.
pub(super) fn words(kept: Kept) -> usize {
    AT_ONCE / kept.values_per_word()
}

/// The values of some words.
#[cube]
pub(super) fn decoded<W: Size>(words: Vector<u32, W>, #[comptime] kept: Kept) -> Four {
    let mut values = Four::empty();
    if comptime!(kept == Kept::F32) {
        values = Four::reinterpret(words);
    } else {
        #[unroll]
        for n in 0..AT_ONCE / 2 {
            let word = words.extract(n);
            if comptime!(kept == Kept::Bf16) {
                values.insert(comptime!(2 * n), f32::reinterpret(word << 16u32));
                values.insert(comptime!(2 * n + 1), f32::reinterpret(word & 0xffff_0000u32));
            } else {
                values.insert(comptime!(2 * n), from_half(word & 0xffffu32));
                values.insert(comptime!(2 * n + 1), from_half(word >> 16u32));
            }
        }
    }
    values
}

/// 2^-24.
const SMALLEST: f32 = 1.0 / 16_777_216.0;

/// An f16 number from its bits, also where the adapter has no such type: its exponent starts at 112 of an
/// f32's; numbers below the smallest exponent are multiples of 2^-24.
#[cube]
fn from_half(bits: u32) -> f32 {
    let size = bits & 0x7fffu32;
    let normal = f32::reinterpret((size << 13u32) + 0x3800_0000u32);
    let small = f32::cast_from(size) * SMALLEST;
    let endless = f32::reinterpret((size << 13u32) | 0x7f80_0000u32);
    let value = select(size < 0x400u32, small, select(size < 0x7c00u32, normal, endless));
    select(bits >= 0x8000u32, -value, value)
}
