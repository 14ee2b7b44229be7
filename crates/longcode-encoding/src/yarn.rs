//! `yarn`: interpolation by parts with a logit scale (Peng et al. 2023).

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{
    EncodingKind, ModelRope, Spectrum, SpectrumRule, check_factor, check_original_max_position, key_error,
    kind_of,
};
use longcode_base::error::Result;

/// Token distance; slow pairs are interpolated, fast ones kept, with a ramp between.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yarn {
    /// Context extension.
    pub factor: f64,
    /// `L0`; by default the model's trained length.
    pub original_max_position: Option<usize>,
    /// Pairs that turn more often than this within `L0` keep their frequency.
    #[serde(default = "default_beta_fast")]
    pub beta_fast: f64,
    /// Pairs that turn less often than this within `L0` are interpolated in full.
    #[serde(default = "default_beta_slow")]
    pub beta_slow: f64,
    /// `m`: queries and keys are each scaled by it; by default `0.1 ln(factor) + 1`.
    pub attention_factor: Option<f64>,
    /// Whether the ramp begins and ends at whole pairs; a checkpoint may say no.
    #[serde(skip, default = "whole_pairs")]
    pub truncate: bool,
}

fn whole_pairs() -> bool {
    true
}

pub(super) fn default_beta_fast() -> f64 {
    32.0
}

pub(super) fn default_beta_slow() -> f64 {
    1.0
}

/// Refuses bounds of the ramp that are not in order.
pub(super) fn check_betas(beta_fast: f64, beta_slow: f64) -> Result<()> {
    if beta_slow > 0.0 && beta_fast > beta_slow && beta_fast.is_finite() {
        return Ok(());
    }
    let what = format!("beta_fast is {beta_fast} and beta_slow {beta_slow}");
    Err(key_error("beta_fast", what, "give beta_fast > beta_slow > 0, as 32 and 1"))
}

impl Yarn {
    /// `m` for a checkpoint that weighs the logarithm by its `mscale`: `0.1 mscale ln(factor) + 1`, or 1 if
    /// the factor is at most 1.
    pub fn attention_factor(factor: f64, mscale: f64) -> f64 {
        if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 }
    }

    /// `g_p`: 0 for pairs that keep their frequency, 1 for pairs interpolated in full.
    fn ramp(&self, model: &ModelRope) -> impl Fn(usize) -> f32 {
        let d = model.head_dim as f64;
        let trained = self.original_max_position.unwrap_or(model.trained_length) as f64;
        let pair_of = |turns: f64| d * (trained / (2.0 * PI * turns)).ln() / (2.0 * model.base.ln());
        let (mut low, mut high) = (pair_of(self.beta_fast), pair_of(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        low = low.max(0.0);
        high = high.min(d - 1.0);
        if low == high {
            high += 0.001;
        }
        move |pair| ((pair as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0)
    }
}

impl SpectrumRule for Yarn {
    fn check(&self) -> Result<()> {
        check_factor(self.factor)?;
        check_original_max_position(self.original_max_position)?;
        check_betas(self.beta_fast, self.beta_slow)?;
        match self.attention_factor {
            Some(m) if !(m.is_finite() && m > 0.0) => Err(key_error(
                "attention_factor",
                format!("attention_factor is {m}"),
                "give a finite number above 0, or leave it out",
            )),
            _ => Ok(()),
        }
    }

    fn spectrum(&self, model: &ModelRope, _sequence_length: usize) -> Spectrum {
        let mut spectrum = Spectrum::plain(model.head_dim, model.base);
        let ramp = self.ramp(model);
        for (pair, theta) in spectrum.frequencies.iter_mut().enumerate() {
            let keep = 1.0 - ramp(pair);
            let kept = *theta as f32;
            let interpolated = 1.0 / (self.factor as f32 * (1.0 / kept));
            *theta = f64::from(interpolated * (1.0 - keep) + kept * keep);
        }
        let m = self.attention_factor.unwrap_or(0.1 * self.factor.ln() + 1.0);
        spectrum.scale = m * m;
        spectrum
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<Yarn>(
    "yarn",
    "interpolation by parts and a logit scale (Peng et al. 2023)",
    "factor, original_max_position, beta_fast=32, beta_slow=1, attention_factor",
);
