//! Weights packed for a GPU, and the kernels that multiply them and work on whole rows there.

// Without the feature no backend has these kernels, and nothing uses their arguments.
#![cfg_attr(not(feature = "gpu"), allow(unused_variables))]

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, backend_extension};
#[cfg(feature = "gpu")]
use burn::tensor::{DType, Shape};

use crate::stored::{Format, StoredTensor};

/// How a weight's numbers are kept in 32-bit words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kept {
    /// One f32 number a word.
    F32,
    /// Two f16 numbers a word, the first one in the lower half.
    F16,
    /// Two bf16 numbers a word, the first one in the lower half.
    Bf16,
}

impl Kept {
    /// How numbers of a format are kept without loss.
    pub fn of(format: &Format) -> Kept {
        match format {
            _ if format == Format::f16() => Kept::F16,
            _ if format == Format::bf16() => Kept::Bf16,
            _ => Kept::F32,
        }
    }

    /// Numbers in a word.
    pub fn values_per_word(self) -> usize {
        match self {
            Kept::F32 => 1,
            Kept::F16 | Kept::Bf16 => 2,
        }
    }

    /// The words of a weight, each row filled up with zeros to whole groups of [`GROUP`] numbers.
    pub fn words(self, weight: &StoredTensor) -> Vec<i32> {
        let columns = weight.columns();
        let filled = columns.next_multiple_of(GROUP);
        if self != Kept::F32 && weight.format == self.format() && columns == filled {
            let (words, _) = weight.bytes.as_chunks::<4>();
            return words.iter().map(|word| i32::from_le_bytes(*word)).collect();
        }
        let bits = |value: f32| match self {
            Kept::F32 => value.to_bits(),
            Kept::F16 => u32::from(half::f16::from_f32(value).to_bits()),
            Kept::Bf16 => u32::from(half::bf16::from_f32(value).to_bits()),
        };
        let per_word = self.values_per_word();
        let word = |values: &[f32]| {
            let bits = values.iter().enumerate().map(|(n, value)| bits(*value) << (32 / per_word * n % 32));
            bits.fold(0, |word, bits| word | bits) as i32
        };
        let mut words = Vec::with_capacity(weight.shape[0] * filled / per_word);
        for row in weight.values().chunks_exact(columns) {
            words.extend(row.chunks(per_word).map(word));
            words.resize(words.len().next_multiple_of(filled / per_word), 0);
        }
        words
    }

    fn format(self) -> &'static Format {
        match self {
            Kept::F32 => Format::f32(),
            Kept::F16 => Format::f16(),
            Kept::Bf16 => Format::bf16(),
        }
    }
}

/// Numbers that kernels load at once: rows of packed weights, and of what they multiply, are whole groups.
pub const GROUP: usize = 4;

/// Kernels of GPUs without gradients. Tensors of numbers are f32 and contiguous; a packed weight is
/// `[out, words]`, made by [`Kept::words`], and `in` is a multiple of [`GROUP`].
#[backend_extension(Cube: cfg(feature = "gpu"), Fusion: cfg(feature = "gpu"))]
pub trait GpuKernels: Backend {
    /// `x W^T`, `[rows, out]`, for `x [rows, in]`.
    #[fusion(dtype = x, shape = one_row_each(x, weight[0]))]
    fn packed_product(x: FloatTensor<Self>, weight: IntTensor<Self>, kept: Kept) -> FloatTensor<Self>;

    /// The rows of a weight whose numbers are `ids` less `first`, `[ids, in]`; zeros for ids that are not
    /// among them.
    #[fusion(dtype = DType::F32, shape = one_row_each(ids, weight[1] * kept.values_per_word()))]
    fn packed_rows(
        ids: IntTensor<Self>,
        weight: IntTensor<Self>,
        kept: Kept,
        first: usize,
    ) -> FloatTensor<Self>;

    /// What the losses of `targets [rows]` need of their logits `x W^T`: partial results of four numbers,
    /// [`head_parts`] a row. The ids of the weight's rows start at `first`.
    #[fusion(dtype = x, shape = one_row_each(x, 4 * head_parts(weight[0])))]
    fn packed_head(
        x: FloatTensor<Self>,
        weight: IntTensor<Self>,
        targets: IntTensor<Self>,
        kept: Kept,
        first: usize,
    ) -> FloatTensor<Self>;

    /// For each row of partial results: the negative log-likelihood of its target, and 1 if the target is the
    /// first of the largest logits, otherwise 0. Returns `[rows, 2]`.
    #[fusion(dtype = parts, shape = one_row_each(parts, 2))]
    fn joined_head(parts: FloatTensor<Self>, targets: IntTensor<Self>) -> FloatTensor<Self>;

    /// Each row of `x [rows, width]` divided by the root of its mean square, times `weight [width]`.
    #[fusion(dtype = x, shape = x)]
    fn norm_rows(x: FloatTensor<Self>, weight: FloatTensor<Self>, epsilon: f64) -> FloatTensor<Self>;

    /// Each row of `x [rows, width]` less its mean, divided by its standard deviation, times `weight [width]`
    /// plus `bias [width]`.
    #[fusion(dtype = x, shape = x)]
    fn norm_centred_rows(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// Rotates every head of every row of `x [rows, heads * dim]` by one of `tables [2 * n, rows, dim / 2]`,
    /// cos then sin each; dimension `p` turns with `p + dim / 2`.
    #[fusion(dtype = x, shape = x)]
    fn turned_rows(x: FloatTensor<Self>, tables: FloatTensor<Self>, table: usize) -> FloatTensor<Self>;
}

/// `[rows of x, width]`.
#[cfg(feature = "gpu")]
fn one_row_each(x: &Shape, width: usize) -> Shape {
    Shape::new([x[0], width])
}

/// Partial results of a row of [`GpuKernels::packed_head`] for a weight of `outer` rows.
pub fn head_parts(outer: usize) -> usize {
    outer.div_ceil(HEAD_COLUMNS) * HEAD_UNITS
}

/// Columns of logits that a workgroup reduces.
pub(crate) const HEAD_COLUMNS: usize = 1024;

/// Units that share a row of them, each with a partial result.
pub(crate) const HEAD_UNITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::Bytes;

    #[test]
    fn words_hold_the_numbers() {
        let values = [1.0f32, -2.5, 0.375, 6.0e-8, 65504.0, -0.0];
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let weight = StoredTensor {
            file: "model.safetensors".into(),
            shape: vec![2, 3],
            format: Format::f32(),
            bytes: Bytes::Owned(bytes.into()),
        };
        let f32s: Vec<f32> =
            Kept::F32.words(&weight).into_iter().map(|word| f32::from_bits(word as u32)).collect();
        assert_eq!(f32s, [1.0, -2.5, 0.375, 0.0, 6.0e-8, 65504.0, -0.0, 0.0]);
        let halves: Vec<f32> = Kept::F16
            .words(&weight)
            .into_iter()
            .flat_map(|word| [word as u16, (word as u32 >> 16) as u16])
            .map(|bits| half::f16::from_bits(bits).to_f32())
            .collect();
        assert_eq!(halves, [1.0, -2.5, 0.375, 0.0, 5.9604645e-8, 65504.0, -0.0, 0.0]);
    }

    #[test]
    fn what_is_stored_in_16_bits_is_kept_as_it_is() {
        let bytes: Vec<u8> = (0..16).collect();
        let weight = StoredTensor {
            file: "model.safetensors".into(),
            shape: vec![2, 4],
            format: Format::bf16(),
            bytes: Bytes::Owned(bytes.into()),
        };
        assert_eq!(Kept::of(weight.format), Kept::Bf16);
        assert_eq!(Kept::Bf16.words(&weight), [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c]);
    }
}
