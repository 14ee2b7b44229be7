//! `linear`: position interpolation (Chen et al. 2023).

use serde::{Deserialize, Serialize};

use super::{EncodingKind, ModelRope, Spectrum, SpectrumRule, key_error, kind_of};
use longcode_base::error::Result;

/// Token distance divided by `factor`, implemented by dividing frequencies. A factor below 1 stretches
/// positions (reverse interpolation, Zhang et al. 2024, section 6.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// How many times the trained length is squeezed into it.
    pub factor: f64,
}

impl SpectrumRule for Linear {
    fn check(&self) -> Result<()> {
        if self.factor.is_finite() && self.factor > 0.0 {
            Ok(())
        } else {
            Err(key_error("factor", format!("factor is {}", self.factor), "give a finite factor above 0"))
        }
    }

    fn spectrum(&self, model: &ModelRope, _sequence_length: usize) -> Spectrum {
        let mut spectrum = Spectrum::plain(model.head_dim, model.base);
        spectrum.frequencies.iter_mut().for_each(|theta| *theta /= self.factor);
        spectrum
    }
}

pub(super) const ENTRY: EncodingKind =
    kind_of::<Linear>("linear", "position interpolation, distances / factor (Chen et al. 2023)", "factor");
