//! IQuest-Coder: LLaMA with defaults of its own.

use super::{Family, llama};
use crate::checkpoint::config::{Defaults, Missing, NetworkConfig, RawConfig, SILU, unsupported};
use crate::error::Result;

pub(super) const ENTRY: Family = Family { model_types: &["iquestcoder"], gguf: None, lifts: &[], read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 76_800,
    hidden_size: 5120,
    intermediate_size: 27_648,
    num_hidden_layers: 80,
    num_attention_heads: 40,
    num_key_value_heads: Missing::NumberOrNull(8),
    head_dim: Missing::NumberOrNull(128),
    max_position_embeddings: 131_072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    // Its own code has these keys; no released checkpoint uses them, and transformers refuses them.
    if let Some(key) = ["use_sliding_window", "clip_qkv"].into_iter().find(|key| raw.keys.says(key)) {
        return Err(unsupported(key, "in an iquestcoder model", "use a checkpoint without it"));
    }
    llama::with_biases(raw, &DEFAULTS)
}
