//! Mistral (Jiang et al. 2023): LLaMA with a sliding window in every layer where one is set. GGUF files say llama.

use super::Family;
use crate::error::Result;
use crate::model::config::{Biases, NetworkConfig, RawConfig};

pub(super) const ENTRY: Family = Family { model_types: &["mistral"], gguf: None, read };

/// What transformers takes for a config without the key; null is full attention.
const DEFAULT_WINDOW: usize = 4096;

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    let mut config = raw.plain()?;
    let bias = raw.attention_bias.unwrap_or(false);
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.rope.own_window = raw.window_in_all_layers(raw.sliding_window.unwrap_or(Some(DEFAULT_WINDOW)))?;
    Ok(config)
}
