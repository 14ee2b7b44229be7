//! ERNIE 4.5 with experts (Baidu 2025): ERNIE 4.5 with a mixture of experts in all layers but the first ones,
//! chosen by corrected scores, and one that every row goes through.

use super::{EXPERTS, Family};
use crate::checkpoint::config::{
    Defaults, ExpertsConfig, Missing, NetworkConfig, RawConfig, RouterConfig, SILU, field_error, unsupported,
};
use crate::error::Result;

pub(super) const ENTRY: Family = Family { model_types: &["ernie4_5_moe"], gguf: None, lifts: EXPERTS, read };

/// The defaults of transformers.
const DEFAULTS: Defaults = Defaults {
    vocab_size: 103_424,
    hidden_size: 2560,
    intermediate_size: 12_288,
    num_hidden_layers: 28,
    num_attention_heads: 20,
    num_key_value_heads: Missing::Number(4),
    head_dim: Missing::Follows,
    max_position_embeddings: 131_072,
    original_max_position_embeddings: None,
    norm_epsilon: ("rms_norm_eps", 1e-5),
    rope_theta: 500_000.0,
    tie_word_embeddings: true,
    eos_token_id: Some(2),
    hidden_act: SILU,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = raw.plain(&DEFAULTS)?;
    if raw.keys.says("use_bias") {
        let fix = "use a checkpoint without biases, as those that were released";
        return Err(unsupported("use_bias", "in a model with experts", fix));
    }
    config.attention.neighbours = true;
    let layers = config.num_hidden_layers;
    config.rope.own_window = raw.window_in_all_layers(layers, None)?;
    raw.refuse_other_router()?;
    let count = raw.expert_count(["moe_num_experts", "num_experts"], 64)?;
    let chosen = raw.chosen_experts(&["moe_k", "num_experts_per_tok"], count, 6)?;
    let intermediate_size = raw.of_shape("moe_intermediate_size", 1536)?;
    let experts = ExpertsConfig {
        count,
        intermediate_size,
        router: RouterConfig { corrected: true, ..RouterConfig::softmax(chosen, true) },
        shared: raw.shared_experts("moe_num_shared_experts", 2, intermediate_size)?,
    };
    let first: usize = raw.keys.or("moe_layer_start_index", 1)?;
    let step: usize = raw.keys.or("moe_layer_interval", 1)?;
    if step == 0 {
        return Err(field_error("moe_layer_interval", "is 0"));
    }
    // -1 means the last layer.
    let last = match raw.keys.or("moe_layer_end_index", -1.0)? {
        last if last < 0.0 => layers.saturating_sub(1),
        last => last as usize,
    };
    let has_experts = |layer: usize| (first..=last).contains(&layer) && (layer + 1).is_multiple_of(step);
    config.set_experts(experts, has_experts);
    Ok(config)
}
