//! SmolLM3 (Hugging Face 2025): every fourth layer does not turn its queries and keys (NoPE).

use super::{Family, GgufForm};
use crate::checkpoint::config::{Biases, Defaults, Missing, NetworkConfig, RawConfig, SILU};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["smollm3"],
    gguf: Some(GgufForm { interleaved: true, ..GgufForm::plain("smollm3") }),
    lifts: &[],
    read,
};

/// One layer in this many does not turn, if the config does not say which.
const INTERVAL: usize = 4;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 128256,
    hidden_size: 2048,
    intermediate_size: 11008,
    num_hidden_layers: 36,
    num_attention_heads: 16,
    num_key_value_heads: Missing::NumberOrNull(4),
    head_dim: Missing::Follows,
    max_position_embeddings: 32768,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 2_000_000.0,
    tie_word_embeddings: true,
    eos_token_id: Some(128_001),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    let layers = config.num_hidden_layers;
    let attention = raw.keys.or("attention_bias", false)?;
    let feed_forward = raw.keys.or("mlp_bias", false)?;
    config.biases = Biases { qkv: attention, output: attention, feed_forward };
    let unrotated = raw.unrotated_layers(layers, INTERVAL)?;
    let slides = |layer: usize| unrotated.as_ref().is_some_and(|unrotated| unrotated[layer]);
    let used = raw.keys.or("use_sliding_window", false)?;
    let window = raw.keys.optional("sliding_window")?.filter(|_| used);
    config.rope.own_window = raw.window_in_layers(layers, window, slides)?;
    config.rope.unrotated = unrotated;
    Ok(config)
}
