//! Norms of a layer's rows.

use burn::backend::Dispatch;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::checkpoint::NormKind;
use crate::error::Result;
use crate::kernels::{
    DifferentiableKernels, GpuKernels, InferenceKernels, is_cpu, is_cpu_without_gradients,
    is_gpu_without_gradients,
};
use crate::model::weights::{TensorRows, Weights};

/// Scales each row to unit size, then each of its numbers by a weight.
#[derive(Module, Debug)]
pub(in crate::model) struct Norm {
    /// `[width]`
    weight: Param<Tensor<1>>,
    /// Bias of a layer norm; a root mean square norm has none.
    bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    epsilon: f64,
}

impl Norm {
    /// The norm with that name, for rows of these numbers.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the tensor that is missing or has another shape.
    pub(in crate::model) fn load(
        path: &str,
        numbers: TensorRows,
        kind: NormKind,
        epsilon: f64,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Norm> {
        let mut vector = |name: &str| -> Result<_> {
            Ok(weights.take_vectors(&format!("{path}.{name}"), &[numbers], device)?.remove(0))
        };
        let mut weight = vector("weight")?;
        if kind == NormKind::ZeroCentred {
            weight = Param::from_tensor(weight.val().add_scalar(1.0));
        }
        let bias = match kind {
            NormKind::RootMeanSquare | NormKind::ZeroCentred => None,
            NormKind::Layer => Some(vector("bias")?),
            NormKind::LayerWithoutBias => Some(Param::from_tensor(Tensor::zeros([numbers.count()], device))),
        };
        Ok(Norm { weight, bias, epsilon })
    }

    /// Norms `[rows, width]`; the width may also be a multiple of the norm's: then each part of a row is
    /// normed separately.
    pub(in crate::model) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (shape, width) = (x.dims(), self.weight.dims()[0]);
        if shape[1] == width {
            return self.of_rows(x);
        }
        self.of_rows(x.reshape([shape[0] * shape[1] / width, width])).reshape(shape)
    }

    fn of_rows(&self, x: Tensor<2>) -> Tensor<2> {
        let (device, weight) = (x.device(), self.weight.val());
        match &self.bias {
            None if is_cpu(&device) => {
                let [x, weight] = [x.into_dispatch(), weight.into_dispatch()];
                Tensor::from_dispatch(Dispatch::rms_norm(x, weight, self.epsilon))
            }
            None if is_gpu_without_gradients(&device) => {
                let [x, weight] = [x.into_dispatch(), weight.into_dispatch()];
                Tensor::from_dispatch(Dispatch::norm_rows(x, weight, self.epsilon))
            }
            None => {
                let variance = x.clone().square().mean_dim(1);
                x * variance.add_scalar(self.epsilon).sqrt().recip() * weight.unsqueeze()
            }
            Some(bias) if is_cpu_without_gradients(&device) => {
                let bias = bias.val().into_dispatch();
                let [x, weight] = [x.into_dispatch(), weight.into_dispatch()];
                Tensor::from_dispatch(Dispatch::layer_norm(x, weight, bias, self.epsilon))
            }
            Some(bias) if is_gpu_without_gradients(&device) => {
                let bias = bias.val().into_dispatch();
                let [x, weight] = [x.into_dispatch(), weight.into_dispatch()];
                Tensor::from_dispatch(Dispatch::norm_centred_rows(x, weight, bias, self.epsilon))
            }
            Some(bias) => {
                let x = x.clone() - x.mean_dim(1);
                let variance = x.clone().square().mean_dim(1);
                let scale = variance.add_scalar(self.epsilon).sqrt().recip();
                x * scale * weight.unsqueeze() + bias.val().unsqueeze()
            }
        }
    }

    /// The device of the weight.
    pub(in crate::model) fn device(&self) -> Device {
        self.weight.val().device()
    }
}
