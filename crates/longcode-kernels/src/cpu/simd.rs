//! Loops that the compiler vectorises for this processor.
//!
//! The functions are plain loops over lanes, inlined into [`vectorised`], which runs them compiled for
//! the widest instruction set that this processor has (AVX-512, AVX2, NEON).

use pulp::Simd;

/// Prefetches the memory at an address, which need not exist.
#[inline(always)]
pub(in super::super) fn prefetch<T>(_at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address is a hint.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(_at.cast());
    }
}

/// Lanes of a reduction: sums and maxima of floats are only reordered where the code says so.
const LANES: usize = 16;

/// Runs a closure compiled for the widest instruction set of this processor. Whatever it calls must be
/// `#[inline(always)]`.
#[inline(always)]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// `exp(x)` for `x <= 88`, relative error about 1e-7 (the polynomial of Cephes' `expf`); below -87 it is 0.
/// NaN stays NaN.
#[inline(always)]
pub(in super::super) fn exp(x: f32) -> f32 {
    exp_by(
        x,
        #[inline(always)]
        |a, b, c| a * b + c,
    )
}

/// [`exp`] with fused multiply-adds, for processors that are known to have them.
#[inline(always)]
pub(in super::super) fn exp_fused(x: f32) -> f32 {
    exp_by(x, f32::mul_add)
}

#[inline(always)]
fn exp_by(x: f32, multiply_add: impl Fn(f32, f32, f32) -> f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Not by f32::max, which turns NaN into -87: a score that overflowed must not become a weight.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let rounded = multiply_add(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2_HIGH, clamped));
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1] {
        p = multiply_add(p, r, coefficient);
    }
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    let value = (multiply_add(p * r, r, r) + 1.0) * f32::from_bits(exponent);
    if x < -87.0 { 0.0 } else { value }
}

/// Replaces each value `x` by `cap tanh(x / cap)`.
#[inline(always)]
pub(in super::super) fn soft_cap(values: &mut [f32], cap: f32) {
    for value in values {
        // tanh(y) = 1 - 2 / (exp(2 y) + 1); at 20 it is 1 in f32.
        let twice = 2.0 * *value / cap;
        *value = cap * (1.0 - 2.0 / (exp(if twice > 40.0 { 40.0 } else { twice }) + 1.0));
    }
}

/// The largest value; -inf if there is none.
#[inline(always)]
pub(in super::super) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// Replaces each value `x` by `exp(x - max)` and returns the sum.
#[inline(always)]
pub(in super::super) fn exp_sum(values: &mut [f32], max: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *value = exp(*value - max);
            *lane += *value;
        }
    }
    for value in rest.iter_mut() {
        *value = exp(*value - max);
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// The sum of `exp(x - max)`.
#[inline(always)]
pub(in super::super) fn sum_of_exp(values: &[f32], max: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += exp(value - max);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|&value| exp(value - max)).sum::<f32>()
}

/// The sum of values.
#[inline(always)]
pub(in super::super) fn sum<const N: usize>(values: &[f32; N]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// The sum of any number of values.
#[inline(always)]
pub(in super::super) fn sum_of(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &value)| *lane += value);
    }
    lanes.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

/// The sum of squares.
#[inline(always)]
pub(in super::super) fn sum_of_squares(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += value * value;
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

/// The sum of products.
#[inline(always)]
pub(in super::super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// The dot products of `a` with each of several others, side by side in registers.
#[inline(always)]
pub(in super::super) fn dots<S: Simd, const N: usize>(simd: S, a: &[f32], others: [&[f32]; N]) -> [f32; N] {
    let [sums] = dots_of_rows(simd, [a], others);
    sums
}

/// The same of several rows: what is loaded is used `R` or `N` times. A row's sums do not depend on the others.
#[inline(always)]
pub(super) fn dots_of_rows<S: Simd, const R: usize, const N: usize>(
    simd: S,
    rows: [&[f32]; R],
    others: [&[f32]; N],
) -> [[f32; N]; R] {
    let mut lanes = [[simd.splat_f32s(0.0); N]; R];
    let length = rows[0].len();
    let whole = length / S::F32_LANES;
    let rows_in_registers = rows.map(|row| S::as_simd_f32s(&row[..length]).0);
    let others_in_registers = others.map(|other| S::as_simd_f32s(&other[..length]).0);
    for place in 0..whole {
        let others = others_in_registers.map(|other| other[place]);
        for (lanes, row) in lanes.iter_mut().zip(&rows_in_registers) {
            for (lanes, &other) in lanes.iter_mut().zip(&others) {
                *lanes = simd.mul_add_e_f32s(row[place], other, *lanes);
            }
        }
    }
    let from = whole * S::F32_LANES;
    if from < length {
        for (lanes, row) in lanes.iter_mut().zip(&rows) {
            let a = simd.partial_load_f32s(&row[from..]);
            for (lanes, other) in lanes.iter_mut().zip(&others) {
                *lanes = simd.mul_add_e_f32s(a, simd.partial_load_f32s(&other[from..length]), *lanes);
            }
        }
    }
    let mut sums = [[0.0; N]; R];
    for (sums, lanes) in sums.iter_mut().zip(lanes) {
        for (sum, lanes) in sums.iter_mut().zip(lanes) {
            *sum = simd.reduce_sum_f32s(lanes);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Twice<'a>(&'a [f32]);

    impl pulp::WithSimd for Twice<'_> {
        type Output = [f32; 2];

        fn with_simd<S: Simd>(self, simd: S) -> [f32; 2] {
            dots(simd, self.0, [self.0, self.0])
        }
    }

    #[test]
    fn exp_is_exp() {
        for step in 0..=17_400 {
            let x = -87.0 + step as f32 / 100.0;
            let error = f64::from(exp(x)) / f64::from(x).exp() - 1.0;
            assert!(error.abs() < 3e-7, "exp({x}): relative error {error}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-90.0), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan() && exp_fused(f32::NAN).is_nan());
    }

    #[test]
    fn a_soft_cap_is_a_hyperbolic_tangent() {
        for step in -2000..=2000 {
            let x = step as f32 / 4.0;
            let mut capped = [x];
            soft_cap(&mut capped, 30.0);
            let expected = 30.0 * (f64::from(x) / 30.0).tanh();
            assert!((f64::from(capped[0]) - expected).abs() < 1e-5, "{x}: {} for {expected}", capped[0]);
        }
        let mut not_a_number = [f32::NAN];
        soft_cap(&mut not_a_number, 30.0);
        assert!(not_a_number[0].is_nan(), "a logit that overflowed must not become a weight");
    }

    #[test]
    fn reductions_of_any_length() {
        for length in 0..70usize {
            let mut values: Vec<f32> = (0..length).map(|n| ((n * 37) % 23) as f32 - 11.0).collect();
            assert_eq!(max(&values), values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            assert_eq!(sum_of_squares(&values), values.iter().map(|v| v * v).sum::<f32>());
            assert_eq!(dot(&values, &values), sum_of_squares(&values));
            assert_eq!(pulp::Arch::new().dispatch(Twice(&values)), [dot(&values, &values); 2]);
            let expected: f64 = values.iter().map(|&v| f64::from(v - 11.0).exp()).sum();
            for sum in [sum_of_exp(&values, 11.0), exp_sum(&mut values, 11.0), values.iter().sum()] {
                assert!(
                    (f64::from(sum) - expected).abs() <= 1e-6 * expected,
                    "{length}: {sum} for {expected}"
                );
            }
        }
    }
}
