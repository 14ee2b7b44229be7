//! Ministral 3 and Devstral Small 2 (Mistral 2025): Mistral, with queries that are scaled by their position
//! beyond the trained length.

use super::{Family, GgufForm};
use crate::checkpoint::config::{Defaults, Missing, NetworkConfig, RawConfig, SILU};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["ministral3"],
    gguf: Some(GgufForm { interleaved: true, ..GgufForm::plain("mistral3") }),
    lifts: &[],
    read,
};

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 131_072,
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 34,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Number(8),
    head_dim: Missing::Number(128),
    max_position_embeddings: 262_144,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.knows_in_rope(&["llama_4_scaling_beta", "max_position_embeddings"]);
    let mut config = raw.plain(&DEFAULTS)?;
    raw.leave_out("attention_bias");
    raw.leave_out("mlp_bias");
    config.rope.own_temperature = raw.temperature()?;
    config.rope.own_window =
        raw.window_in_all_layers(config.num_hidden_layers, raw.keys.optional("sliding_window")?)?;
    Ok(config)
}
