//! StarCoder2 (Lozhkov et al. 2024): layer norms, biases everywhere, a feed-forward part without a gate, and
//! a sliding window in every layer.

use super::{Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, FeedForwardKind, GELU_TANH, Missing, NetworkConfig, NormKind, RawConfig,
};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["starcoder2"], gguf: Some(GgufForm::plain("starcoder2")), lifts: &[], read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 49152,
    hidden_size: 3072,
    intermediate_size: 12288,
    num_hidden_layers: 30,
    num_attention_heads: 24,
    num_key_value_heads: Missing::Number(2),
    head_dim: Missing::Follows,
    max_position_embeddings: 4096,
    original_max_position_embeddings: None,
    norm_epsilon: ("norm_epsilon", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: true,
    eos_token_id: Some(50_256),
    hidden_act: GELU_TANH,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    let bias = raw.keys.or("use_bias", true)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: bias };
    config.norm = NormKind::Layer;
    config.feed_forward.fill(FeedForwardKind::Plain);
    config.rope.own_window =
        raw.window_in_all_layers(config.num_hidden_layers, raw.keys.optional("sliding_window")?)?;
    Ok(config)
}
