//! A weight matrix of the network, in any storage, and its product.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use half::f16;

use super::network::row_blocks;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::packed::{GROUP, head_parts};
use crate::kernels::stored::{Format, StoredTensor};
use crate::kernels::{
    DifferentiableKernels, GpuKernels, InferenceKernels, Kept, Operand, Precision, is_cpu, largest_binding,
};

/// A weight, `[out, in]` as Hugging Face keeps it.
#[derive(Module, Debug)]
pub(super) enum Matrix {
    /// f32 numbers on a device, which training changes.
    Tensor(Param<Tensor<2>>),
    /// On a GPU, in parts that it can bind.
    Parts(Parts),
    /// On the CPU, as the checkpoint stores it.
    Stored(Stored),
}

/// A weight as the checkpoint stores it, and the precision of its products.
#[derive(Module, Debug)]
pub(super) struct Stored {
    #[module(skip)]
    weight: Arc<StoredTensor>,
    #[module(skip)]
    precision: Precision,
}

/// Rows that one or more weights multiply.
pub(super) struct Rows {
    /// `[rows, in]`
    x: Tensor<2>,
    /// Their form for the CPU's kernels, made only once.
    operand: Arc<Operand>,
}

impl Rows {
    /// `x [rows, in]`.
    pub(super) fn new(x: Tensor<2>) -> Rows {
        Rows { x, operand: Arc::default() }
    }
}

impl Stored {
    /// A weight of two dimensions.
    pub(super) fn new(weight: Arc<StoredTensor>, precision: Precision) -> Stored {
        Stored { weight, precision }
    }
}

impl Matrix {
    /// `[out, in]`.
    pub(super) fn dims(&self) -> [usize; 2] {
        match self {
            Matrix::Tensor(weight) => weight.dims(),
            Matrix::Parts(parts) => parts.dims,
            Matrix::Stored(Stored { weight, .. }) => [weight.shape[0], weight.shape[1]],
        }
    }

    /// The weight as the checkpoint stores it, if it is held so.
    pub(super) fn stored(&self) -> Option<StoredTensor> {
        match self {
            Matrix::Tensor(_) | Matrix::Parts(_) => None,
            Matrix::Stored(Stored { weight, .. }) => Some(StoredTensor::clone(weight)),
        }
    }

    /// The precision of its products, if it is held as stored.
    pub(super) fn precision(&self) -> Option<Precision> {
        match self {
            Matrix::Tensor(_) | Matrix::Parts(_) => None,
            Matrix::Stored(Stored { precision, .. }) => Some(*precision),
        }
    }

    /// The same, with products in another precision if it is held as stored.
    pub(super) fn in_precision(self, precision: Precision) -> Matrix {
        match self {
            Matrix::Stored(Stored { weight, .. }) => Matrix::Stored(Stored::new(weight, precision)),
            tensor => tensor,
        }
    }

    /// `x W^T`, `[rows, out]`.
    pub(super) fn multiply(&self, rows: &Rows) -> Tensor<2> {
        let x = rows.x.clone();
        match self {
            Matrix::Stored(Stored { weight, precision }) => Tensor::from_dispatch(Dispatch::stored_product(
                x.into_dispatch(),
                weight.clone(),
                *precision,
                rows.operand.clone(),
            )),
            Matrix::Tensor(weight) if is_cpu(&x.device()) => {
                Tensor::from_dispatch(Dispatch::linear(x.into_dispatch(), weight.val().into_dispatch()))
            }
            Matrix::Tensor(weight) => x.matmul(weight.val().transpose()),
            Matrix::Parts(parts) => parts.multiply(&x),
        }
    }

    /// The rows with these numbers, `[ids, in]`.
    pub(super) fn rows(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Matrix::Tensor(weight) => weight.val().select(0, ids),
            Matrix::Parts(parts) => parts.rows(&ids),
            Matrix::Stored(Stored { weight, .. }) => {
                Tensor::from_dispatch(Dispatch::stored_rows(ids.into_dispatch(), weight.clone()))
            }
        }
    }

    /// The weight as a tensor of f32 numbers, which training has. A stored one is decoded.
    pub(super) fn tensor(&self) -> Tensor<2> {
        match self {
            Matrix::Tensor(weight) => weight.val(),
            Matrix::Parts(parts) => {
                let rows = Tensor::arange(0..parts.dims[0] as i64, &parts.parts[0].device());
                parts.rows(&rows)
            }
            Matrix::Stored(Stored { weight, .. }) => {
                let values = TensorData::new(weight.values(), weight.shape.clone());
                Tensor::from_data(values, &Device::flex())
            }
        }
    }
}

/// A weight on a GPU, packed in parts of rows that it can bind to a kernel: an embedding of 152,064 x 3,584
/// f32 numbers is beyond the 2^31 - 1 bytes that Vulkan and DX12 bind at once, and others bind less.
#[derive(Module, Debug)]
pub(super) struct Parts {
    /// `[rows, words]` each, of as many rows but for the last.
    #[module(skip)]
    parts: Vec<Tensor<2, Int>>,
    #[module(skip)]
    kept: Kept,
    /// Rows of all, and numbers in a row.
    #[module(skip)]
    dims: [usize; 2],
}

impl Parts {
    /// A weight of two dimensions: as it is stored where that is 16 bits a number, as f16 numbers where that
    /// is the precision, else as f32 numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] for a number beyond what f16 holds.
    pub(super) fn new(
        name: &str,
        weight: &StoredTensor,
        precision: Precision,
        device: &Device,
    ) -> Result<Parts> {
        let dims @ [outer, inner] = [weight.shape[0], weight.columns()];
        let kept = Parts::kept(weight.format, precision);
        if kept == Kept::F16 && weight.format != Format::f16() {
            refuse_beyond_f16(name, weight)?;
        }
        let words = inner.next_multiple_of(GROUP) / kept.values_per_word();
        let rows =
            rows_of_part(outer, words * size_of::<u32>(), largest_binding(device).unwrap_or(usize::MAX));
        let part = |first| {
            let part = weight.some_rows(first..(first + rows).min(outer));
            Tensor::from_data(TensorData::new(kept.words(&part), [part.shape[0], words]), device)
        };
        Ok(Parts { parts: (0..outer).step_by(rows).map(part).collect(), kept, dims })
    }

    /// How numbers of a format are kept in a precision.
    pub(super) fn kept(format: &Format, precision: Precision) -> Kept {
        match Kept::of(format) {
            Kept::F32 | Kept::Bf16 if precision == Precision::F16 => Kept::F16,
            kept => kept,
        }
    }

    /// `x W^T`, `[rows, out]`.
    fn multiply(&self, x: &Tensor<2>) -> Tensor<2> {
        let x = filled(x.clone());
        let product = |part: &Tensor<2, Int>| {
            let (x, part) = (x.clone().into_dispatch(), part.clone().into_dispatch());
            Tensor::from_dispatch(Dispatch::packed_product(x, part, self.kept))
        };
        joined(self.parts.iter().map(product).collect(), 1)
    }

    /// The rows with these numbers, `[ids, in]`.
    fn rows(&self, ids: &Tensor<1, Int>) -> Tensor<2> {
        // A number is in one part; the others give zeros.
        let found = self.with_first().map(|(first, part)| {
            let (ids, part) = (ids.clone().into_dispatch(), part.clone().into_dispatch());
            Tensor::<2>::from_dispatch(Dispatch::packed_rows(ids, part, self.kept, first))
        });
        let found = found.reduce(|one, other| one + other).expect("a weight has a part");
        let inner = self.dims[1];
        if found.dims()[1] == inner { found } else { found.slice_dim(1, 0..inner) }
    }

    /// For each of `x [rows, in]` the negative log-likelihood of its target under the logits `x W^T`, and 1
    /// if the target is the first of the largest, `[rows, 2]`.
    pub(super) fn target_scores(&self, x: Tensor<2>, targets: &Tensor<1, Int>) -> Tensor<2> {
        let width: usize = self.parts.iter().map(|part| 4 * head_parts(part.dims()[0])).sum();
        let mut start = 0;
        let scores = row_blocks(filled(x), width).into_iter().map(|x| {
            let end = start + x.dims()[0];
            let targets = targets.clone().slice_dim(0, start..end);
            start = end;
            let partial = self.with_first().map(|(first, part)| {
                let (x, part) = (x.clone().into_dispatch(), part.clone().into_dispatch());
                let targets = targets.clone().into_dispatch();
                Tensor::<2>::from_dispatch(Dispatch::packed_head(x, part, targets, self.kept, first))
            });
            let partial = joined(partial.collect(), 1).into_dispatch();
            Tensor::from_dispatch(Dispatch::joined_head(partial, targets.into_dispatch()))
        });
        joined(scores.collect(), 0)
    }

    /// The parts, each with the number of its first row.
    fn with_first(&self) -> impl Iterator<Item = (usize, &Tensor<2, Int>)> {
        self.parts.iter().scan(0, |next, part| {
            let first = *next;
            *next += part.dims()[0];
            Some((first, part))
        })
    }
}

/// Rows of whole groups of numbers, filled up with zeros.
fn filled(x: Tensor<2>) -> Tensor<2> {
    let [rows, width] = x.dims();
    match width.next_multiple_of(GROUP) - width {
        0 => x,
        more => {
            let zeros = Tensor::zeros([rows, more], &x.device());
            Tensor::cat(vec![x, zeros], 1)
        }
    }
}

fn joined(mut parts: Vec<Tensor<2>>, dim: usize) -> Tensor<2> {
    if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, dim) }
}

/// Rows of each part of `rows` rows of `row_bytes` bytes, so that a part takes at most `most` bytes; parts are
/// about equal.
fn rows_of_part(rows: usize, row_bytes: usize, most: usize) -> usize {
    let at_most = (most / row_bytes).max(1);
    rows.div_ceil(rows.div_ceil(at_most))
}

/// Refuses a tensor with a number beyond what f16 holds.
fn refuse_beyond_f16(name: &str, tensor: &StoredTensor) -> Result<()> {
    let beyond = |value: &f32| value.is_finite() && !f16::from_f32(*value).is_finite();
    match tensor.values().into_iter().find(beyond) {
        None => Ok(()),
        Some(value) => {
            Err(Error::new(ErrorKind::Model, format!("tensor `{name}` holds {value}, beyond what f16 holds"))
                .in_file(&tensor.file)
                .fix("use --precision f32"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::stored::{Bytes, Format};

    #[test]
    fn parts_cover_the_rows_and_fit() {
        for (rows, row_bytes, most) in
            [(152_064, 14_336, (1 << 31) - 1), (7, 8, 8), (7, 8, 1), (9, 4, 1 << 20)]
        {
            let part = rows_of_part(rows, row_bytes, most);
            assert!(part == 1 || part * row_bytes <= most, "{part}");
            assert!(part <= rows && rows.div_ceil(part) == rows.div_ceil((most / row_bytes).max(1)));
        }
        assert_eq!(rows_of_part(152_064, 14_336, (1 << 31) - 1), 76_032);
    }

    #[test]
    fn what_f16_does_not_hold_is_named() {
        let tensor = |value: f32| StoredTensor {
            file: "model.safetensors".into(),
            shape: vec![2],
            format: Format::f32(),
            bytes: Bytes::Owned([1.0, value].into_iter().flat_map(f32::to_le_bytes).collect()),
        };
        refuse_beyond_f16("w", &tensor(-65504.0)).unwrap();
        let error = refuse_beyond_f16("w", &tensor(1e5)).unwrap_err().to_string();
        assert!(
            ["`w`", "100000", "f16", "model.safetensors", "f32"].iter().all(|part| error.contains(part)),
            "{error}"
        );
    }
}
