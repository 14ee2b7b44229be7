//! Phi-3, Phi-3.5 and Phi-4-mini (Abdin et al. 2024): fused projections, `longrope`, heads that partly turn.

use super::{Family, GgufForm};
use crate::checkpoint::config::{Defaults, Missing, NetworkConfig, RawConfig, SILU, field_error};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["phi3"],
    gguf: Some(GgufForm { architecture: "phi3", interleaved: false }),
    lifts: &[],
    read,
};

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 32064,
    hidden_size: 3072,
    intermediate_size: 8192,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Follows,
    head_dim: Missing::Follows,
    max_position_embeddings: 4096,
    original_max_position_embeddings: Some(4096),
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(32_000),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let head_dim = raw.head_dim(&DEFAULTS)?;
    let factor = raw.partial_rotary_factor()?.unwrap_or(1.0);
    if !(factor > 0.0 && factor <= 1.0) {
        return Err(field_error("partial_rotary_factor", "is not above 0 and up to 1"));
    }
    let mut config = raw.turning(&DEFAULTS, head_dim, (head_dim as f64 * factor) as usize)?;
    config.fused = true;
    config.rope.own_window =
        raw.window_in_all_layers(config.num_hidden_layers, raw.keys.optional("sliding_window")?)?;
    Ok(config)
}
