//! SmolLM3 (Hugging Face 2025): every fourth layer does not turn its queries and keys (NoPE).

use super::{Family, GgufForm};
use crate::error::Result;
use crate::model::config::{Biases, NetworkConfig, RawConfig};

pub(super) const ENTRY: Family = Family {
    model_types: &["smollm3"],
    gguf: Some(GgufForm { architecture: "smollm3", interleaved: true }),
    read,
};

/// One layer of so many does not turn, where the config does not say which.
const INTERVAL: usize = 4;

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    let mut config = raw.plain()?;
    let attention = raw.attention_bias.unwrap_or(false);
    let feed_forward = raw.mlp_bias.unwrap_or(false);
    config.biases = Biases { qkv: attention, output: attention, feed_forward };
    config.tie_word_embeddings = raw.tie_word_embeddings.unwrap_or(true);
    let unrotated = raw.unrotated_layers(INTERVAL)?;
    let slides = |layer: usize| unrotated.as_ref().is_some_and(|unrotated| unrotated[layer]);
    let window = raw.sliding_window.flatten().filter(|_| raw.use_sliding_window.unwrap_or(false));
    config.rope.own_window = raw.window_in_layers(window, slides)?;
    config.attention.unrotated = unrotated;
    Ok(config)
}
