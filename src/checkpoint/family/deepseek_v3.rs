//! DeepSeek-V3 and R1 (DeepSeek-AI 2024), and models like them: latent attention, a mixture of experts in all layers but
//! the first ones, chosen by corrected sigmoids within groups, and one that every row goes through.

use super::{CHOSEN, Family, LATENT_EXPERTS};
use crate::checkpoint::config::{
    Defaults, ExpertsConfig, LatentDefaults, Missing, NetworkConfig, RawConfig, RouterConfig, RouterScores,
    SILU,
};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["deepseek_v3"], gguf: None, lifts: LATENT_EXPERTS, read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 129_280,
    hidden_size: 7168,
    intermediate_size: 18_432,
    num_hidden_layers: 61,
    num_attention_heads: 128,
    num_key_value_heads: Missing::NumberOrNull(128),
    head_dim: Missing::Follows,
    max_position_embeddings: 4096,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(1),
    hidden_act: SILU,
};
const LATENT: LatentDefaults =
    LatentDefaults { queries: 1536, keys_values: 512, standing: 128, turning: 64, values: 128 };

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.latent(&DEFAULTS, &LATENT)?;
    config.drafting_layers = raw.drafting_layers()?;
    let count = raw.expert_count(["n_routed_experts", "num_local_experts"], 256)?;
    let intermediate_size = raw.of_shape("moe_intermediate_size", 2048)?;
    let router = RouterConfig {
        scores: RouterScores::Sigmoid,
        scale: raw.routed_scale(2.5)?,
        corrected: true,
        groups: raw.expert_groups(count, [8, 4], 2)?,
        ..RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 8)?, raw.keys.or("norm_topk_prob", true)?)
    };
    let shared = raw.shared_experts("n_shared_experts", 1, intermediate_size)?;
    let first: usize = raw.keys.or("first_k_dense_replace", 3)?;
    config.set_experts(ExpertsConfig { count, intermediate_size, router, shared }, |layer| layer >= first);
    Ok(config)
}
