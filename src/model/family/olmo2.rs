//! OLMo 2 (Walsh et al. 2025): norms after attention and after the feed-forward part, and of all queries and all keys of
//! a row.

use super::Family;
use crate::error::Result;
use crate::model::config::{Biases, LayerNorms, NetworkConfig, QkNorm, RawConfig};

pub(super) const ENTRY: Family = Family { model_types: &["olmo2"], gguf: None, read };

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    let mut config = raw.plain()?;
    let bias = raw.attention_bias.unwrap_or(false);
    config.biases = Biases { qkv: bias, output: bias, feed_forward: false };
    config.norm_epsilon = raw.rms_norm_eps.unwrap_or(1e-5);
    config.layer_norms = LayerNorms::After;
    config.qk_norm = Some(QkNorm::Row);
    config.rope.own_window = raw.window_in_all_layers(None)?;
    Ok(config)
}
