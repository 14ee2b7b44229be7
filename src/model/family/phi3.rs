//! Phi-3, Phi-3.5 and Phi-4-mini (Abdin et al. 2024): fused projections, `longrope`, heads that turn in part.

use super::{Family, GgufForm};
use crate::error::Result;
use crate::model::config::{NetworkConfig, RawConfig, field_error};

pub(super) const ENTRY: Family = Family {
    model_types: &["phi3"],
    gguf: Some(GgufForm { architecture: "phi3", interleaved: false }),
    read,
};

fn read(raw: &RawConfig) -> Result<NetworkConfig> {
    raw.needs_activation("silu")?;
    let head_dim = raw.head_dim()?;
    let factor = raw.partial_rotary_factor().unwrap_or(1.0);
    if !(factor > 0.0 && factor <= 1.0) {
        return Err(field_error("partial_rotary_factor", "is not above 0 and up to 1"));
    }
    let mut config = raw.turning(head_dim, (head_dim as f64 * factor) as usize)?;
    config.norm_epsilon = raw.rms_norm_eps.unwrap_or(1e-5);
    config.fused = true;
    config.rope.own_window = raw.window_in_all_layers(raw.sliding_window.flatten())?;
    Ok(config)
}
