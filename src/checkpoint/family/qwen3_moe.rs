//! Qwen3 with experts (Yang et al. 2025), Qwen3-Coder-30B-A3B among them: Qwen3 with a mixture of experts in
//! the place of the feed-forward part, in every layer unless the config says otherwise.

use super::{CHOSEN, EXPERTS, Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, ExpertsConfig, Missing, NetworkConfig, QkNorm, RawConfig, RouterConfig, SILU,
};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["qwen3_moe"], gguf: Some(GgufForm::plain("qwen3moe")), lifts: EXPERTS, read };

/// The window if the config has no such key and windows are used.
const WINDOW: usize = 4096;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 151_936,
    hidden_size: 2048,
    intermediate_size: 6144,
    num_hidden_layers: 24,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Number(4),
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
    let bias = raw.keys.or("attention_bias", false)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.qk_norm = Some(QkNorm::Head);
    let window =
        if raw.keys.has("sliding_window") { raw.keys.optional("sliding_window")? } else { Some(WINDOW) };
    let slides = raw.keys.or("use_sliding_window", false)?;
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, window.filter(|_| slides))?;
    raw.refuse_other_router()?;
    raw.leave_out("shared_expert_intermediate_size");
    let count = raw.expert_count(["num_experts", "num_local_experts"], 128)?;
    let router =
        RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 8)?, raw.keys.or("norm_topk_prob", false)?);
    let intermediate_size = raw.of_shape("moe_intermediate_size", 768)?;
    raw.experts_by_step(&mut config, ExpertsConfig { count, intermediate_size, router, shared: None })?;
    Ok(config)
}
