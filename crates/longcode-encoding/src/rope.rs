//! `rope`: the model unchanged (Su et al. 2021, RoFormer).

use serde::{Deserialize, Serialize};

use super::{Encoding, EncodingKind, ModelRope, Positions, Rotations, kind_of};
use longcode_base::error::Result;

/// Token distance, the checkpoint's own frequencies (including its `rope_scaling`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rope {}

pub(super) const ENTRY: EncodingKind =
    kind_of::<Rope>("rope", "the model's own rotary positions (Su et al. 2021)", "");

impl Encoding for Rope {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        Ok(())
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        Rotations::by_token(model.own_spectrum(positions.sequence_length), positions)
    }
}
