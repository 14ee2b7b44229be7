//! Qwen1.5 and Qwen2 with experts (Qwen team 2024): Qwen2 with a mixture of experts, and one that every row
//! goes through, by a gate.

use super::{CHOSEN, EXPERTS, Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, ExpertsConfig, Missing, NetworkConfig, RawConfig, RouterConfig, SILU,
    SharedExpertConfig, unsupported,
};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["qwen2_moe"], gguf: Some(GgufForm::plain("qwen2moe")), lifts: EXPERTS, read };

/// The window if the config has no such key and windows are used.
const WINDOW: usize = 4096;
/// The first layer that does not slide, if the config has no such key.
const WINDOW_LAYERS: usize = 28;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 24,
    num_attention_heads: 16,
    num_key_value_heads: Missing::NumberOrNull(16),
    head_dim: Missing::Follows,
    max_position_embeddings: 32_768,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: None,
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    config.biases = Biases { qkv: raw.keys.or("qkv_bias", true)?, ..Biases::default() };
    let window =
        if raw.keys.has("sliding_window") { raw.keys.optional("sliding_window")? } else { Some(WINDOW) };
    let slides = raw.keys.or("use_sliding_window", false)?;
    if slides && window.is_none() {
        let fix = "give the window's tokens, or set use_sliding_window to false";
        return Err(unsupported("sliding_window", "null, beside use_sliding_window,", fix));
    }
    let below = raw.keys.or("max_window_layers", WINDOW_LAYERS)?;
    // Of the layers below, every second slides; in Qwen2 those above do.
    let layers = config.num_hidden_layers;
    config.rope.own_window = raw.window_in_layers(layers, window.filter(|_| slides), |layer| {
        layer < below && layer.is_multiple_of(2)
    })?;
    raw.refuse_other_router()?;
    let count = raw.expert_count(["num_experts", "num_local_experts"], 60)?;
    let router =
        RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 4)?, raw.keys.or("norm_topk_prob", false)?);
    let shared = raw.of_shape("shared_expert_intermediate_size", 5632)?;
    let experts = ExpertsConfig {
        count,
        intermediate_size: raw.of_shape("moe_intermediate_size", 1408)?,
        router,
        shared: Some(SharedExpertConfig { intermediate_size: shared, gated: true }),
    };
    raw.experts_by_step(&mut config, experts)?;
    Ok(config)
}
