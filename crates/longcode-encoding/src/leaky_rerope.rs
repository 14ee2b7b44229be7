//! `leaky_rerope`: distances beyond the window grow by `1/k` (Su 2023, Leaky ReRoPE).

use serde::{Deserialize, Serialize};

use super::{
    Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, check_factor, check_window,
    default_window, kind_of, window_notes,
};
use longcode_base::error::Result;

/// `t` if `t < w`, else `w + (t - w) / k`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeakyReRope {
    /// `w`, tokens.
    #[serde(default = "default_window")]
    pub window: usize,
    /// `k`.
    #[serde(default = "default_factor")]
    pub factor: f64,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

fn default_factor() -> f64 {
    16.0
}

pub(super) const ENTRY: EncodingKind = kind_of::<LeakyReRope>(
    "leaky_rerope",
    "token distance that grows by 1/factor beyond the window (Su 2023)",
    "window=512, factor=16, logn=false",
);

impl Encoding for LeakyReRope {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        check_window(self.window)?;
        check_factor(self.factor)
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        window_notes(self.window, model)
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let window = self.window as f64;
        let query = positions.map(|i| window + (i as f64 - window) / self.factor);
        let key = positions.map(|j| j as f64 / self.factor);
        let far = Rotation::single(model.pairs(), query, key);
        let spectrum = model.own_spectrum(positions.sequence_length);
        Rotations::windowed(spectrum, positions, self.window, far).with_logn(
            self.logn,
            positions,
            model.trained_length,
        )
    }
}
