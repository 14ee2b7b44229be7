//! Granite 3 with experts (IBM): Granite with a mixture of experts in every layer.

use super::{CHOSEN, EXPERTS, Family, GgufForm, granite};
use crate::checkpoint::config::{ExpertsConfig, NetworkConfig, RawConfig, RouterConfig, RouterScores};
use crate::error::Result;

pub(super) const ENTRY: Family = Family {
    model_types: &["granitemoe"],
    gguf: Some(GgufForm { architecture: "granitemoe", interleaved: true, parts: &[] }),
    lifts: EXPERTS,
    read,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    let mut config = granite::read(raw)?;
    config.biases.feed_forward = false;
    raw.leave_out("mlp_bias");
    raw.refuse_other_router()?;
    raw.leave_out("moe_intermediate_size");
    let count = raw.expert_count(["num_local_experts", "num_experts"], 8)?;
    let router = RouterConfig {
        scores: RouterScores::SoftmaxOfChosen,
        ..RouterConfig::softmax(raw.chosen_experts(CHOSEN, count, 2)?, false)
    };
    let intermediate_size = config.intermediate_size;
    config.set_experts(ExpertsConfig { count, intermediate_size, router, shared: None }, |_| true);
    Ok(config)
}
