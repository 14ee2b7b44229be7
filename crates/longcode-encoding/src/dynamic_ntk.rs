//! `dynamic_ntk`: NTK-aware scaling whose base follows the sequence length (emozilla 2023).

use serde::{Deserialize, Serialize};

use super::{EncodingKind, ModelRope, Spectrum, SpectrumRule, check_factor, kind_of};
use longcode_base::error::Result;

/// Token distance; for `L > L0` the base is `base * (factor * L / L0 - (factor - 1))^(d/(d-2))`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicNtk {
    /// Context extension.
    pub factor: f64,
    /// `L0`; by default the model's trained length.
    pub original_max_position: Option<usize>,
}

impl SpectrumRule for DynamicNtk {
    fn check(&self) -> Result<()> {
        check_factor(self.factor)?;
        super::check_original_max_position(self.original_max_position)
    }

    fn spectrum(&self, model: &ModelRope, sequence_length: usize) -> Spectrum {
        let trained = self.original_max_position.unwrap_or(model.trained_length) as f64;
        let length = sequence_length as f64;
        if length <= trained {
            return Spectrum::plain(model.head_dim, model.base);
        }
        // In f32, as transformers computes it here (but in f64 if the base does not follow the length).
        let stretch = (self.factor as f32 * length as f32) / trained as f32 - (self.factor - 1.0) as f32;
        let d = model.head_dim as f64;
        let base = model.base as f32 * f64::from(stretch).powf(d / (d - 2.0)) as f32;
        Spectrum::plain(model.head_dim, f64::from(base))
    }

    fn follows_length(&self) -> bool {
        true
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<DynamicNtk>(
    "dynamic_ntk",
    "NTK-aware base that grows with the sequence (emozilla 2023)",
    "factor, original_max_position",
);
