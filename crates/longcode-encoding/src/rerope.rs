//! `rerope`: distances clipped at the window (Su 2023, ReRoPE).

use serde::{Deserialize, Serialize};

use super::{
    Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, check_window, default_window, kind_of,
    window_notes,
};
use longcode_base::error::Result;

/// `min(t, w)`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReRope {
    /// `w`, tokens.
    #[serde(default = "default_window")]
    pub window: usize,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

pub(super) const ENTRY: EncodingKind =
    kind_of::<ReRope>("rerope", "token distance clipped at the window (Su 2023)", "window=512, logn=false");

impl Encoding for ReRope {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        check_window(self.window)
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        window_notes(self.window, model)
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let window = self.window as f64;
        let far = Rotation::single(model.pairs(), positions.map(|_| window), positions.map(|_| 0.0));
        let spectrum = model.own_spectrum(positions.sequence_length);
        Rotations::windowed(spectrum, positions, self.window, far).with_logn(
            self.logn,
            positions,
            model.trained_length,
        )
    }
}
