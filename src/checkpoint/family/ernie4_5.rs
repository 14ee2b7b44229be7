//! ERNIE 4.5, dense (Baidu 2025): LLaMA whose heads turn by neighbouring dimensions.

use super::{Family, GgufForm};
use crate::checkpoint::config::{Biases, Defaults, Missing, NetworkConfig, RawConfig, SILU};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["ernie4_5"], gguf: Some(GgufForm::plain("ernie4_5")), lifts: &[], read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 103424,
    hidden_size: 1024,
    intermediate_size: 3072,
    num_hidden_layers: 18,
    num_attention_heads: 16,
    num_key_value_heads: Missing::NumberOrNull(2),
    head_dim: Missing::NumberOrNull(128),
    max_position_embeddings: 131072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 500_000.0,
    tie_word_embeddings: true,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    let bias = raw.keys.or_null("use_bias", false)?.unwrap_or(false);
    config.biases = Biases { qkv: bias, output: bias, feed_forward: bias };
    config.attention.neighbours = true;
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, None)?;
    Ok(config)
}
