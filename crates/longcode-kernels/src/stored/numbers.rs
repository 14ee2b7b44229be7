//! Values of 16-bit numbers.

/// A bf16 number's value.
#[inline(always)]
pub(super) fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// A half's value, in operations that a compiler vectorises.
#[inline(always)]
pub(super) fn f16_to_f32(bits: u16) -> f32 {
    /// Moves the exponent's bias from 15 to 127; exact, for subnormal halves too.
    const BIAS: f32 = f32::from_bits(0x7780_0000);
    let magnitude = u32::from(bits & 0x7fff) << 13;
    let value = f32::from_bits(magnitude) * BIAS;
    let infinite_or_nan = if magnitude >= 0x0f80_0000 { 0x7f80_0000 } else { 0 };
    f32::from_bits(value.to_bits() | infinite_or_nan | (u32::from(bits & 0x8000) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_those_of_the_half_crate() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (f16_to_f32(bits), half::f16::from_bits(bits).to_f32());
            assert!(ours == theirs || (ours.is_nan() && theirs.is_nan()), "{bits:#06x}: {ours} for {theirs}");
        }
    }
}
