//! Phi-3, Phi-3.5 and Phi-4-mini (Abdin et al. 2024): fused projections, `longrope`, heads that partly turn.

use super::{Family, GgufForm};
use crate::checkpoint::config::{Defaults, Fused, Missing, NetworkConfig, RawConfig, SILU};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["phi3"], gguf: Some(GgufForm::plain("phi3")), lifts: &[], read };

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
    let mut config = raw.turning_in_part(&DEFAULTS, 1.0)?;
    config.fused = Fused { qkv: true, gate_up: true };
    config.rope.own_window =
        raw.window_in_all_layers(config.num_hidden_layers, raw.keys.optional("sliding_window")?)?;
    Ok(config)
}
