//! DeepSeek-V2 (DeepSeek-AI 2024), DeepSeek-Coder-V2-Lite among them: latent attention, a mixture of experts in all
//! layers but the first ones, and one that every row goes through.

use super::{CHOSEN, Family, LATENT_EXPERTS};
use crate::checkpoint::config::{
    Defaults, ExpertsConfig, LatentDefaults, Missing, NetworkConfig, RawConfig, RouterConfig, SILU,
    unsupported,
};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["deepseek_v2"], gguf: None, lifts: LATENT_EXPERTS, read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 32_000,
    hidden_size: 4096,
    intermediate_size: 11_008,
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
const LATENT: LatentDefaults =
    LatentDefaults { queries: 1536, keys_values: 512, standing: 128, turning: 64, values: 128 };

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.latent(&DEFAULTS, &LATENT)?;
    // Its heads turn by neighbours, whatever the config says.
    config.attention.neighbours = true;
    if raw.keys.says("mlp_bias") {
        return Err(unsupported("mlp_bias", "in a deepseek_v2 model", "use a checkpoint without it"));
    }
    raw.leave_out("norm_topk_prob");
    let count = raw.expert_count(["n_routed_experts", "num_experts"], 64)?;
    let intermediate_size = raw.of_shape("moe_intermediate_size", 1407)?;
    let method = raw.keys.or_null("topk_method", "greedy".to_string())?;
    let groups = match method.as_deref() {
        Some("greedy") => None,
        Some("group_limited_greedy") => raw.expert_groups(count, [0, 0], 1)?,
        other => {
            let method = other.unwrap_or("null");
            return Err(unsupported(
                "topk_method",
                method,
                "use a checkpoint with greedy or group_limited_greedy",
            ));
        }
    };
    let router = RouterConfig {
        scale: raw.routed_scale(1.0)?,
        groups,
        ..RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 0)?, false)
    };
    let shared = raw.shared_experts("n_shared_experts", 2, intermediate_size)?;
    let first: usize = raw.keys.or("first_k_dense_replace", 0)?;
    config.set_experts(ExpertsConfig { count, intermediate_size, router, shared }, |layer| layer >= first);
    Ok(config)
}
