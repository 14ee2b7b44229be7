//! Granite 3 (IBM): factors on the embedding, on what layers add, on attention's logits and on the output's.

use super::{Family, GgufForm};
use crate::error::Result;
use crate::model::config::{Biases, Multipliers, NetworkConfig, RawConfig};

pub(super) const ENTRY: Family = Family {
    model_types: &["granite"],
    gguf: Some(GgufForm { architecture: "granite", interleaved: true }),
    read,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    let mut config = raw.plain()?;
    let attention = raw.attention_bias.unwrap_or(false);
    let feed_forward = raw.mlp_bias.unwrap_or(false);
    config.biases = Biases { qkv: attention, output: attention, feed_forward };
    config.attention.scale = raw.attention_multiplier.unwrap_or(1.0);
    config.multipliers = Multipliers {
        embedding: raw.embedding_multiplier.unwrap_or(1.0),
        residual: raw.residual_multiplier.unwrap_or(1.0),
        logits: raw.logits_scaling.unwrap_or(1.0).recip(),
    };
    config.rope.own_window = raw.window_in_all_layers(None)?;
    Ok(config)
}
