//! The feed-forward part of a layer.

use burn::backend::Dispatch;
use burn::module::Module;
use burn::tensor::activation::{sigmoid, silu};
use burn::tensor::{Device, Tensor};

use super::Linear;
use super::experts::Experts;
use crate::checkpoint::{FeedForwardKind, GateActivation, NetworkConfig};
use crate::error::Result;
use crate::kernels::{DifferentiableKernels, InferenceKernels, is_cpu, is_cpu_without_gradients};
use crate::model::MAX_ELEMENTS;
use crate::model::matrix::Rows;
use crate::model::weights::{TensorRows, Weights};

/// Most rows that are computed together on the CPU: enough to pay for packing the weights.
const CPU_ROWS: usize = 2048;

/// Three forms; fields are named as in Hugging Face.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one a layer")]
pub(in crate::model) enum FeedForward {
    /// With a gate.
    Gated(Gated),
    /// Without a gate.
    Plain(Plain),
    /// A few of many gated ones, for each row.
    Experts(Experts),
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
        let linear = |name: &str, shape, weights: &mut Weights| {
            Linear::load(&format!("{path}.{name}"), shape, bias, weights, device)
        };
        Ok(match &config.feed_forward[number] {
            FeedForwardKind::Plain => FeedForward::Plain(Plain {
                c_fc: linear("c_fc", [inner, hidden], weights)?,
                c_proj: linear("c_proj", [hidden, inner], weights)?,
            }),
            FeedForwardKind::Gated if config.fused.gate_up => {
                let down_proj = linear("down_proj", [hidden, inner], weights)?;
                let (path, pieces) =
                    (format!("{path}.gate_up_proj"), [TensorRows::rows(inner), TensorRows::rows(inner)]);
                let both = Linear::load_fused(&path, &pieces, hidden, bias, weights, device)?;
                let [gate_proj, up_proj] = both.try_into().expect("one map a piece");
                FeedForward::Gated(Gated { gate_proj, up_proj, down_proj, activation: config.gate })
            }
            FeedForwardKind::Gated => {
                FeedForward::Gated(Gated::load(&path, [inner, hidden], bias, config.gate, weights, device)?)
            }
            FeedForwardKind::Experts(experts) => {
                FeedForward::Experts(Experts::load(layer, config, experts, weights, device)?)
            }
        })
    }

    /// `x` and the result are `[rows, hidden]`.
    pub(in crate::model) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            FeedForward::Gated(part) => part.forward(&Rows::new(x)),
            FeedForward::Plain(Plain { c_fc, c_proj }) => {
                c_proj.forward(&Rows::new(gelu(c_fc.forward(&Rows::new(x)))))
            }
            FeedForward::Experts(experts) => experts.forward(x),
        }
    }

    /// Rows that are computed together: the inner width makes the widest tensor of a layer.
    pub(in crate::model) fn rows_of_block(&self, device: &Device) -> usize {
        let widest = match self {
            FeedForward::Gated(Gated { up_proj: widest, .. }) => widest,
            FeedForward::Plain(Plain { c_fc: widest, .. }) => widest,
            // The more rows, the more of them share an expert's weights.
            FeedForward::Experts(experts) => return (MAX_ELEMENTS / experts.widest()).max(1),
        };
        let most = if is_cpu_without_gradients(device) { CPU_ROWS } else { usize::MAX };
        (MAX_ELEMENTS / widest.width()).clamp(1, most)
    }
}

impl Gated {
    /// The part with that name, `[inner, hidden]`.
    ///
    /// # Errors
    /// As [`FeedForward::load`].
    pub(super) fn load(
        path: &str,
        [inner, hidden]: [usize; 2],
        bias: bool,
        activation: GateActivation,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Gated> {
        let mut linear =
            |name: &str, shape| Linear::load(&format!("{path}.{name}"), shape, bias, weights, device);
        Ok(Gated {
            gate_proj: linear("gate_proj", [inner, hidden])?,
            up_proj: linear("up_proj", [inner, hidden])?,
            down_proj: linear("down_proj", [hidden, inner])?,
            activation,
        })
    }

    /// The part of these gate, up and down maps.
    pub(super) fn of(maps: [Linear; 3], activation: GateActivation) -> Gated {
        let [gate_proj, up_proj, down_proj] = maps;
        Gated { gate_proj, up_proj, down_proj, activation }
    }

    /// The rows may be shared with other maps.
    pub(super) fn forward(&self, x: &Rows) -> Tensor<2> {
        let (gate, up) = (self.gate_proj.forward(x), self.up_proj.forward(x));
        let inner = match self.activation {
            GateActivation::Silu => silu_product(gate, up),
            GateActivation::GeluTanh => gelu(gate) * up,
            GateActivation::Clamped { alpha, limit } => {
                let gate = gate.clamp_max(limit);
                (up.clamp(-limit, limit) + 1.0) * gate.clone() * sigmoid(gate.mul_scalar(alpha))
            }
        };
        self.down_proj.forward(&Rows::new(inner))
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
