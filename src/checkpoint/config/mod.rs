//! config.json of a checkpoint: [`raw`] is what it says, a [`super::family`] knows what that means,
//! [`NetworkConfig`] is the network that results.

mod defaults;
mod experts;
mod json;
mod keys;
mod latent;
mod own_window;
mod parameters;
mod raw;
mod rope;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use json::Unique;

pub(super) use defaults::{Defaults, GELU_TANH, Missing, NO_ACTIVATION, SILU};
pub use experts::{ExpertGroups, ExpertsConfig, RouterConfig, RouterScores, SharedExpertConfig};
pub(super) use keys::says_something;
pub(super) use latent::LatentDefaults;
pub(super) use own_window::other_types;
pub use parameters::Parameters;
pub(super) use raw::RawConfig;
pub(super) use rope::SlidingRope;

use crate::encoding::ModelRope;
use crate::error::{Error, ErrorKind, Result};

/// The shape of a network and the parts that it is made of, checked.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// How attention works, apart from the encoding.
    pub attention: AttentionConfig,
    /// Latent attention, in the place of maps of queries, keys and values.
    pub latent: Option<LatentConfig>,
    /// Which norm.
    pub norm: NormKind,
    /// Added to a row's variance in the norms.
    pub norm_epsilon: f64,
    /// Where the norms are in a layer.
    pub layer_norms: LayerNorms,
    /// Norms of queries and keys, before they turn.
    pub qk_norm: Option<QkNorm>,
    /// The feed-forward part of each layer.
    pub feed_forward: Vec<FeedForwardKind>,
    /// The activation of gates.
    pub gate: GateActivation,
    /// Which linear maps have biases.
    pub biases: Biases,
    /// Which linear maps are one tensor.
    pub fused: Fused,
    /// Factors on the data flow.
    pub multipliers: Multipliers,
    /// `c`: each output logit `x` becomes `c tanh(x / c)`.
    pub logit_cap: Option<f64>,
    /// Whether the output head is the embedding.
    pub tie_word_embeddings: bool,
    /// Rotary geometry; its `trained_length` is the pretraining length, its `head_dim` the part of a head
    /// that turns.
    pub rope: ModelRope,
    /// Whether it is the text model inside a larger one, whose other tensors are not read.
    pub is_inside: bool,
    /// Layers after the others that draft further tokens, which are not read.
    pub drafting_layers: usize,
    /// The token that ends a text of this family if the config does not give one, not even null.
    pub default_end_of_sequence: Option<u32>,
    /// What a user must know about the config: places that differ, keys that are ignored.
    pub notes: Vec<String>,
    /// Keys of the shape that the config leaves out, each with the family's default that is used for it.
    pub assumed: Vec<String>,
}

/// How a model's attention works, apart from the encoding.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionConfig {
    /// Dimensions of a head, even.
    pub head_dim: usize,
    /// Factor on every logit.
    pub scale: f64,
    /// `c`: each logit `x` becomes `c tanh(x / c)`.
    pub cap: Option<f64>,
    /// Whether each query head has a sink: a logit in the softmax without a value.
    pub sinks: bool,
    /// Whether dimension `2p` turns with `2p + 1` in the files; here `p` turns with `p + h`.
    pub neighbours: bool,
}

impl AttentionConfig {
    /// With the usual scale, `1 / sqrt(head_dim)`.
    pub fn plain(head_dim: usize) -> AttentionConfig {
        AttentionConfig {
            head_dim,
            scale: (head_dim as f64).sqrt().recip(),
            cap: None,
            sinks: false,
            neighbours: false,
        }
    }
}

/// Latent attention: keys and values of all heads are made of one narrow row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatentConfig {
    /// Width of the row that queries are made of; none if they are made of the hidden state.
    pub queries: Option<usize>,
    /// Width of the row that keys and values are made of.
    pub keys_values: usize,
    /// Dimensions of a head's values, at most those of its keys.
    pub value_dim: usize,
}

/// A norm of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Divides by the root mean square (Zhang and Sennrich 2019).
    RootMeanSquare,
    /// The same, with weights that are stored less 1 (Gemma).
    ZeroCentred,
    /// Subtracts the mean, divides by the standard deviation, adds a bias (Ba et al. 2016).
    Layer,
    /// The same without a bias (Cohere).
    LayerWithoutBias,
}

/// Where the norms are in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerNorms {
    /// Before attention and before the feed-forward part.
    Before,
    /// After each, before its result is added to the rows.
    After,
    /// Before and after each; the names of those after attention, before the feed-forward part and after it.
    Around([&'static str; 3]),
    /// One, which both parts read side by side.
    Beside,
}

/// Norms of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNorm {
    /// For each head separately.
    Head,
    /// Over all heads of a row together.
    Row,
}

/// The activation of a gate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GateActivation {
    /// `x / (1 + exp(-x))`.
    Silu,
    /// GELU by its tanh approximation.
    GeluTanh,
    /// `x / (1 + exp(-alpha x))` of a gate that is at most `limit`, times `up + 1` with `up` from `-limit` to
    /// `limit` (gpt-oss). Such experts are stored transposed, gate and up by turns.
    Clamped {
        /// Steepness of the gate.
        alpha: f64,
        /// Bound of both.
        limit: f64,
    },
}

/// A feed-forward part.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedForwardKind {
    /// With a gate.
    Gated,
    /// Without a gate, with GELU by its tanh approximation.
    Plain,
    /// A few of many gated ones.
    Experts(Arc<ExpertsConfig>),
}

/// Which linear maps have biases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Biases {
    /// Query, key and value.
    pub qkv: bool,
    /// Attention's output.
    pub output: bool,
    /// The feed-forward part's.
    pub feed_forward: bool,
}

/// Which linear maps are one tensor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fused {
    /// Query, key and value.
    pub qkv: bool,
    /// Gate and up.
    pub gate_up: bool,
}

/// Factors on the data flow; 1 for most families.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Multipliers {
    /// Factor on the embedding's rows.
    pub embedding: f64,
    /// Factor on what attention and the feed-forward part add to the rows.
    pub residual: f64,
    /// Factor on the logits.
    pub logits: f64,
}

impl Default for Multipliers {
    fn default() -> Multipliers {
        Multipliers { embedding: 1.0, residual: 1.0, logits: 1.0 }
    }
}

impl NetworkConfig {
    /// Pretraining length in tokens, `L0`.
    pub fn trained_length(&self) -> usize {
        self.rope.trained_length
    }

    /// Width of a row of queries.
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.attention.head_dim
    }

    /// Width of a row of keys, and of one of values.
    pub fn key_width(&self) -> usize {
        self.num_key_value_heads * self.attention.head_dim
    }

    /// Refuses parts that training on sequences of `length` tokens does not support, or cannot write.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the part.
    pub fn check_trainable(&self, length: usize) -> Result<()> {
        let slides = self.rope.own_window.as_ref().is_some_and(|own| own.window < length);
        let what = match self {
            _ if self.fused != Fused::default() => "fused projections (qkv_proj, gate_up_proj)",
            _ if self.latent.is_some() => "latent attention (kv_lora_rank)",
            _ if self.rope.head_dim < self.attention.head_dim => {
                "heads that turn in part (partial_rotary_factor)"
            }
            _ if self.rope.unrotated.is_some() => "layers that do not turn (no_rope_layers)",
            _ if !self.rope.others.is_empty() => "layers with ropes of their own (rope_parameters)",
            _ if self.attention.neighbours => "neighbouring dimensions that turn together",
            _ if self.attention.sinks => "sinks in the softmax",
            _ if self.attention.cap.or(self.logit_cap).is_some() => "soft caps on logits",
            _ if self.norm == NormKind::ZeroCentred => "norms whose weights are stored less 1",
            _ if !matches!(self.layer_norms, LayerNorms::Before | LayerNorms::After) => {
                "norms around the parts of a layer, or parts side by side"
            }
            _ if self.feed_forward.iter().any(|part| matches!(part, FeedForwardKind::Experts(_))) => {
                "mixtures of experts (num_experts)"
            }
            _ if slides => "a sliding window that is shorter than the samples (sliding_window)",
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Model, format!("training has no way through {what}"))
            .fix("start from a checkpoint of another family, such as llama, qwen3 or granite"))
    }

    pub(super) fn check_shape(&self) -> Result<()> {
        let counts = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("max_position_embeddings", self.rope.trained_length),
        ];
        if let Some((field, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(field_error(field, "is 0"));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return Err(field_error("num_key_value_heads", "does not divide num_attention_heads"));
        }
        let even = |dim: usize| dim >= 4 && dim.is_multiple_of(2);
        if !even(self.attention.head_dim) {
            return Err(field_error("head_dim", "is odd or below 4"));
        }
        if !even(self.rope.head_dim) {
            return Err(field_error(
                "partial_rotary_factor",
                "leaves an odd number of dimensions to turn, or below 4",
            ));
        }
        self.check_size()?;
        if !(self.norm_epsilon.is_finite() && self.norm_epsilon >= 0.0) {
            return Err(field_error("rms_norm_eps", "is below 0 or no finite number"));
        }
        if !(self.rope.base.is_finite() && self.rope.base > 1.0) {
            return Err(field_error("rope_theta", "is not a number above 1"));
        }
        let Multipliers { embedding, residual, logits } = self.multipliers;
        let factors = [
            ("embedding_multiplier", embedding),
            ("residual_multiplier", residual),
            ("logits_scaling", logits),
            ("attention_multiplier", self.attention.scale),
        ];
        if let Some((field, _)) = factors.iter().find(|(_, factor)| !(factor.is_finite() && *factor != 0.0)) {
            return Err(field_error(field, "is 0 or no finite number"));
        }
        let caps =
            [("attn_logit_softcapping", self.attention.cap), ("final_logit_softcapping", self.logit_cap)];
        match caps.iter().find(|(_, cap)| cap.is_some_and(|cap| !(cap.is_finite() && cap > 0.0))) {
            Some((field, _)) => Err(field_error(field, "is not a finite number above 0")),
            None => Ok(()),
        }
    }
}

/// The error of a field with something wrong.
pub(super) fn field_error(field: &str, what: &str) -> Error {
    Error::new(ErrorKind::Model, format!("{field} {what}"))
        .at(format_args!("field `{field}`"))
        .fix("compare it with the model's own config.json")
}

/// The error of a field with an unsupported value.
pub(super) fn unsupported(field: &str, value: impl std::fmt::Display, fix: &str) -> Error {
    Error::new(ErrorKind::Model, format!("{field} {value} is not supported"))
        .at(format_args!("field `{field}`"))
        .fix(fix)
}
