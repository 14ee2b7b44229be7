//! `dynamic_yarn`: YaRN whose factor follows the sequence length (Peng et al. 2023; the authors'
//! `LlamaDynamicYaRNScaledRotaryEmbedding`).

use serde::{Deserialize, Serialize};

use super::yarn::{check_betas, default_beta_fast, default_beta_slow};
use super::{EncodingKind, ModelRope, Spectrum, SpectrumRule, Yarn, kind_of};
use longcode_base::error::Result;

/// Token distance; for `L > L0` the frequencies and the logit scale of [`Yarn`] with factor `L / L0`, up to
/// `L0` the plain ones.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DynamicYarn {
    /// `L0`; by default the model's trained length.
    pub original_max_position: Option<usize>,
    /// Pairs that turn more often than this within `L0` keep their frequency.
    #[serde(default = "default_beta_fast")]
    pub beta_fast: f64,
    /// Pairs that turn less often than this within `L0` are interpolated in full.
    #[serde(default = "default_beta_slow")]
    pub beta_slow: f64,
}

impl SpectrumRule for DynamicYarn {
    fn check(&self) -> Result<()> {
        super::check_original_max_position(self.original_max_position)?;
        check_betas(self.beta_fast, self.beta_slow)
    }

    fn spectrum(&self, model: &ModelRope, sequence_length: usize) -> Spectrum {
        let trained = self.original_max_position.unwrap_or(model.trained_length);
        if sequence_length <= trained {
            return Spectrum::plain(model.head_dim, model.base);
        }
        let yarn = Yarn {
            factor: sequence_length as f64 / trained as f64,
            original_max_position: Some(trained),
            beta_fast: self.beta_fast,
            beta_slow: self.beta_slow,
            attention_factor: None,
            truncate: true,
        };
        yarn.spectrum(model, sequence_length)
    }

    fn follows_length(&self) -> bool {
        true
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<DynamicYarn>(
    "dynamic_yarn",
    "YaRN with a factor that grows with the sequence (Peng et al. 2023)",
    "original_max_position, beta_fast=32, beta_slow=1",
);
