//! `clip`: the lowest frequencies turned down, or not turned at all (CoPE, arXiv 2602.05258).

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{Encoding, EncodingKind, ModelRope, Positions, Rotations, Spectrum, key_error, kind_of};
use longcode_base::error::Result;

/// Token distance; the `n` lowest of the model's own frequencies are multiplied by `(1 + cos(pi k / (n - 1)))
/// / 2`, `k = 0..n-1` from the highest of them to the lowest (`soft`), or are 0 (`hard`).
///
/// `hard` is p-RoPE (Barbero et al. 2025; `rope_type: proportional` of transformers), which counts the pairs
/// that are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clip {
    /// `n`, frequency pairs; by default `5 h / 16`, rounded half up: 20 of 64, as in the authors' code.
    pub pairs: Option<usize>,
    /// How they are clipped.
    #[serde(default)]
    pub form: Form,
}

/// What happens to a clipped frequency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// It falls to 0 along half a cosine.
    #[default]
    Soft,
    /// It is 0.
    Hard,
}

impl Clip {
    /// `n` for a model.
    fn pairs(&self, model: &ModelRope) -> usize {
        self.pairs.unwrap_or((5 * model.pairs() + 8) / 16)
    }

    /// What is left of the frequency of clipped pair `k` of `n`, from the highest frequency to the lowest, 0
    /// to 1. A single soft pair is the first of the cosine and stays.
    fn left(&self, k: usize, n: usize) -> f64 {
        match self.form {
            Form::Hard => 0.0,
            Form::Soft if n == 1 => 1.0,
            Form::Soft => 0.5 * (1.0 + (PI * k as f64 / (n - 1) as f64).cos()),
        }
    }

    /// The model's own spectrum, clipped.
    fn spectrum(&self, model: &ModelRope, sequence_length: usize) -> Spectrum {
        let mut spectrum = model.own_spectrum(sequence_length);
        let clipped = self.pairs(model);
        let first = spectrum.frequencies.len() - clipped;
        for (k, theta) in spectrum.frequencies[first..].iter_mut().enumerate() {
            // In f32, as the authors compute it.
            *theta = f64::from(*theta as f32 * self.left(k, clipped) as f32);
        }
        spectrum
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<Clip>(
    "clip",
    "the lowest frequencies turned down (soft, CoPE) or not turned (hard, p-RoPE)",
    "pairs=5/16 of all, form=soft",
);

impl Encoding for Clip {
    fn check(&self, model: &ModelRope) -> Result<()> {
        let all = model.pairs();
        match self.pairs {
            Some(pairs) if pairs > all => {
                let what = format!("pairs is {pairs}, and the model has {all} frequency pairs");
                Err(key_error("pairs", what, format!("give 0 to {all}")))
            }
            _ => Ok(()),
        }
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        let note = match (self.pairs(model), self.form) {
            (0, _) => "clip of 0 pairs changes nothing: this is `rope`",
            (1, Form::Soft) => {
                "a soft clip of 1 pair changes nothing: this is `rope`; 2 pairs and more are clipped"
            }
            _ => return Vec::new(),
        };
        vec![note.into()]
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        Rotations::by_token(self.spectrum(model, positions.sequence_length), positions)
    }
}
