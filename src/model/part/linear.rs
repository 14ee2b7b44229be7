//! A linear map.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::error::Result;
use crate::model::matrix::{Matrix, Rows};
use crate::model::weights::{TensorRows, Weights};

/// `y = x W^T + b`, `W` as Hugging Face keeps it: `[out, in]`.
#[derive(Module, Debug)]
pub(in crate::model) struct Linear {
    weight: Matrix,
    bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// The map with that name, `[out, in]`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the tensor that is missing or has another shape.
    pub(in crate::model) fn load(
        path: &str,
        shape: [usize; 2],
        bias: bool,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Linear> {
        let [outer, inner] = shape;
        let mut maps = Linear::load_fused(path, &[TensorRows::rows(outer)], inner, bias, weights, device)?;
        Ok(maps.remove(0))
    }

    /// Maps of the same `inner` numbers whose weights are stacked under one name.
    ///
    /// # Errors
    /// As [`Linear::load`].
    pub(in crate::model) fn load_fused(
        path: &str,
        pieces: &[TensorRows],
        inner: usize,
        bias: bool,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Vec<Linear>> {
        let matrices = weights.take_matrices(&format!("{path}.weight"), pieces, inner, device)?;
        let biases = if bias {
            let biases = weights.take_vectors(&format!("{path}.bias"), pieces, device)?;
            biases.into_iter().map(Some).collect::<Vec<_>>()
        } else {
            pieces.iter().map(|_| None).collect()
        };
        Ok(matrices.into_iter().zip(biases).map(|(weight, bias)| Linear { weight, bias }).collect())
    }

    /// The map of a weight and a bias, if there is one.
    pub(in crate::model) fn of(weight: Matrix, bias: Option<&[f32]>, device: &Device) -> Linear {
        let bias = bias.map(|bias| Param::from_tensor(Tensor::from_data(bias, device)));
        Linear { weight, bias }
    }

    /// Maps `[rows, in]` to `[rows, out]`.
    pub(in crate::model) fn forward(&self, x: &Rows) -> Tensor<2> {
        let y = self.weight.multiply(x);
        match &self.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        }
    }

    /// Width of its result's rows.
    pub(in crate::model) fn width(&self) -> usize {
        self.weight.dims()[0]
    }
}
