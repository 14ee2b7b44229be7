//! `lm_infinite`: a window, and the first tokens at a fixed distance (Han et al. 2024, LM-Infinite).

use serde::{Deserialize, Serialize};

use super::{
    Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, check_window, key_error, kind_of,
    window_notes,
};
use longcode_base::error::Result;

/// `t` if `t < w`; the first `sinks` keys are seen beyond that, at the distance `ceiling`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LmInfinite {
    /// `w`, tokens; by default the trained length.
    pub window: Option<usize>,
    /// Keys from the start of the sequence that are always seen.
    #[serde(default = "default_sinks")]
    pub sinks: usize,
    /// Distance of those keys beyond the window; by default the window.
    pub ceiling: Option<usize>,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

fn default_sinks() -> usize {
    10
}

impl LmInfinite {
    fn window(&self, model: &ModelRope) -> usize {
        self.window.unwrap_or(model.trained_length)
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<LmInfinite>(
    "lm_infinite",
    "a window, and the first tokens at a distance that is held (Han et al. 2024)",
    "window=L0, sinks=10, ceiling=window, logn=false",
);

impl Encoding for LmInfinite {
    fn check(&self, model: &ModelRope) -> Result<()> {
        check_window(self.window(model))?;
        match self.ceiling {
            Some(0) => {
                Err(key_error("ceiling", "ceiling is 0", "give a distance of at least 1, or leave it out"))
            }
            _ => Ok(()),
        }
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        let window = self.window(model);
        let mut notes = window_notes(window, model);
        notes.extend(super::sinks_note(self.sinks, window));
        let trained = model.trained_length;
        notes.extend(self.ceiling.filter(|&ceiling| ceiling > trained).map(|ceiling| {
            format!("ceiling {ceiling} is a distance beyond the trained length of {trained} tokens")
        }));
        notes
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let window = self.window(model);
        let ceiling = self.ceiling.unwrap_or(window) as f64;
        let far = Rotation::single(model.pairs(), positions.map(|_| ceiling), positions.map(|_| 0.0));
        let spectrum = model.own_spectrum(positions.sequence_length);
        Rotations::with_sinks(spectrum, positions, window, self.sinks, far).with_logn(
            self.logn,
            positions,
            model.trained_length,
        )
    }
}
