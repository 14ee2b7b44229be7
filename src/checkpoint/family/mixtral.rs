//! Mixtral (Jiang et al. 2024): Mistral with a mixture of experts in every layer. GGUF files say llama.

use super::{CHOSEN, EXPERTS, Family, GgufForm};
use crate::checkpoint::config::{
    Defaults, ExpertsConfig, Missing, NetworkConfig, RawConfig, RouterConfig, SILU,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["mixtral"],
    gguf: Some(GgufForm { architecture: "llama", interleaved: true, parts: &[] }),
    lifts: EXPERTS,
    read,
};

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 14_336,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Number(8),
    head_dim: Missing::Follows,
    max_position_embeddings: 131_072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 1_000_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    raw.leave_out("attention_bias");
    config.rope.own_window =
        raw.window_in_all_layers(config.num_hidden_layers, raw.keys.optional("sliding_window")?)?;
    raw.refuse_other_router()?;
    raw.leave_out("moe_intermediate_size");
    let count = raw.expert_count(["num_local_experts", "num_experts"], 8)?;
    let router = RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 2)?, true);
    let intermediate_size = config.intermediate_size;
    config.set_experts(ExpertsConfig { count, intermediate_size, router, shared: None }, |_| true);
    Ok(config)
}
