//! Sliding windows that a checkpoint was trained with, as transformers implements them.

use super::{RawConfig, field_error, unsupported};
use crate::encoding::OwnWindow;
use crate::error::Result;

impl RawConfig {
    /// A window in these layers, if any has one.
    pub(super) fn own_window(&self, window: Option<usize>, sliding: Vec<bool>) -> Result<Option<OwnWindow>> {
        match window.filter(|_| sliding.contains(&true)) {
            Some(0) => Err(field_error("sliding_window", "is 0")),
            Some(window) => Ok(Some(OwnWindow { window, layers: sliding.into() })),
            None => Ok(None),
        }
    }

    /// Refuses layer types that say otherwise.
    pub(super) fn check_layer_types(&self, sliding: &[bool]) -> Result<()> {
        if self.sliding_layers(sliding.len())?.is_some_and(|named| named != sliding) {
            Err(field_error("layer_types", "does not say what sliding_window and model_type do"))
        } else {
            Ok(())
        }
    }

    /// Which layers slide by `layer_types`, if given.
    pub(super) fn sliding_layers(&self, layers: usize) -> Result<Option<Vec<bool>>> {
        let Some(types) = self.keys.optional::<Vec<String>>("layer_types")? else { return Ok(None) };
        if types.len() != layers {
            return Err(field_error("layer_types", "does not have num_hidden_layers entries"));
        }
        types
            .iter()
            .map(|kind| match kind.as_str() {
                "sliding_attention" => Ok(true),
                // `attention` is the older name.
                "full_attention" | "attention" => Ok(false),
                other => {
                    let fix = "use a checkpoint whose layers are full_attention or sliding_attention";
                    Err(unsupported("layer_types", other, fix))
                }
            })
            .collect::<Result<_>>()
            .map(Some)
    }
}
