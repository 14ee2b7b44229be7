//! GLM-4-0414 (Zhipu 2025): norms around each part, a fused gate, half of a head turns by neighbouring dimensions.

use super::{Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, Fused, LayerNorms, Missing, NetworkConfig, RawConfig, SILU,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["glm4"],
    gguf: Some(GgufForm { parts: GGUF_PARTS, ..GgufForm::plain("glm4") }),
    lifts: &[],
    read,
};

/// What llama.cpp calls the norms.
const GGUF_PARTS: &[(&str, &str)] = &[
    ("post_self_attn_layernorm", "post_attention_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("post_mlp_layernorm", "post_ffw_norm"),
];

/// The share of a head's dimensions that turns if the config does not say it.
const TURNS: f64 = 0.5;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 151552,
    hidden_size: 4096,
    intermediate_size: 13696,
    num_hidden_layers: 40,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Number(2),
    head_dim: Missing::Number(128),
    max_position_embeddings: 131072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1.5625e-7),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(151_329),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.turning_in_part(&DEFAULTS, TURNS)?;
    config.biases = Biases { qkv: raw.keys.or("attention_bias", true)?, ..Biases::default() };
    config.fused = Fused { qkv: false, gate_up: true };
    config.layer_norms =
        LayerNorms::Around(["post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm"]);
    config.attention.neighbours = true;
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, None)?;
    Ok(config)
}
