//! Qwen3, dense (Yang et al. 2025): queries and keys are normed by head before they turn; a head's dimensions are given.

use super::{Family, GgufForm, qwen2};
use crate::error::Result;
use crate::model::config::{Biases, NetworkConfig, QkNorm, RawConfig};

pub(super) const ENTRY: Family = Family {
    model_types: &["qwen3"],
    gguf: Some(GgufForm { architecture: "qwen3", interleaved: false }),
    read,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    let mut config = raw.plain()?;
    let bias = raw.attention_bias.unwrap_or(false);
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.qk_norm = Some(QkNorm::Head);
    config.rope.own_window = qwen2::own_window(raw)?;
    Ok(config)
}
