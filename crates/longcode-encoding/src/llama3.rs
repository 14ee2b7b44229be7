//! `llama3`: the by-parts rule of Llama 3.1 (Hugging Face `rope_type` "llama3").

use std::f32::consts::PI;

use serde::{Deserialize, Serialize};

use super::{
    EncodingKind, ModelRope, Spectrum, SpectrumRule, check_factor, check_original_max_position, key_error,
    kind_of,
};
use longcode_base::error::Result;

/// Token distance; waves longer than `L0 / low_freq_factor` are interpolated, shorter than
/// `L0 / high_freq_factor` kept, blended between.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Llama3 {
    /// Context extension.
    pub factor: f64,
    /// See the type; by default 1.
    #[serde(default = "default_low")]
    pub low_freq_factor: f64,
    /// See the type; by default 4.
    #[serde(default = "default_high")]
    pub high_freq_factor: f64,
    /// `L0`; by default the model's trained length.
    pub original_max_position: Option<usize>,
}

fn default_low() -> f64 {
    1.0
}

fn default_high() -> f64 {
    4.0
}

impl SpectrumRule for Llama3 {
    fn check(&self) -> Result<()> {
        check_factor(self.factor)?;
        check_original_max_position(self.original_max_position)?;
        let (low, high) = (self.low_freq_factor, self.high_freq_factor);
        if low > 0.0 && high > low && high.is_finite() {
            return Ok(());
        }
        let what = format!("low_freq_factor is {low} and high_freq_factor {high}");
        Err(key_error("high_freq_factor", what, "give high_freq_factor > low_freq_factor > 0, as 4 and 1"))
    }

    fn spectrum(&self, model: &ModelRope, _sequence_length: usize) -> Spectrum {
        let trained = self.original_max_position.unwrap_or(model.trained_length) as f32;
        let [factor, low, high] =
            [self.factor, self.low_freq_factor, self.high_freq_factor].map(|x| x as f32);
        let mut spectrum = Spectrum::plain(model.head_dim, model.base);
        for theta in &mut spectrum.frequencies {
            let kept = *theta as f32;
            let wavelength = 2.0 * PI / kept;
            let keep = ((trained / wavelength - low) / (high - low)).clamp(0.0, 1.0);
            *theta = f64::from((1.0 - keep) * kept / factor + keep * kept);
        }
        spectrum
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<Llama3>(
    "llama3",
    "Llama 3.1's interpolation by parts (Meta 2024)",
    "factor, low_freq_factor=1, high_freq_factor=4, original_max_position",
);
