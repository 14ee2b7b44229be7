//! Mistral (Jiang et al. 2023): LLaMA with a sliding window in every layer, if one is set. GGUF files say
//! llama.

use super::Family;
use crate::checkpoint::config::{Defaults, Missing, NetworkConfig, RawConfig, SILU};
use crate::error::Result;

pub(super) const ENTRY: Family = Family { model_types: &["mistral"], gguf: None, lifts: &[], read };

/// The window if the config has no such key; null means full attention.
const WINDOW: usize = 4096;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 14336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Number(8),
    head_dim: Missing::Follows,
    max_position_embeddings: 131072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    raw.leave_out("attention_bias");
    raw.leave_out("mlp_bias");
    let window =
        if raw.keys.has("sliding_window") { raw.keys.optional("sliding_window")? } else { Some(WINDOW) };
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, window)?;
    Ok(config)
}
