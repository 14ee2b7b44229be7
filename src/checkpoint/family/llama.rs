//! LLaMA and models like it: Code Llama, DeepSeek-Coder, Yi-Coder, OpenCoder, Seed-Coder, SmolLM2, and
//! Granite's code models, which have biases everywhere.

use super::{Family, GgufForm};
use crate::checkpoint::config::{Biases, Defaults, Missing, NetworkConfig, RawConfig, SILU, unsupported};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["llama"],
    gguf: Some(GgufForm { interleaved: true, ..GgufForm::plain("llama") }),
    lifts: &[],
    read,
};

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 32000,
    hidden_size: 4096,
    intermediate_size: 11008,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Follows,
    head_dim: Missing::Follows,
    max_position_embeddings: 2048,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    // transformers ignores this key here; whoever wrote it meant a window.
    if raw.keys.says("use_sliding_window") {
        let fix = "use a checkpoint of a family that has sliding windows, as mistral and qwen2";
        return Err(unsupported("use_sliding_window", "in a llama model", fix));
    }
    with_biases(raw, &DEFAULTS)
}

/// LLaMA with biases if the config has them.
pub(super) fn with_biases(raw: &RawConfig, defaults: &Defaults) -> Result<NetworkConfig> {
    let mut config = raw.plain(defaults)?;
    let attention = raw.keys.or("attention_bias", false)?;
    let feed_forward = raw.keys.or("mlp_bias", false)?;
    config.biases = Biases { qkv: attention, output: attention, feed_forward };
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, None)?;
    Ok(config)
}
