//! The feed-forward part of a layer.

use burn::backend::Dispatch;
use burn::module::Module;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::Linear;
use crate::checkpoint::{FeedForwardKind, GateActivation, NetworkConfig};
use crate::error::Result;
use crate::kernels::{DifferentiableKernels, InferenceKernels, is_cpu, is_cpu_without_gradients};
use crate::model::MAX_ELEMENTS;
use crate::model::matrix::Rows;
use crate::model::weights::{TensorRows, Weights};

/// Most rows that are computed together on the CPU: enough to pay for packing the weights.
const CPU_ROWS: usize = 2048;

/// Two forms; fields are named as in Hugging Face.
#[derive(Module, Debug)]
pub(in crate::model) enum FeedForward {
    /// With a gate.
    Gated(Gated),
    /// Without a gate.
    Plain(Plain),
}

/// `down(a(gate(x)) * up(x))` with an activation `a` (Shazeer 2020).
#[derive(Module, Debug)]
pub(in crate::model) struct Gated {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
    #[module(skip)]
    activation: GateActivation,
}

/// `c_proj(gelu(c_fc(x)))`, gelu by its tanh approximation.
#[derive(Module, Debug)]
pub(in crate::model) struct Plain {
    c_fc: Linear,
    c_proj: Linear,
}

impl FeedForward {
    /// The part of a layer, given by its name and number.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the tensor that is missing or has another shape.
    pub(in crate::model) fn load(
        layer: &str,
        number: usize,
        config: &NetworkConfig,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<FeedForward> {
        let path = format!("{layer}.mlp");
        let (hidden, inner, bias) =
            (config.hidden_size, config.intermediate_size, config.biases.feed_forward);
        let mut linear =
            |name: &str, shape| Linear::load(&format!("{path}.{name}"), shape, bias, weights, device);
        Ok(match &config.feed_forward[number] {
            FeedForwardKind::Plain => FeedForward::Plain(Plain {
                c_fc: linear("c_fc", [inner, hidden])?,
                c_proj: linear("c_proj", [hidden, inner])?,
            }),
            FeedForwardKind::Gated if config.fused.gate_up => {
                let down_proj = linear("down_proj", [hidden, inner])?;
                let (path, pieces) =
                    (format!("{path}.gate_up_proj"), [TensorRows::rows(inner), TensorRows::rows(inner)]);
                let both = Linear::load_fused(&path, &pieces, hidden, bias, weights, device)?;
                let [gate_proj, up_proj] = both.try_into().expect("one map a piece");
                FeedForward::Gated(Gated { gate_proj, up_proj, down_proj, activation: config.gate })
            }
            FeedForwardKind::Gated => FeedForward::Gated(Gated {
                gate_proj: linear("gate_proj", [inner, hidden])?,
                up_proj: linear("up_proj", [inner, hidden])?,
                down_proj: linear("down_proj", [hidden, inner])?,
                activation: config.gate,
            }),
        })
    }

    /// `x` and the result are `[rows, hidden]`.
    pub(in crate::model) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = Rows::new(x);
        match self {
            FeedForward::Gated(Gated { gate_proj, up_proj, down_proj, activation }) => {
                let (gate, up) = (gate_proj.forward(&x), up_proj.forward(&x));
                let inner = match activation {
                    GateActivation::Silu => silu_product(gate, up),
                    GateActivation::GeluTanh => gelu(gate) * up,
                };
                down_proj.forward(&Rows::new(inner))
            }
            FeedForward::Plain(Plain { c_fc, c_proj }) => c_proj.forward(&Rows::new(gelu(c_fc.forward(&x)))),
        }
    }

    /// Rows that are computed together: the inner width makes the widest tensor of a layer.
    pub(in crate::model) fn rows_of_block(&self, device: &Device) -> usize {
        let most = if is_cpu_without_gradients(device) { CPU_ROWS } else { usize::MAX };
        let (FeedForward::Gated(Gated { up_proj: widest, .. })
        | FeedForward::Plain(Plain { c_fc: widest, .. })) = self;
        (MAX_ELEMENTS / widest.width()).clamp(1, most)
    }
}

fn silu_product(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    if is_cpu(&gate.device()) {
        Tensor::from_dispatch(Dispatch::silu_product(gate.into_dispatch(), up.into_dispatch()))
    } else {
        silu(gate) * up
    }
}

/// gelu by its tanh approximation (Hendrycks and Gimpel 2016), `gelu_pytorch_tanh`:
/// `x / (1 + exp(-2 sqrt(2 / pi) (x + 0.044715 x^3)))`.
fn gelu(x: Tensor<2>) -> Tensor<2> {
    if is_cpu_without_gradients(&x.device()) {
        return Tensor::from_dispatch(Dispatch::gelu_tanh(x.into_dispatch()));
    }
    let cubed = x.clone().powi_scalar(3).mul_scalar(0.044715);
    let inner = (x.clone() + cubed).mul_scalar((2.0 / std::f64::consts::PI).sqrt());
    (inner.tanh() + 1.0).mul_scalar(0.5) * x
}
