//! A weight matrix of the network, in any storage, and its product.

use std::ops::Range;
use std::sync::Arc;

use burn::backend::Dispatch;
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::MAX_ELEMENTS;
use crate::kernels::stored::StoredTensor;
use crate::kernels::{DifferentiableKernels, InferenceKernels, Operand, Precision, is_cpu};

/// A weight, `[out, in]` as Hugging Face keeps it.
#[derive(Module, Debug)]
pub(super) enum Matrix {
    /// Numbers on a device: f32, which training changes, or f16, which GPUs can hold.
    Tensor(Param<Tensor<2>>),
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
            Matrix::Stored(Stored { weight, .. }) => [weight.shape[0], weight.shape[1]],
        }
    }

    /// The weight as the checkpoint stores it, if it is held so.
    pub(super) fn stored(&self) -> Option<StoredTensor> {
        match self {
            Matrix::Tensor(_) => None,
            Matrix::Stored(Stored { weight, .. }) => Some(StoredTensor::clone(weight)),
        }
    }

    /// The precision of its products, if it is held as stored.
    pub(super) fn precision(&self) -> Option<Precision> {
        match self {
            Matrix::Tensor(_) => None,
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
            Matrix::Tensor(weight) => {
                let [outer, inner] = weight.dims();
                let product = |rows| x.clone().matmul(widened(weight, rows).transpose());
                let whole = weight.val().dtype() == DType::F32;
                let block = if whole { outer } else { (MAX_ELEMENTS / inner).max(1) };
                let mut blocks: Vec<_> = (0..outer)
                    .step_by(block)
                    .map(|first| product(first..(first + block).min(outer)))
                    .collect();
                if blocks.len() == 1 { blocks.swap_remove(0) } else { Tensor::cat(blocks, 1) }
            }
        }
    }

    /// The rows with these numbers, `[ids, in]`.
    pub(super) fn rows(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        match self {
            Matrix::Tensor(weight) => weight.val().select(0, ids).cast(DType::F32),
            Matrix::Stored(Stored { weight, .. }) => {
                Tensor::from_dispatch(Dispatch::stored_rows(ids.into_dispatch(), weight.clone()))
            }
        }
    }

    /// The weight as a tensor of the device; a stored weight is decoded.
    pub(super) fn tensor(&self) -> Tensor<2> {
        match self {
            Matrix::Tensor(weight) => weight.val(),
            Matrix::Stored(Stored { weight, .. }) => {
                let values = TensorData::new(weight.values(), weight.shape.clone());
                Tensor::from_data(values, &Device::flex())
            }
        }
    }
}

/// Some rows of a weight, in f32.
fn widened(weight: &Param<Tensor<2>>, rows: Range<usize>) -> Tensor<2> {
    let weight = weight.val();
    match weight.dtype() {
        DType::F32 => weight,
        _ => weight.slice_dim(0, rows).cast(DType::F32),
    }
}
