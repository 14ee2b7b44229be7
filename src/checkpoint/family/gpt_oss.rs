//! gpt-oss (OpenAI 2025): experts with biases and a clamped gate, a sink a head in the softmax, YaRN; every other layer
//! slides. The experts' weights may be in MXFP4.

use super::{CHOSEN, Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, ExpertsConfig, GateActivation, Missing, NetworkConfig, RawConfig, RouterConfig,
    RouterScores, SILU, field_error,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["gpt_oss"],
    gguf: Some(GgufForm { parts: GGUF_PARTS, ..GgufForm::plain("gpt-oss") }),
    lifts: &["num_local_experts", "num_experts", "quantization_config"],
    read,
};

/// What llama.cpp calls the second norm.
const GGUF_PARTS: &[(&str, &str)] = &[("post_attention_layernorm", "post_attention_norm")];

/// One layer in this many sees everything, if the config does not say which.
const FULL_EVERY: usize = 2;
/// The window if the config has no such key.
const WINDOW: usize = 128;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 201_088,
    hidden_size: 2880,
    intermediate_size: 2880,
    num_hidden_layers: 36,
    num_attention_heads: 64,
    num_key_value_heads: Missing::NumberOrNull(8),
    head_dim: Missing::NumberOrNull(64),
    max_position_embeddings: 131072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 150_000.0,
    tie_word_embeddings: false,
    eos_token_id: None,
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    if !raw.keys.says("rope_scaling") && !raw.keys.says("rope_parameters") {
        return Err(field_error(
            "rope_parameters",
            "is missing: transformers would take YaRN with a factor of 32",
        ));
    }
    let mut config = raw.plain(&DEFAULTS)?;
    let bias = raw.keys.or("attention_bias", true)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: true };
    config.attention.sinks = true;
    config.gate = GateActivation::Clamped {
        alpha: raw.keys.or("swiglu_alpha", 1.702)?,
        limit: raw.keys.or("swiglu_limit", 7.0)?,
    };
    let window = raw.keys.or_null("sliding_window", WINDOW)?;
    let slides = |layer: usize| !(layer + 1).is_multiple_of(FULL_EVERY);
    (_, config.rope.own_window) = raw.sliding(config.num_hidden_layers, window, slides)?;
    let count = raw.expert_count(["num_local_experts", "num_experts"], 128)?;
    let router = RouterConfig {
        scores: RouterScores::SoftmaxOfChosen,
        ..RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 4)?, false)
    };
    let intermediate_size = config.intermediate_size;
    config.set_experts(ExpertsConfig { count, intermediate_size, router, shared: None }, |_| true);
    Ok(config)
}
