//! Qwen2 and Qwen2.5 with its coders (Hui et al. 2024): biases on queries, keys and values; the upper layers slide where
//! `use_sliding_window` says so.

use super::{Family, GgufForm};
use crate::encoding::OwnWindow;
use crate::error::Result;
use crate::model::config::{Biases, NetworkConfig, RawConfig};

pub(super) const ENTRY: Family = Family {
    model_types: &["qwen2"],
    gguf: Some(GgufForm { architecture: "qwen2", interleaved: false }),
    read,
};

/// What transformers takes for configs without the keys.
const DEFAULT_WINDOW: usize = 4096;
const DEFAULT_WINDOW_LAYERS: usize = 28;

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    let mut config = raw.plain()?;
    config.biases = Biases { qkv: raw.attention_bias.unwrap_or(true), ..Biases::default() };
    config.rope.own_window = own_window(raw)?;
    Ok(config)
}

/// The window of the layers from `max_window_layers` on, or of those that are named.
pub(super) fn own_window(raw: &RawConfig) -> Result<Option<OwnWindow>> {
    let window = raw.sliding_window.unwrap_or(Some(DEFAULT_WINDOW));
    let first = raw.max_window_layers.unwrap_or(DEFAULT_WINDOW_LAYERS);
    let slides = raw.use_sliding_window.unwrap_or(false);
    raw.window_in_layers(window.filter(|_| slides), |layer| layer >= first)
}
