//! `longrope`, a checkpoint's own scaling (Ding et al. 2024, LongRoPE; `su` in old files): Phi-3, Phi-4-mini.

use super::{ModelRope, Spectrum, SpectrumRule, key_error};
use longcode_base::error::Result;

/// `theta_p / lambda_p`, with one list of `lambda` for sequences longer than `L0` and another for the
/// others, for the whole pass; logits times `a^2` at every length.
#[derive(Debug, Clone)]
pub struct LongRope {
    /// `lambda_p` for sequences of up to `original_max_position` tokens, one for each pair.
    pub short_factor: Vec<f64>,
    /// `lambda_p` for longer ones.
    pub long_factor: Vec<f64>,
    /// `L0`, tokens.
    pub original_max_position: usize,
    /// `a`: cos and sin of queries and keys are each scaled by it.
    pub attention_factor: f64,
}

impl LongRope {
    /// `a` if a checkpoint does not give it: `sqrt(1 + ln(factor) / ln(L0))`, or 1 if the factor is at most
    /// 1.
    pub fn attention_factor(factor: f64, original_max_position: usize) -> f64 {
        if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original_max_position as f64).ln()).sqrt() }
    }
}

impl SpectrumRule for LongRope {
    fn check(&self) -> Result<()> {
        for (key, factors) in [("short_factor", &self.short_factor), ("long_factor", &self.long_factor)] {
            if let Some(bad) = factors.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
                let what = format!("{key} holds {bad}");
                return Err(key_error(key, what, "give finite factors above 0"));
            }
        }
        if self.attention_factor.is_finite() && self.attention_factor > 0.0 {
            Ok(())
        } else {
            Err(key_error(
                "attention_factor",
                format!("attention_factor is {}", self.attention_factor),
                "give a finite number above 0, or leave it out",
            ))
        }
    }

    fn spectrum(&self, model: &ModelRope, sequence_length: usize) -> Spectrum {
        let factors =
            if sequence_length > self.original_max_position { &self.long_factor } else { &self.short_factor };
        let d = model.head_dim as f32;
        // Rounded where transformers rounds: 1 / (lambda * base^(2p/d)), in f32.
        let frequencies = factors
            .iter()
            .enumerate()
            .map(|(p, factor)| {
                let wavelength = model.base.powf(f64::from((2 * p) as f32 / d)) as f32;
                f64::from(1.0 / (*factor as f32 * wavelength))
            })
            .collect();
        Spectrum { frequencies, scale: self.attention_factor * self.attention_factor }
    }

    fn follows_length(&self) -> bool {
        true
    }
}
