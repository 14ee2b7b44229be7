//! Sliding windows that a checkpoint was trained with, as transformers has them.

use super::{RawConfig, field_error, unsupported};
use crate::encoding::OwnWindow;
use crate::error::Result;

/// The model's own sliding window, where any layer has one.
///
/// Mistral slides in every layer whenever the window is set; Qwen2 only where `use_sliding_window` says so,
/// in the layers that `layer_types` names or else those from `max_window_layers` on.
pub(super) fn own_window(raw: &RawConfig) -> Result<Option<OwnWindow>> {
    let layers = raw.num_hidden_layers;
    let named = named_layers(raw)?;
    let window = match raw.model_type.as_str() {
        "mistral" => raw.sliding_window,
        "qwen2" => raw.sliding_window.filter(|_| raw.use_sliding_window),
        _ => None,
    };
    let sliding: Vec<bool> = match (window, raw.model_type.as_str()) {
        (None, _) => vec![false; layers],
        (Some(0), _) => return Err(field_error("sliding_window", "is 0")),
        (Some(_), "qwen2") => {
            named.clone().unwrap_or_else(|| (0..layers).map(|layer| layer >= raw.max_window_layers).collect())
        }
        (Some(_), _) => vec![true; layers],
    };
    if named.is_some_and(|named| named != sliding) {
        return Err(field_error("layer_types", "does not say what sliding_window and model_type do"));
    }
    let window = window.filter(|_| sliding.contains(&true));
    Ok(window.map(|window| OwnWindow { window, layers: sliding.into() }))
}

/// Which layers slide by `layer_types`, where it is given.
fn named_layers(raw: &RawConfig) -> Result<Option<Vec<bool>>> {
    let Some(types) = &raw.layer_types else { return Ok(None) };
    if types.len() != raw.num_hidden_layers {
        return Err(field_error("layer_types", "does not have num_hidden_layers entries"));
    }
    let slides = |kind: &String| match kind.as_str() {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => {
            let fix = "use a checkpoint whose layers are full_attention or sliding_attention";
            Err(unsupported("layer_types", other, fix))
        }
    };
    types.iter().map(slides).collect::<Result<_>>().map(Some)
}
