//! Qwen3, dense (Yang et al. 2025): queries and keys are normed per head before they turn; the config gives a
//! head's dimensions.

use super::{Family, GgufForm, qwen2};
use crate::checkpoint::config::{Biases, Defaults, Missing, NetworkConfig, QkNorm, RawConfig, SILU};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["qwen3"], gguf: Some(GgufForm::plain("qwen3")), lifts: &[], read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 151936,
    hidden_size: 4096,
    intermediate_size: 22016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::NumberOrNull(32),
    head_dim: Missing::Number(128),
    max_position_embeddings: 32768,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: None,
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    let bias = raw.keys.or("attention_bias", false)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.qk_norm = Some(QkNorm::Head);
    config.rope.own_window = qwen2::own_window(raw, config.num_hidden_layers)?;
    Ok(config)
}
