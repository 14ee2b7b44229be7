//! `sliding_window`: keys beyond the window are not seen (Beltagy et al. 2020, Longformer).

use serde::{Deserialize, Serialize};

use super::{
    Border, Encoding, EncodingKind, ModelRope, Positions, Rotations, Zone, check_window, kind_of,
    window_notes,
};
use longcode_base::error::Result;

/// `t`, seen if `t < w`. What a layer sees spreads through the layers above it, so this differs from cutting
/// a sequence to its last `w` tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlidingWindow {
    /// `w`, tokens; by default the trained length.
    pub window: Option<usize>,
}

impl SlidingWindow {
    fn window(&self, model: &ModelRope) -> usize {
        self.window.unwrap_or(model.trained_length)
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<SlidingWindow>(
    "sliding_window",
    "the model's own positions, keys beyond the window not seen (Beltagy et al. 2020)",
    "window=L0",
);

impl Encoding for SlidingWindow {
    fn check(&self, model: &ModelRope) -> Result<()> {
        check_window(self.window(model))
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        window_notes(self.window(model), model)
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let near = Zone::near(model.pairs(), positions, self.window(model));
        let zones = vec![Zone::unseen(Border::start(positions)), near];
        Rotations::new(model.own_spectrum(positions.sequence_length), positions, zones)
    }
}
