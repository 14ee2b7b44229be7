//! What the metadata of a GGUF file say about experts, in the words of config.json.

use serde_json::Value;

use super::config::unsupported;
use super::{Gguf, key_error};
use crate::error::Result;

/// llama.cpp's number for a router whose scores are a softmax over all experts.
const SOFTMAX: usize = 1;

impl Gguf {
    /// Adds how many experts there are, how wide each is, and how they are chosen. Whether the scores of the
    /// chosen ones are divided by their sum is not stored for these architectures: llama.cpp knows it.
    pub(super) fn add_experts(&self, config: &mut Value) -> Result<()> {
        self.refuse_other_router()?;
        let (count, chosen) = (self.count("expert_count")?, self.count("expert_used_count")?);
        config["num_experts"] = count.into();
        config["num_experts_per_tok"] = chosen.into();
        let width = config["intermediate_size"].as_u64().unwrap_or(0) as usize;
        let of_each = self.optional_count("expert_feed_forward_length")?.filter(|&width| width > 0);
        let even = width / chosen.max(1);
        match self.architecture()? {
            "qwen3moe" => {
                config["moe_intermediate_size"] = of_each.unwrap_or(even).into();
                config["norm_topk_prob"] = true.into();
            }
            "qwen2moe" => {
                config["moe_intermediate_size"] = of_each.unwrap_or(even).into();
                let shared = self.optional_count("expert_shared_feed_forward_length")?;
                config["shared_expert_intermediate_size"] = shared.filter(|&s| s > 0).unwrap_or(width).into();
            }
            _ => (),
        }
        Ok(())
    }

    /// Refuses routers that no family with these architectures has.
    fn refuse_other_router(&self) -> Result<()> {
        let key = self.key("expert_gating_func")?;
        if self.whole(&key)?.is_some_and(|kind| kind > SOFTMAX) {
            return Err(unsupported(
                &key,
                "a router without a softmax is not supported".into(),
                "use another model",
            ));
        }
        let key = self.key("expert_weights_scale")?;
        if let Some(scale) = self.number(&key)?.filter(|&scale| scale != 0.0 && scale != 1.0) {
            return Err(key_error(
                &key,
                format!("{key} is {scale}, and this architecture has no such factor"),
            ));
        }
        let key = self.key("expert_group_count")?;
        match self.whole(&key)? {
            None | Some(0 | 1) => Ok(()),
            Some(count) => Err(unsupported(
                &key,
                format!("{count} groups of experts are not supported"),
                "use another model",
            )),
        }
    }
}
