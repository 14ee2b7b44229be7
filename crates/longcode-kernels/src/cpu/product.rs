//! Products with weights as stored: `y = x W^T`.
//!
//! For a few rows, each row of weights is read once, decoded, and multiplied with all of them: limited by the
//! bytes of the weights. For many, chunks of weights are packed as panels of bf16 terms, or widened to f32,
//! and multiplied as matrices; [`way`] decides which.

#[cfg(target_arch = "x86_64")]
use std::{ops::Range, sync::OnceLock};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use super::choice::multiplies_in_bf16;
use super::matrix::{Matrix, multiply, multiply_in_parallel};
use super::processor::Bf16Instructions;
#[cfg(target_arch = "x86_64")]
use super::row;
use super::shared::Shared;
use super::simd::dots_of_rows;
#[cfg(target_arch = "x86_64")]
use super::tiles::{Multiplier, Panels, SIDE, Strips, Sums, Terms};
use crate::Precision;
use crate::stored::{Format, StoredTensor};

/// Most rows of `x` that are multiplied one row of weights at a time.
const FEW: usize = 24;

/// Numbers of weights that a task with few rows reads.
const FEW_TASK: usize = 1 << 16;

/// Columns of the result that a task with many rows computes.
const COLUMNS: usize = 256;

/// The left side of products: rows, and their packed form once a product has needed it.
///
/// Projections of the same rows share one, so that the rows are packed once.
#[derive(Debug, Default)]
pub struct Operand {
    #[cfg(target_arch = "x86_64")]
    strips: OnceLock<Strips>,
}

/// How many rows are multiplied with a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In f32.
    Wide,
    /// In bf16 terms.
    #[cfg(target_arch = "x86_64")]
    Terms(Terms),
}

/// How to multiply a weight of this format in a precision: as exact as asked, and fastest.
#[cfg(target_arch = "x86_64")]
fn way(format: &Format, precision: Precision, products: Bf16Instructions) -> Way {
    let is_bf16 = format == Format::bf16();
    match (products, precision) {
        (Bf16Instructions::F32, _) => Way::Wide,
        (_, Precision::Bf16) if multiplies_in_bf16(products) => Way::Terms(Terms::One),
        // Several terms are faster than f32 products only on tiles.
        (Bf16Instructions::Avx512Bf16, _) => Way::Wide,
        (Bf16Instructions::Amx, Precision::Split) if is_bf16 => Way::Terms(Terms::Two),
        (Bf16Instructions::Amx, Precision::Split) => Way::Terms(Terms::Cross),
        (Bf16Instructions::Amx, _) if is_bf16 => Way::Terms(Terms::Three),
        (Bf16Instructions::Amx, _) => Way::Wide,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn way(_: &Format, _: Precision, _: Bf16Instructions) -> Way {
    Way::Wide
}

/// `x W^T`, `[rows, out]`, for `x [rows, in]` and a weight `[out, in]`.
pub(super) fn product(x: &[f32], weight: &StoredTensor, precision: Precision, operand: &Operand) -> Vec<f32> {
    product_by(Bf16Instructions::chosen(), x, weight, precision, operand)
}

/// [`product`] with instructions that this processor has.
fn product_by(
    products: Bf16Instructions,
    x: &[f32],
    weight: &StoredTensor,
    precision: Precision,
    operand: &Operand,
) -> Vec<f32> {
    let rows = x.len() / weight.columns();
    if rows == 1
        && let Some(out) = one_row(products, x, weight)
    {
        return out;
    }
    if rows <= FEW {
        return few_rows(x, weight);
    }
    match way(weight.format, precision, products) {
        Way::Wide => wide(x, weight),
        #[cfg(target_arch = "x86_64")]
        Way::Terms(terms) => in_terms(products, x, weight, terms, operand),
    }
}

/// Some rows of a weight, `[ids, in]`.
pub(super) fn rows(ids: &[i64], weight: &StoredTensor) -> Vec<f32> {
    let mut values = vec![0.0; ids.len() * weight.columns()];
    values.par_chunks_mut(weight.columns()).with_min_len(16).zip(ids).for_each(|(values, &id)| {
        weight.decode_rows(id as usize..id as usize + 1, values);
    });
    values
}

/// One row of weights at a time, without a decoded copy; none if the processor or the format has no kernel
/// for it.
#[cfg(target_arch = "x86_64")]
fn one_row(products: Bf16Instructions, x: &[f32], weight: &StoredTensor) -> Option<Vec<f32>> {
    let has_f16c = is_x86_feature_detected!("f16c") && is_x86_feature_detected!("fma");
    let operand =
        row::RowOperand::new(weight.format, x).filter(|_| products != Bf16Instructions::F32 && has_f16c)?;
    let mut out = vec![0.0; weight.shape[0]];
    let even = weight.shape[0].div_ceil(rayon::current_num_threads());
    let task = (FEW_TASK / weight.columns()).clamp(1, even);
    out.par_chunks_mut(task).enumerate().for_each(|(chunk, out)| {
        // SAFETY: `Bf16Instructions` is not F32, so AVX-512 is there, and the other features were checked.
        unsafe { operand.multiply(weight, chunk * task, out) };
    });
    Some(out)
}

#[cfg(not(target_arch = "x86_64"))]
fn one_row(_: Bf16Instructions, _: &[f32], _: &StoredTensor) -> Option<Vec<f32>> {
    None
}

/// One row of weights at a time, with some side by side.
fn few_rows(x: &[f32], weight: &StoredTensor) -> Vec<f32> {
    /// Rows of weights that are multiplied side by side.
    const BESIDE: usize = 4;
    let (outer, inner) = (weight.shape[0], weight.columns());
    let rows = x.len() / inner;
    let mut by_weight = vec![0.0; rows * outer];
    let even = outer.div_ceil(rayon::current_num_threads());
    let task = (FEW_TASK / inner).min(even).next_multiple_of(BESIDE).max(BESIDE);
    by_weight.par_chunks_mut(task * rows).enumerate().for_each_init(
        || vec![0.0; BESIDE * inner],
        |values, (chunk, out)| {
            for (n, out) in out.chunks_mut(BESIDE * rows).enumerate() {
                let first = chunk * task + n * BESIDE;
                let beside = out.len() / rows;
                weight.decode_rows(first..first + beside, &mut values[..beside * inner]);
                pulp::Arch::new().dispatch(Beside::<BESIDE> { x, values, out, inner });
            }
        },
    );
    if rows == 1 { by_weight } else { transposed(&by_weight, outer, rows) }
}

/// Products of every row of `x` with up to `N` rows of weights.
struct Beside<'a, const N: usize> {
    /// `[rows, inner]`
    x: &'a [f32],
    /// `[N, inner]`
    values: &'a [f32],
    /// `[up to N, rows]`
    out: &'a mut [f32],
    inner: usize,
}

impl<const N: usize> WithSimd for Beside<'_, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let rows = self.x.len() / self.inner;
        let mut weights: [&[f32]; N] = [&[]; N];
        for (weights, values) in weights.iter_mut().zip(self.values.chunks_exact(self.inner)) {
            *weights = values;
        }
        // With 32 registers four rows keep their sums in them.
        let together = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let mut row = 0;
        while row < rows {
            row += match (rows - row).min(together) {
                1 => self.rows::<S, 1>(simd, row, weights),
                2 | 3 => self.rows::<S, 2>(simd, row, weights),
                _ => self.rows::<S, 4>(simd, row, weights),
            };
        }
    }
}

impl<const N: usize> Beside<'_, N> {
    /// The products of `R` rows from number `first` on; gives their number.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, simd: S, first: usize, weights: [&[f32]; N]) -> usize {
        let rows = self.x.len() / self.inner;
        let x: [&[f32]; R] = std::array::from_fn(|n| &self.x[(first + n) * self.inner..][..self.inner]);
        for (n, sums) in dots_of_rows(simd, x, weights).into_iter().enumerate() {
            for (out, sum) in self.out.chunks_exact_mut(rows).zip(sums) {
                out[first + n] = sum;
            }
        }
        R
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| x[row * columns + column]));
    }
    out
}

/// Buffers of a task.
#[derive(Default)]
struct Wide {
    /// Weights, widened.
    values: Vec<f32>,
    /// Columns of the result.
    made: Vec<f32>,
}

/// In one bf16 term, with instructions that this processor has.
#[cfg(target_arch = "x86_64")]
pub(super) fn in_one_term(products: Bf16Instructions, x: &[f32], weight: &StoredTensor) -> Vec<f32> {
    in_terms(products, x, weight, Terms::One, &Operand::default())
}

/// In f32, as there is nothing else to measure.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn in_one_term(_: Bf16Instructions, x: &[f32], weight: &StoredTensor) -> Vec<f32> {
    wide(x, weight)
}

/// In f32: chunks of weights are widened, and multiplied while they are in the cache.
pub(super) fn wide(x: &[f32], weight: &StoredTensor) -> Vec<f32> {
    let (outer, inner) = (weight.shape[0], weight.columns());
    let rows = x.len() / inner;
    let mut out = vec![0.0; rows * outer];
    if let Some(values) = weight.as_f32() {
        let (lhs, rhs) = (Matrix::rows(x, inner), Matrix::columns(values, inner));
        multiply_in_parallel(lhs, rhs, &mut out, [rows, inner, outer], false);
        return out;
    }
    let chunk = columns_of_task(outer);
    let shared = Shared::new(&mut out);
    (0..outer).into_par_iter().step_by(chunk).with_max_len(1).for_each_init(
        Wide::default,
        |Wide { values, made }, first| {
            let columns = first..(first + chunk).min(outer);
            values.resize(columns.len() * inner, 0.0);
            weight.decode_rows(columns.clone(), values);
            made.resize(rows * columns.len(), 0.0);
            let dims = [rows, inner, columns.len()];
            multiply(Matrix::rows(x, inner), Matrix::columns(values, inner), made, dims, false);
            for (row, made) in made.chunks_exact(columns.len()).enumerate() {
                // SAFETY: the columns of this task, which no other task writes.
                unsafe { shared.at(row * outer + first).copy_from_nonoverlapping(made.as_ptr(), made.len()) };
            }
        },
    );
    out
}

/// Columns of a task, such that every thread has some.
fn columns_of_task(outer: usize) -> usize {
    let even = outer.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(32);
    even.clamp(32, COLUMNS)
}

/// In bf16 terms.
#[cfg(target_arch = "x86_64")]
fn in_terms(
    products: Bf16Instructions,
    x: &[f32],
    weight: &StoredTensor,
    terms: Terms,
    operand: &Operand,
) -> Vec<f32> {
    let (outer, inner) = (weight.shape[0], weight.columns());
    let strips = operand.strips.get_or_init(|| Strips::pack(x, inner, terms.left()));
    debug_assert_eq!((strips.rows(), strips.terms()), (x.len() / inner, terms.left()));
    let mut out = Vec::with_capacity(strips.rows() * outer);
    let shared = Shared::new(&mut out);
    let chunk = columns_of_task(outer);
    (0..outer).into_par_iter().step_by(chunk).with_max_len(1).for_each_init(
        Panels::default,
        |panels, first| {
            let columns = first..(first + chunk).min(outer);
            panels.pack_weight(weight, columns.clone(), terms.right());
            let multiplier = Multiplier::new(products).expect("terms are for who multiplies them");
            for steps in blocks(strips.steps()) {
                for (rows, strip) in strips.iter() {
                    for (panel, first) in panels.iter().zip(columns.clone().step_by(SIDE)) {
                        let shape = [rows.len(), (columns.end - first).min(SIDE)];
                        let place = shared.at(rows.start * outer + first);
                        // SAFETY: rows and columns of the result, which no other task writes.
                        let sums = unsafe { Sums::at(place, outer, shape) };
                        let sides = [terms.of_strip(strip, &steps), terms.of_panel(panel, &steps)];
                        multiplier.multiply(terms, sides, sums, steps.start > 0);
                    }
                }
            }
        },
    );
    // SAFETY: the tasks have written every row's columns.
    unsafe { out.set_len(strips.rows() * outer) };
    out
}

/// Divides steps into even blocks, so that a task's panels of a block stay in the cache.
#[cfg(target_arch = "x86_64")]
fn blocks(steps: usize) -> impl Iterator<Item = Range<usize>> {
    /// 2,048 inner numbers: 1 MiB of panels of one term.
    const MOST: usize = 64;
    let block = steps.div_ceil(steps.div_ceil(MOST));
    (0..steps).step_by(block).map(move |start| start..(start + block).min(steps))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::stored::{Bytes, FORMATS};

    /// A weight of random bytes, whose numbers are no larger than 4.
    fn weight(format: &'static Format, [outer, inner]: [usize; 2], random: &mut ChaCha8Rng) -> StoredTensor {
        let count = format.bytes(outer * inner).expect("whole blocks");
        let plain = format.block_values == 1;
        let mut bytes: Vec<u8> = match (plain, format.block_bytes) {
            (true, 4) => {
                (0..outer * inner).flat_map(|_| random.random_range(-1f32..1.0).to_le_bytes()).collect()
            }
            (true, _) => {
                let half = |value: f32| {
                    if format == Format::f16() {
                        half::f16::from_f32(value).to_le_bytes()
                    } else {
                        half::bf16::from_f32(value).to_le_bytes()
                    }
                };
                (0..outer * inner).flat_map(|_| half(random.random_range(-1.0..1.0))).collect()
            }
            _ => (0..count).map(|_| random.random()).collect(),
        };
        if format.name == "Q8_0" {
            let scale = half::f16::from_f32(0.01).to_le_bytes();
            bytes.chunks_exact_mut(format.block_bytes).for_each(|block| block[..2].copy_from_slice(&scale));
        }
        let file = "test".into();
        StoredTensor { file, shape: vec![outer, inner], format, bytes: Bytes::Owned(bytes.into()) }
    }

    /// The largest error of a product, relative to the sum of its terms' absolute values.
    fn error(products: Bf16Instructions, weight: &StoredTensor, precision: Precision, x: &[f32]) -> f64 {
        let (outer, inner) = (weight.shape[0], weight.columns());
        let ours = product_by(products, x, weight, precision, &Operand::default());
        let values = weight.values();
        let mut largest = 0f64;
        for (row, ours) in x.chunks_exact(inner).zip(ours.chunks_exact(outer)) {
            for (weights, &ours) in values.chunks_exact(inner).zip(ours) {
                let terms = row.iter().zip(weights).map(|(&a, &b)| f64::from(a) * f64::from(b));
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                largest = largest.max((f64::from(ours) - sum).abs() / size);
            }
        }
        largest
    }

    /// Every way on this processor is as exact as its precision says, for every storage and for shapes that
    /// do not fill a tile.
    #[test]
    fn products_are_as_exact_as_asked() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let named = |name: &str| FORMATS.iter().find(|format| format.name == name).expect("a format");
        for products in Bf16Instructions::here() {
            for name in ["F32", "F16", "BF16", "Q8_0"] {
                for (rows, inner, outer) in
                    [(1, 256, 5), (5, 96, 70), (13, 32, 33), (33, 160, 64), (70, 2144, 40)]
                {
                    let weight = weight(named(name), [outer, inner], &mut random);
                    let x: Vec<f32> = (0..rows * inner).map(|_| random.random_range(-3.0..3.0)).collect();
                    for (precision, most) in
                        [(Precision::F32, 4e-7), (Precision::Split, 1e-5), (Precision::Bf16, 4e-3)]
                    {
                        let error = error(products, &weight, precision, &x);
                        let case = format!("{products:?} {name} {rows}x{inner}x{outer} {precision}");
                        assert!(error < most, "{case}: {error:e}");
                    }
                }
            }
        }
    }

    /// One row in every format gives the product of its decoded values.
    #[test]
    fn one_row_of_every_format() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let x: Vec<f32> = (0..512).map(|_| random.random_range(-3.0..3.0)).collect();
        for products in Bf16Instructions::here() {
            for format in FORMATS {
                let mut weight = weight(format, [9, 512], &mut random);
                // Random bytes contain scales that are NaN, or so large that nothing else counts.
                let tame = |bytes: &[u8]| {
                    let mut bytes = bytes.to_vec();
                    for block in bytes.chunks_exact_mut(format.block_bytes) {
                        let halves: &[usize] = match format.name {
                            "MXFP4" => {
                                block[0] = 120;
                                &[]
                            }
                            "Q4_0" | "Q5_0" | "Q8_0" => &[0],
                            "Q2_K" => &[80, 82],
                            "Q3_K" => &[108],
                            "Q6_K" => &[208],
                            _ => &[0, 2],
                        };
                        for &at in halves {
                            block[at..at + 2].copy_from_slice(&half::f16::from_f32(0.01).to_le_bytes());
                        }
                    }
                    bytes
                };
                if format.block_values > 1 {
                    weight.bytes = Bytes::Owned(tame(&weight.bytes).into());
                }
                let error = error(products, &weight, Precision::F32, &x);
                assert!(error < 1e-6, "{products:?} {}: {error:e}", format.name);
            }
        }
    }

    /// Inner sizes that do not fill a line of a tile, which only plain numbers can have.
    #[test]
    fn odd_widths() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for products in Bf16Instructions::here() {
            for format in [Format::f32(), Format::bf16(), Format::f16()] {
                let weight = weight(format, [19, 45], &mut random);
                let x: Vec<f32> = (0..20 * 45).map(|_| random.random_range(-3.0..3.0)).collect();
                let error = error(products, &weight, Precision::Split, &x);
                assert!(error < 1e-5, "{products:?} {}: {error:e}", format.name);
            }
        }
    }
}
