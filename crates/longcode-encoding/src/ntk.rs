//! `ntk`: NTK-aware scaling with a fixed base (bloc97 2023).

use serde::{Deserialize, Serialize};

use super::{EncodingKind, ModelRope, Spectrum, SpectrumRule, check_factor, kind_of};
use longcode_base::error::Result;

/// Token distance, base `base * factor^(d/(d-2))`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ntk {
    /// Context extension; 8 in the widely copied snippet.
    #[serde(default = "default_factor")]
    pub factor: f64,
}

fn default_factor() -> f64 {
    8.0
}

impl SpectrumRule for Ntk {
    fn check(&self) -> Result<()> {
        check_factor(self.factor)
    }

    fn spectrum(&self, model: &ModelRope, _sequence_length: usize) -> Spectrum {
        Spectrum::ntk(model.head_dim, model.base, self.factor)
    }
}

pub(super) const ENTRY: EncodingKind =
    kind_of::<Ntk>("ntk", "NTK-aware base, fixed factor (bloc97 2023)", "factor=8");
