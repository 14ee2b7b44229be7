//! GLM-4.7-Flash (Zhipu 2026): latent attention, and a mixture of experts in all layers but the first, chosen by
//! corrected sigmoids.

use super::{CHOSEN, Family, LATENT_EXPERTS};
use crate::checkpoint::config::{
    Defaults, ExpertsConfig, LatentDefaults, Missing, NetworkConfig, RawConfig, RouterConfig, RouterScores,
    SILU, field_error,
};
use crate::error::Result;

pub(super) const ENTRY: Family =
    Family { model_types: &["glm4_moe_lite"], gguf: None, lifts: LATENT_EXPERTS, read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 154_880,
    hidden_size: 2048,
    intermediate_size: 10_240,
    num_hidden_layers: 47,
    num_attention_heads: 20,
    num_key_value_heads: Missing::Number(20),
    head_dim: Missing::Follows,
    max_position_embeddings: 202_752,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 10_000.0,
    tie_word_embeddings: false,
    eos_token_id: Some(1),
    hidden_act: SILU,
};
const LATENT: LatentDefaults =
    LatentDefaults { queries: 768, keys_values: 512, standing: 192, turning: 64, values: 256 };

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.latent(&DEFAULTS, &LATENT)?;
    config.drafting_layers = raw.drafting_layers()?;
    let count = raw.expert_count(["n_routed_experts", "num_local_experts"], 64)?;
    let intermediate_size = raw.of_shape("moe_intermediate_size", 1536)?;
    let router = RouterConfig {
        scores: RouterScores::Sigmoid,
        scale: raw.routed_scale(1.8)?,
        corrected: true,
        groups: raw.expert_groups(count, [1, 1], 2)?,
        ..RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 4)?, raw.keys.or("norm_topk_prob", true)?)
    };
    let shared = raw.shared_experts("n_shared_experts", 1, intermediate_size)?;
    let sparse = sparse_layers(raw, config.num_hidden_layers)?;
    config.set_experts(ExpertsConfig { count, intermediate_size, router, shared }, |layer| sparse[layer]);
    Ok(config)
}

/// Which layers have experts: all but the first, if the config does not say.
fn sparse_layers(raw: &RawConfig, layers: usize) -> Result<Vec<bool>> {
    let key = "mlp_layer_types";
    let Some(types) = raw.keys.optional::<Vec<String>>(key)? else {
        return Ok((0..layers).map(|layer| layer > 0).collect());
    };
    if types.len() < layers {
        return Err(field_error(key, "has fewer than num_hidden_layers entries"));
    }
    let is_sparse = |name: &String| match name.as_str() {
        "sparse" => Ok(true),
        "dense" => Ok(false),
        other => Err(field_error(key, &format!("has `{other}`, which is neither sparse nor dense"))),
    };
    types[..layers].iter().map(is_sparse).collect()
}
