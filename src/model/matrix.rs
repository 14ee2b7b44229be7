//! A weight matrix of the network, in any storage, and its product.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use half::f16;

use super::MAX_ELEMENTS;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::stored::StoredTensor;
use crate::kernels::{DifferentiableKernels, InferenceKernels, Operand, Precision, is_cpu, largest_binding};

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
            Matrix::Parts(parts) => [parts.outer, parts.parts[0].dims()[1]],
            Matrix::Stored(Stored { weight, .. }) => [weight.shape[0], weight.shape[1]],
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
            Matrix::Parts(parts) => parts.rows(ids),
            Matrix::Stored(Stored { weight, .. }) => {
                Tensor::from_dispatch(Dispatch::stored_rows(ids.into_dispatch(), weight.clone()))
            }
        }
    }

    /// The weight as a tensor of the device; a stored weight is decoded.
    pub(super) fn tensor(&self) -> Tensor<2> {
        match self {
            Matrix::Tensor(weight) => weight.val(),
            Matrix::Parts(parts) => {
                Tensor::cat(parts.parts.iter().map(|part| part.clone().cast(DType::F32)).collect(), 0)
            }
            Matrix::Stored(Stored { weight, .. }) => {
                let values = TensorData::new(weight.values(), weight.shape.clone());
                Tensor::from_data(values, &Device::flex())
            }
        }
    }
}

/// A weight on a GPU, in parts of rows that it can bind to a kernel: an embedding of 152,064 x 3,584 f32
/// numbers is beyond the 2^31 - 1 bytes that Vulkan and DX12 bind at once, and others bind less.
#[derive(Module, Debug)]
pub(super) struct Parts {
    /// `[rows, in]` each, of as many rows but for the last.
    #[module(skip)]
    parts: Vec<Tensor<2>>,
    /// Rows of all.
    #[module(skip)]
    outer: usize,
}

impl Parts {
    /// A weight of two dimensions, as f16 numbers or as f32 numbers by its precision.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] for a number beyond what f16 holds.
    pub(super) fn new(
        name: &str,
        weight: &StoredTensor,
        precision: Precision,
        device: &Device,
    ) -> Result<Parts> {
        let (outer, inner) = (weight.shape[0], weight.columns());
        let half = precision == Precision::F16;
        let row_bytes = inner * if half { size_of::<f16>() } else { size_of::<f32>() };
        let rows = rows_of_part(outer, row_bytes, largest_binding(device).unwrap_or(usize::MAX));
        let part = |first| {
            let part = weight.some_rows(first..(first + rows).min(outer));
            let shape = [part.shape[0], inner];
            Ok(if half {
                Tensor::from_data(TensorData::new(halves(name, &part)?, shape), (device, DType::F16))
            } else {
                Tensor::from_data(TensorData::new(part.values(), shape), device)
            })
        };
        Ok(Parts { parts: (0..outer).step_by(rows).map(part).collect::<Result<_>>()?, outer })
    }

    /// `x W^T`, `[rows, out]`.
    fn multiply(&self, x: &Tensor<2>) -> Tensor<2> {
        let products = self.parts.iter().flat_map(|part| {
            let [outer, inner] = part.dims();
            // What is not f32 is widened for each product, some rows at a time.
            let block = if part.dtype() == DType::F32 { outer } else { (MAX_ELEMENTS / inner).max(1) };
            part.clone()
                .split(block, 0)
                .into_iter()
                .map(|rows| x.clone().matmul(rows.cast(DType::F32).transpose()))
        });
        joined(products.collect(), 1)
    }

    /// The rows with these numbers, `[ids, in]`.
    fn rows(&self, ids: Tensor<1, Int>) -> Tensor<2> {
        let mut first = 0;
        let mut found: Option<Tensor<2>> = None;
        for part in &self.parts {
            let [rows, inner] = part.dims();
            let (start, last) = (first as i64, (first + rows - 1) as i64);
            first += rows;
            let own = ids.clone().clamp(start, last).sub_scalar(start);
            let selected = part.clone().select(0, own).cast(DType::F32);
            found = Some(match found {
                None => selected,
                Some(before) => {
                    let here = ids.clone().greater_equal_elem(start).unsqueeze_dim::<2>(1);
                    before.mask_where(here.expand([ids.dims()[0], inner]), selected)
                }
            });
        }
        found.expect("a weight has a part")
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

/// A stored tensor's values as f16 numbers.
fn halves(name: &str, tensor: &StoredTensor) -> Result<Vec<f16>> {
    let values = tensor.values();
    let beyond = values.iter().find(|value| value.is_finite() && !f16::from_f32(**value).is_finite());
    match beyond {
        None => Ok(values.into_iter().map(f16::from_f32).collect()),
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
        assert_eq!(halves("w", &tensor(-65504.0)).unwrap()[1].to_f32(), -65504.0);
        let error = halves("w", &tensor(1e5)).unwrap_err().to_string();
        assert!(
            ["`w`", "100000", "f16", "model.safetensors", "f32"].iter().all(|part| error.contains(part)),
            "{error}"
        );
    }
}
