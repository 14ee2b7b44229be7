//! Mellum 2 (JetBrains 2026): experts, queries and keys normed by head; layers that slide turn by a base of their own.

use super::{CHOSEN, EXPERTS, Family};
use crate::checkpoint::config::{
    Biases, Defaults, ExpertsConfig, Missing, NetworkConfig, QkNorm, RawConfig, RouterConfig, SILU,
    SlidingRope, field_error, unsupported,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family { model_types: &["mellum"], gguf: None, lifts: EXPERTS, read };

const SLIDING: SlidingRope = SlidingRope { theta_key: None, theta: 10_000.0, window: 1024 };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 98_304,
    hidden_size: 2304,
    intermediate_size: 7168,
    num_hidden_layers: 28,
    num_attention_heads: 32,
    num_key_value_heads: Missing::Number(4),
    head_dim: Missing::Number(128),
    max_position_embeddings: 131072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-6),
    rope_theta: 500_000.0,
    tie_word_embeddings: false,
    eos_token_id: None,
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    // Files of this family have always had their ropes in rope_parameters, and transformers reads no other place.
    if let Some(key) = ["rope_scaling", "rope_theta"].into_iter().find(|key| raw.keys.says(key)) {
        return Err(unsupported(
            key,
            "in a mellum model",
            "give it in rope_parameters, for each type of layer",
        ));
    }
    let mut config = raw.by_layer_type(&DEFAULTS, &SLIDING, |_| false)?;
    let bias = raw.keys.or("attention_bias", false)?;
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.qk_norm = Some(QkNorm::Head);
    // Layers that predict a second token, in drafting alone.
    let drafting = ["num_nextn_predict_layers", "num_mtp_layers"];
    config.drafting_layers = usize::from(drafting.into_iter().any(|key| raw.keys.says(key)));
    let sparse = sparse_layers(raw, config.num_hidden_layers)?;
    let count = raw.expert_count(["num_experts", "num_local_experts"], 64)?;
    let router =
        RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 8)?, raw.keys.or("norm_topk_prob", true)?);
    let intermediate_size = raw.of_shape("moe_intermediate_size", 896)?;
    let experts = ExpertsConfig { count, intermediate_size, router, shared: None };
    config.set_experts(experts, |layer| sparse[layer]);
    Ok(config)
}

/// Which layers have experts, by `mlp_layer_types`; all if it is missing.
fn sparse_layers(raw: &RawConfig, layers: usize) -> Result<Vec<bool>> {
    let key = "mlp_layer_types";
    let Some(types) = raw.keys.optional::<Vec<String>>(key)? else { return Ok(vec![true; layers]) };
    if types.len() != layers {
        return Err(field_error(key, "does not have num_hidden_layers entries"));
    }
    let sparse = |kind: &String| match kind.as_str() {
        "sparse" => Ok(true),
        "dense" => Ok(false),
        other => Err(unsupported(key, other, "use a checkpoint whose layers are dense or sparse")),
    };
    types.iter().map(sparse).collect()
}
