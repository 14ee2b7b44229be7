//! Sliding windows that a checkpoint was trained with, as transformers implements them.

use std::collections::BTreeSet;

use super::{RawConfig, field_error, unsupported};
use crate::encoding::{OwnWindow, in_words};
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
        if let Some(what) = other_types(&types) {
            let fix = "use a checkpoint whose layers are full_attention or sliding_attention";
            return Err(unsupported("layer_types", what, fix));
        }
        Ok(Some(types.iter().map(|kind| kind == "sliding_attention").collect()))
    }
}

/// The types of layers that no family has, with their layers: `linear_attention in layers 0 to 2`.
pub(in crate::checkpoint) fn other_types(types: &[String]) -> Option<String> {
    // `attention` is the older name.
    let known = |kind: &str| ["full_attention", "sliding_attention", "attention"].contains(&kind);
    let others: BTreeSet<&str> = types.iter().map(String::as_str).filter(|kind| !known(kind)).collect();
    let of_kind = |other: &&str| {
        let layers: Vec<usize> = (0..types.len()).filter(|&layer| types[layer] == *other).collect();
        format!("{other} in {} {}", if layers.len() == 1 { "layer" } else { "layers" }, in_words(&layers))
    };
    Some(others.iter().map(of_kind).collect::<Vec<_>>().join(", ")).filter(|words| !words.is_empty())
}
