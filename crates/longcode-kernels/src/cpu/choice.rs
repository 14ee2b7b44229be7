//! Whether bf16 numbers are multiplied as such or as f32: decided by a short measurement, not by the name of
//! an instruction.
//!
//! AMX tiles win by far. `vdpbf16ps` wins on some processors and loses on others: on a virtual Intel Xeon
//! without AMX, scoring took 1.4 times as long with it as in f32. So the first product in `bf16` on a
//! processor that has it but no AMX first times both, and the process keeps the result.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::processor::{Bf16Instructions, VARIABLE};
use super::product::{in_one_term, wide};
use crate::stored::{Bytes, Format, StoredTensor};

/// Rows, columns and inner numbers of the timed product: some 50 million multiplications, a few milliseconds.
const SHAPE: [usize; 3] = [128, 768, 512];

/// How often each is timed; the fastest counts.
const TIMES: usize = 3;

/// How much longer bf16 may take and still be used: the spread between two measurements of the same thing.
const ALIKE: f64 = 1.1;

/// How long a product of bf16 numbers took, relative to f32.
#[derive(Debug, Clone, Copy)]
pub struct Measured(f64);

impl Measured {
    /// For these instructions, measured once in the process; none if there is nothing to choose.
    pub fn of(products: Bf16Instructions) -> Option<Measured> {
        static FOUND: OnceLock<Measured> = OnceLock::new();
        let is_open = products == Bf16Instructions::Avx512Bf16 && std::env::var_os(VARIABLE).is_none();
        is_open.then(|| *FOUND.get_or_init(measure))
    }

    /// Whether bf16 products are used.
    pub fn pays(self) -> bool {
        self.0 <= ALIKE
    }

    /// Time of bf16 products over that of f32 ones.
    pub fn ratio(self) -> f64 {
        self.0
    }
}

/// Whether `precision = "bf16"` multiplies in bf16 with these instructions.
pub(super) fn multiplies_in_bf16(products: Bf16Instructions) -> bool {
    products != Bf16Instructions::F32 && Measured::of(products).is_none_or(Measured::pays)
}

fn measure() -> Measured {
    let [rows, outer, inner] = SHAPE;
    let number = |n: usize| (n * 7919 % 1024) as f32 / 512.0 - 1.0;
    let x: Vec<f32> = (0..rows * inner).map(number).collect();
    let bytes = (0..outer * inner).flat_map(|n| half::bf16::from_f32(number(n)).to_le_bytes());
    let weight = StoredTensor {
        file: "measurement".into(),
        shape: vec![outer, inner],
        format: Format::bf16(),
        bytes: Bytes::Owned(bytes.collect()),
    };
    let quickest = |product: &dyn Fn() -> Vec<f32>| {
        (0..TIMES)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(product());
                start.elapsed()
            })
            .min()
            .unwrap_or(Duration::MAX)
            .as_secs_f64()
    };
    let in_bf16 = quickest(&|| in_one_term(Bf16Instructions::Avx512Bf16, &x, &weight));
    Measured(in_bf16 / quickest(&|| wide(&x, &weight)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_choice_is_measured() {
        assert!(
            Measured::of(Bf16Instructions::Amx).is_none() && Measured::of(Bf16Instructions::F32).is_none()
        );
        assert!(!multiplies_in_bf16(Bf16Instructions::F32));
        assert!(Measured(0.9).pays() && Measured(1.05).pays() && !Measured(1.4).pays());
    }

    /// Both ways give the same product, up to bf16 rounding.
    #[test]
    fn both_are_timed_on_the_same_product() {
        if Bf16Instructions::Avx512Bf16.is_here() {
            assert!(measure().ratio() > 0.0);
        }
    }
}
