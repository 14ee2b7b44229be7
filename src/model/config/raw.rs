//! The keys of config.json that matter, as they stand in the file.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    AttentionConfig, Biases, FeedForwardKind, LayerNorms, Multipliers, NetworkConfig, NormKind, field_error,
    rope, unsupported,
};
use crate::encoding::OwnWindow;
use crate::error::Result;

/// Keys of all families; which of them count is the family's to say.
#[derive(Debug, Deserialize)]
pub(in crate::model) struct RawConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: Option<usize>,
    pub head_dim: Option<usize>,
    pub max_position_embeddings: usize,
    pub rms_norm_eps: Option<f64>,
    pub norm_epsilon: Option<f64>,
    pub tie_word_embeddings: Option<bool>,
    pub hidden_act: Option<String>,
    pub attention_bias: Option<bool>,
    pub attention_out_bias: Option<bool>,
    pub mlp_bias: Option<bool>,
    pub use_bias: Option<bool>,
    pub rope_theta: Option<f64>,
    pub rope_scaling: Option<Value>,
    pub rope_parameters: Option<Value>,
    pub partial_rotary_factor: Option<f64>,
    /// Not there, null, or a window.
    #[serde(default, deserialize_with = "there")]
    pub sliding_window: Option<Option<usize>>,
    pub use_sliding_window: Option<bool>,
    pub max_window_layers: Option<usize>,
    pub layer_types: Option<Vec<String>>,
    pub original_max_position_embeddings: Option<usize>,
    pub no_rope_layers: Option<Vec<usize>>,
    pub no_rope_layer_interval: Option<usize>,
    pub embedding_multiplier: Option<f64>,
    pub attention_multiplier: Option<f64>,
    pub residual_multiplier: Option<f64>,
    pub logits_scaling: Option<f64>,
    pub quantization_config: Option<Value>,
}

/// A key that is there, be it null.
fn there<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl RawConfig {
    /// Plain LLaMA of these keys: root mean square norms before each part, a gated feed-forward part, heads that
    /// turn whole, no biases, no window. A family changes what is its own.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub fn plain(&self) -> Result<NetworkConfig> {
        let head_dim = self.head_dim()?;
        if let Some(factor) = self.partial_rotary_factor().filter(|&factor| factor != 1.0) {
            let fix = "use a checkpoint that rotates whole heads, or one of Phi-3's family";
            return Err(unsupported("partial_rotary_factor", factor, fix));
        }
        self.turning(head_dim, head_dim)
    }

    /// The same of heads of `head_dim` dimensions, of which the first `rotated` turn.
    ///
    /// # Errors
    /// As [`RawConfig::plain`].
    pub fn turning(&self, head_dim: usize, rotated: usize) -> Result<NetworkConfig> {
        Ok(NetworkConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            attention: AttentionConfig::plain(head_dim),
            norm: NormKind::RootMeanSquare,
            norm_epsilon: self.rms_norm_eps.unwrap_or(1e-6),
            layer_norms: LayerNorms::Before,
            qk_norm: None,
            feed_forward: FeedForwardKind::Gated,
            biases: Biases::default(),
            fused: false,
            multipliers: Multipliers::default(),
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(false),
            rope: rope::rope(self, rotated)?,
        })
    }

    /// Dimensions of a head.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`] when it is not given and does not follow.
    pub fn head_dim(&self) -> Result<usize> {
        match self.head_dim {
            Some(head_dim) => Ok(head_dim),
            None if self.num_attention_heads > 0
                && self.hidden_size.is_multiple_of(self.num_attention_heads) =>
            {
                Ok(self.hidden_size / self.num_attention_heads)
            }
            None => Err(field_error("hidden_size", "is not a multiple of num_attention_heads")),
        }
    }

    /// `partial_rotary_factor`, from either of its places.
    pub fn partial_rotary_factor(&self) -> Option<f64> {
        let inside = [&self.rope_parameters, &self.rope_scaling].into_iter().flatten();
        let mut inside =
            inside.filter_map(|keys| keys.get("partial_rotary_factor")).filter_map(Value::as_f64);
        inside.next().or(self.partial_rotary_factor)
    }

    /// Refuses another activation.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub fn needs_activation(&self, name: &str) -> Result<()> {
        match self.hidden_act.as_deref().filter(|given| *given != name) {
            None => Ok(()),
            Some(other) => Err(unsupported("hidden_act", other, &format!("use a checkpoint with {name}"))),
        }
    }

    /// Refuses weights that are quantised in a way of their own.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`].
    pub fn refuse_quantised(&self) -> Result<()> {
        match self.quantization_config {
            None => Ok(()),
            Some(_) => {
                let fix = "use f32, bf16 or f16 weights, or a GGUF file";
                Err(unsupported("quantization_config", "(quantised weights)", fix))
            }
        }
    }

    /// A window in every layer, where there is one.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field: a window of 0, or layers that say otherwise.
    pub fn window_in_all_layers(&self, window: Option<usize>) -> Result<Option<OwnWindow>> {
        let sliding = vec![window.is_some(); self.num_hidden_layers];
        self.check_layer_types(&sliding)?;
        self.own_window(window, sliding)
    }

    /// A window in the layers that `layer_types` names, or else those that `slides` says.
    ///
    /// # Errors
    /// As [`RawConfig::window_in_all_layers`].
    pub fn window_in_layers(
        &self,
        window: Option<usize>,
        slides: impl Fn(usize) -> bool,
    ) -> Result<Option<OwnWindow>> {
        let by_rule = || (0..self.num_hidden_layers).map(|layer| window.is_some() && slides(layer)).collect();
        let sliding: Vec<bool> = match (self.sliding_layers()?, window) {
            (Some(named), Some(_)) => named,
            (Some(named), None) if named.contains(&true) => {
                return Err(field_error("layer_types", "has sliding layers, and there is no sliding_window"));
            }
            _ => by_rule(),
        };
        self.own_window(window, sliding)
    }

    /// Layers whose queries and keys do not turn, by number; none where all do.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub fn unrotated_layers(&self, default_interval: usize) -> Result<Option<Arc<[bool]>>> {
        let layers = self.num_hidden_layers;
        let unrotated: Vec<bool> = match &self.no_rope_layers {
            // 1 where a layer turns.
            Some(turns) if turns.len() >= layers => turns[..layers].iter().map(|&turns| turns == 0).collect(),
            Some(_) => return Err(field_error("no_rope_layers", "has fewer than num_hidden_layers entries")),
            None => match self.no_rope_layer_interval.unwrap_or(default_interval) {
                0 => return Err(field_error("no_rope_layer_interval", "is 0")),
                interval => (1..=layers).map(|layer| layer.is_multiple_of(interval)).collect(),
            },
        };
        Ok(Some(unrotated).filter(|layers| layers.contains(&true)).map(Arc::from))
    }
}
