//! Seed-OSS (ByteDance 2025): LLaMA with biases on queries, keys and values.

use super::Family;
use crate::error::Result;
use crate::model::config::{Biases, NetworkConfig, RawConfig};

pub(super) const ENTRY: Family = Family { model_types: &["seed_oss"], gguf: None, read };

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    let mut config = raw.plain()?;
    config.biases = Biases {
        qkv: raw.attention_bias.unwrap_or(true),
        output: raw.attention_out_bias.unwrap_or(false),
        feed_forward: raw.mlp_bias.unwrap_or(false),
    };
    config.rope.own_window = raw.window_in_all_layers(None)?;
    Ok(config)
}
