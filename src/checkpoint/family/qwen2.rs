//! Qwen2 and Qwen2.5 with its coders (Hui et al. 2024): biases on queries, keys and values; the upper layers
//! slide if `use_sliding_window` is set.

use super::{Family, GgufForm};
use crate::checkpoint::config::{Biases, Defaults, Missing, NetworkConfig, RawConfig, SILU};
use crate::encoding::OwnWindow;
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["qwen2"], gguf: Some(GgufForm::plain("qwen2")), lifts: &[], read };

/// The window if the config has no such key and windows are used.
const WINDOW: usize = 4096;
/// The first layer that slides, if the config has no such key.
const WINDOW_LAYERS: usize = 28;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 151936,
    hidden_size: 4096,
    intermediate_size: 22016,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::NumberOrNull(32),
    head_dim: Missing::Follows,
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
    if raw.keys.given("attention_bias")? == Some(false) {
        raw.note("config.json: attention_bias is false, and models of this model_type have it all the same");
    }
    config.biases = Biases { qkv: true, ..Biases::default() };
    config.rope.own_window = own_window(raw, config.num_hidden_layers)?;
    Ok(config)
}

/// The window of the layers from `max_window_layers` on, or of those that are named.
pub(super) fn own_window(raw: &RawConfig, layers: usize) -> Result<Option<OwnWindow>> {
    let window =
        if raw.keys.has("sliding_window") { raw.keys.optional("sliding_window")? } else { Some(WINDOW) };
    let first = raw.keys.or("max_window_layers", WINDOW_LAYERS)?;
    let slides = raw.keys.or("use_sliding_window", false)?;
    raw.window_in_layers(layers, window.filter(|_| slides), |layer| layer >= first)
}
