//! LLaMA and what is like it: Code Llama, DeepSeek-Coder, Yi-Coder, OpenCoder, Seed-Coder, SmolLM2, IQuest-Coder, and
//! Granite's code models, which have biases everywhere.

use super::{Family, GgufForm};
use crate::error::Result;
use crate::model::config::{Biases, NetworkConfig, RawConfig, unsupported};

pub(super) const ENTRY: Family = Family {
    model_types: &["llama", "iquestcoder"],
    gguf: Some(GgufForm { architecture: "llama", interleaved: true }),
    read,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    if raw.use_sliding_window == Some(true) {
        let fix = "use a checkpoint of a family that has sliding windows, as mistral and qwen2";
        return Err(unsupported("use_sliding_window", "in a llama model", fix));
    }
    let mut config = raw.plain()?;
    let attention = raw.attention_bias.unwrap_or(false);
    let feed_forward = raw.mlp_bias.unwrap_or(false);
    config.biases = Biases { qkv: attention, output: attention, feed_forward };
    config.rope.own_window = raw.window_in_all_layers(None)?;
    Ok(config)
}
