//! StarCoder2 (Lozhkov et al. 2024): layer norms, biases everywhere, a feed-forward part without a gate, and a sliding
//! window in every layer.

use super::{Family, GgufForm};
use crate::error::Result;
use crate::model::config::{Biases, FeedForwardKind, NetworkConfig, NormKind, RawConfig};

pub(super) const ENTRY: Family = Family {
    model_types: &["starcoder2"],
    gguf: Some(GgufForm { architecture: "starcoder2", interleaved: false }),
    read,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("gelu_pytorch_tanh")?;
    let mut config = raw.plain()?;
    let bias = raw.use_bias.unwrap_or(true);
    config.biases = Biases { qkv: bias, output: bias, feed_forward: bias };
    config.norm = NormKind::Layer;
    config.norm_epsilon = raw.norm_epsilon.unwrap_or(1e-5);
    config.feed_forward = FeedForwardKind::Plain;
    config.tie_word_embeddings = raw.tie_word_embeddings.unwrap_or(true);
    config.rope.own_window = raw.window_in_all_layers(raw.sliding_window.flatten())?;
    Ok(config)
}
