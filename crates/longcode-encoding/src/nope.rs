//! `nope`: no positions at all (Gelberg et al. 2025, DroPE).

use serde::{Deserialize, Serialize};

use super::{Encoding, EncodingKind, ModelRope, Positions, Rotations, check_logit_factor, kind_of};
use longcode_base::error::Result;

/// Nothing turns, `theta_p = 0`: order is known only from the causal mask. The authors train further after
/// removing positions; other checkpoints are only seen without theirs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoPe {
    /// Factor on all logits, at every length; `softmax_scale` in the authors' config.json is this divided by
    /// `sqrt(d)`.
    #[serde(default = "default_logit_factor")]
    pub logit_factor: f64,
}

fn default_logit_factor() -> f64 {
    1.0
}

pub(super) const ENTRY: EncodingKind =
    kind_of::<NoPe>("nope", "no positions: nothing turns (Gelberg et al. 2025, DroPE)", "logit_factor=1");

impl Encoding for NoPe {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        check_logit_factor(self.logit_factor)
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let mut spectrum = model.own_spectrum(positions.sequence_length);
        spectrum.frequencies.fill(0.0);
        spectrum.scale *= self.logit_factor;
        Rotations::by_token(spectrum, positions)
    }
}
