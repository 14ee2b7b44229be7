//! `string`: distances beyond a shift start again at the local part (An et al. 2025, STRING).

use serde::{Deserialize, Serialize};

use super::{
    Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, check_logit_factor, key_error, kind_of,
};
use longcode_base::error::Result;

/// `t` if `t < shift`, else `t - shift + local`. The authors' prefill counts the pair `t = shift` twice,
/// their decoding does not; here it is never counted twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StringEncoding {
    /// Distance from which on the trained distances are used again, tokens; by default a third of the
    /// sequence, rounded, so it depends on the sequence's length.
    pub shift: Option<usize>,
    /// Distance that `shift` becomes, tokens.
    #[serde(default = "default_local")]
    pub local: usize,
    /// Factor on all logits, at every length. The authors' code has 1.143434.
    #[serde(default = "default_logit_factor")]
    pub logit_factor: f64,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

fn default_local() -> usize {
    128
}

fn default_logit_factor() -> f64 {
    1.0
}

pub(super) const ENTRY: EncodingKind = kind_of::<StringEncoding>(
    "string",
    "distances beyond a shift start again at the local part (An et al. 2025, STRING)",
    "shift=L/3, local=128, logit_factor=1, logn=false",
);

impl Encoding for StringEncoding {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        if self.shift == Some(0) {
            return Err(key_error(
                "shift",
                "shift is 0",
                "give a shift of at least 1 token, or leave it out",
            ));
        }
        check_logit_factor(self.logit_factor)
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        let longer = |shift: usize| {
            format!(
                "local {} is more than shift {shift}, so that distances beyond the shift grow; a shift of at \
                 least `local` shortens them",
                self.local
            )
        };
        let trained = model.trained_length;
        let beyond = |shift: usize| {
            format!(
                "shift {shift} makes distances beyond the trained length of {trained} tokens, which this kind is there to avoid"
            )
        };
        let longer = self.shift.filter(|&shift| shift < self.local).map(longer);
        longer.into_iter().chain(self.shift.filter(|&shift| shift > trained).map(beyond)).collect()
    }

    fn follows_length(&self, model: &ModelRope) -> bool {
        self.shift.is_none() || model.follows_length()
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let length = positions.sequence_length;
        let shift = self.shift.unwrap_or((length as f64 / 3.0).round() as usize).max(1);
        let offset = self.local as f64 - shift as f64;
        let query = positions.map(|i| i as f64 + offset);
        let far = Rotation::single(model.pairs(), query, positions.by_token());
        let mut spectrum = model.own_spectrum(length);
        spectrum.scale *= self.logit_factor;
        Rotations::windowed(spectrum, positions, shift, far).with_logn(
            self.logn,
            positions,
            model.trained_length,
        )
    }
}
