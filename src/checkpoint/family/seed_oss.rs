//! Seed-OSS (ByteDance 2025): LLaMA with biases on queries, keys and values.

use super::Family;
use crate::checkpoint::config::{Biases, Defaults, Missing, NetworkConfig, RawConfig, SILU};
use crate::error::Result;

pub(super) const ENTRY: Family = Family { model_types: &["seed_oss"], gguf: None, lifts: &[], read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 155136,
    hidden_size: 4096,
    intermediate_size: 27648,
    num_hidden_layers: 64,
    num_attention_heads: 80,
    num_key_value_heads: Missing::NumberOrNull(8),
    head_dim: Missing::NumberOrNull(128),
    max_position_embeddings: 524288,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    config.biases = Biases {
        qkv: raw.keys.or("attention_bias", true)?,
        output: raw.keys.or("attention_out_bias", false)?,
        feed_forward: raw.keys.or("mlp_bias", false)?,
    };
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, None)?;
    Ok(config)
}
