//! OLMoE (Muennighoff et al. 2024): LLaMA with norms of all queries and all keys of a row, and a mixture of
//! experts in every layer.

use super::{CHOSEN, EXPERTS, Family, GgufForm};
use crate::checkpoint::config::{
    Biases, Defaults, ExpertsConfig, Missing, NetworkConfig, QkNorm, RawConfig, RouterConfig, SILU,
    unsupported,
};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["olmoe"], gguf: Some(GgufForm::plain("olmoe")), lifts: EXPERTS, read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 50_304,
    hidden_size: 2048,
    intermediate_size: 2048,
    num_hidden_layers: 16,
    num_attention_heads: 16,
    num_key_value_heads: Missing::Follows,
    head_dim: Missing::Follows,
    max_position_embeddings: 4096,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(50_279),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    if raw.keys.says("clip_qkv") {
        return Err(unsupported("clip_qkv", "in an olmoe model", "use a checkpoint without it"));
    }
    let bias = raw.keys.or("attention_bias", false)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.qk_norm = Some(QkNorm::Row);
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, None)?;
    raw.refuse_other_router()?;
    raw.leave_out("moe_intermediate_size");
    let count = raw.expert_count(["num_experts", "num_local_experts"], 64)?;
    let router =
        RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 8)?, raw.keys.or("norm_topk_prob", false)?);
    let intermediate_size = config.intermediate_size;
    config.set_experts(ExpertsConfig { count, intermediate_size, router, shared: None }, |_| true);
    Ok(config)
}
