//! Granite 3 (IBM): factors on the embedding, on what layers add, on attention logits and on output logits.

use super::{Family, GgufForm};
use crate::checkpoint::config::{Biases, Defaults, Missing, Multipliers, NetworkConfig, RawConfig, SILU};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["granite"],
    gguf: Some(GgufForm { interleaved: true, ..GgufForm::plain("granite") }),
    lifts: &[],
    read,
};

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Follows,
    head_dim: Missing::Follows,
    max_position_embeddings: 2048,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

/// Granite without experts; those with experts have its defaults too.
pub(super) fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    set_parts(raw, &mut config)?;
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, None)?;
    Ok(config)
}

/// The biases and factors that all models of Granite have.
pub(super) fn set_parts(raw: &RawConfig, config: &mut NetworkConfig) -> Result<()> {
    let attention = raw.keys.or("attention_bias", false)?;
    let feed_forward = raw.keys.or("mlp_bias", false)?;
    config.biases = Biases { qkv: attention, output: attention, feed_forward };
    config.attention.scale = raw.keys.or("attention_multiplier", 1.0)?;
    config.multipliers = Multipliers {
        embedding: raw.keys.or("embedding_multiplier", 1.0)?,
        residual: raw.keys.or("residual_multiplier", 1.0)?,
        logits: raw.keys.or::<f64>("logits_scaling", 1.0)?.recip(),
    };
    Ok(())
}
