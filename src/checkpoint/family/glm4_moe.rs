//! GLM-4.5 and 4.6 (Zhipu 2025), GLM-4.5-Air among them: half of a head turns; a mixture of experts in all layers but the
//! first ones, chosen by corrected sigmoids, and one that every row goes through.

use super::{CHOSEN, EXPERTS, Family};
use crate::checkpoint::config::{
    Biases, Defaults, ExpertsConfig, Missing, NetworkConfig, QkNorm, RawConfig, RouterConfig, RouterScores,
    SILU,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family { model_types: &["glm4_moe"], gguf: None, lifts: EXPERTS, read };

/// The share of a head's dimensions that turns if the config does not say it.
const TURNS: f64 = 0.5;

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 151_552,
    hidden_size: 4096,
    intermediate_size: 10_944,
    num_hidden_layers: 46,
    num_attention_heads: 96,
    num_key_value_heads: Missing::Number(8),
    head_dim: Missing::Follows,
    max_position_embeddings: 131_072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: None,
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.turning_in_part(&DEFAULTS, TURNS)?;
    config.biases = Biases { qkv: raw.keys.or("attention_bias", false)?, ..Biases::default() };
    config.qk_norm = raw.keys.or("use_qk_norm", false)?.then_some(QkNorm::Head);
    config.rope.own_window = raw.window_in_all_layers(config.num_hidden_layers, None)?;
    config.drafting_layers = raw.drafting_layers()?;
    let count = raw.expert_count(["n_routed_experts", "num_local_experts"], 128)?;
    let chosen = raw.chosen_experts(CHOSEN, count, 8)?;
    let intermediate_size = raw.of_shape("moe_intermediate_size", 1408)?;
    let router = RouterConfig {
        scores: RouterScores::Sigmoid,
        scale: raw.routed_scale(1.0)?,
        corrected: true,
        groups: raw.expert_groups(count, [1, 1], 2)?,
        ..RouterConfig::softmax(chosen, raw.keys.or("norm_topk_prob", true)?)
    };
    let shared = raw.shared_experts("n_shared_experts", 1, intermediate_size)?;
    let first: usize = raw.keys.or("first_k_dense_replace", 1)?;
    let experts = ExpertsConfig { count, intermediate_size, router, shared };
    config.set_experts(experts, |layer| layer >= first);
    Ok(config)
}
