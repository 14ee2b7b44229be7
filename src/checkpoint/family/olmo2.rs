//! OLMo 2 (Walsh et al. 2025): norms after attention and after the feed-forward part, and over all queries
//! and all keys of a row.

use super::{Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, LayerNorms, Missing, NetworkConfig, QkNorm, RawConfig, SILU,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["olmo2"],
    gguf: Some(GgufForm { parts: GGUF_PARTS, ..GgufForm::plain("olmo2") }),
    lifts: &[],
    read,
};

/// What llama.cpp calls the norms.
const GGUF_PARTS: &[(&str, &str)] =
    &[("post_attention_layernorm", "post_attention_norm"), ("post_feedforward_layernorm", "post_ffw_norm")];

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 50304,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Follows,
    head_dim: Missing::Follows,
    max_position_embeddings: 2048,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(50_279),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    set_parts(raw, &mut config)?;
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, None)?;
    Ok(config)
}

/// The parts that OLMo 2 and 3 have.
pub(super) fn set_parts(raw: &RawConfig, config: &mut NetworkConfig) -> Result<()> {
    let bias = raw.keys.or("attention_bias", false)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.layer_norms = LayerNorms::After;
    config.qk_norm = Some(QkNorm::Row);
    Ok(())
}
