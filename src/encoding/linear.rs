//! `linear`: position interpolation (Chen et al. 2023).

use serde::{Deserialize, Serialize};

use super::{EncodingKind, ModelRope, Spectrum, SpectrumRule, check_factor};
use crate::error::Result;

/// Token distance divided by `factor`, done as frequencies divided by it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// How many times the trained length the positions are squeezed from.
    pub factor: f64,
}

impl SpectrumRule for Linear {
    fn check(&self) -> Result<()> {
        check_factor(self.factor)
    }

    fn spectrum(&self, model: &ModelRope, _sequence_length: usize) -> Spectrum {
        let mut spectrum = Spectrum::plain(model.head_dim, model.base);
        spectrum.frequencies.iter_mut().for_each(|theta| *theta /= self.factor);
        spectrum
    }
}

impl EncodingKind for Linear {
    const ABOUT: &'static str = "position interpolation, distances / factor (Chen et al. 2023)";
    const KEYS: &'static str = "factor";
}
