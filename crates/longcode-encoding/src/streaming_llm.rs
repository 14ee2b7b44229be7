//! `streaming_llm`: a window behind attention sinks, in positions of the cache (Xiao et al. 2024).

use serde::{Deserialize, Serialize};

use super::{
    Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, check_window, key_error, kind_of,
    sinks_note, window_notes,
};
use longcode_base::error::Result;

/// `t` if `t < w`; the first `sinks` keys are seen beyond that, as if they stood right before the window:
/// `min(i, sinks + w - 1) - j`. The authors' recent size is `w - 1`, the query itself comes on top. Their
/// chat attends to a long prompt densely; here the rule for token by token holds throughout.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamingLlm {
    /// Keys from the start of the sequence that stay in sight.
    #[serde(default = "default_sinks")]
    pub sinks: usize,
    /// `w`, tokens; the trained length less the sinks when not given.
    pub window: Option<usize>,
}

fn default_sinks() -> usize {
    4
}

impl StreamingLlm {
    fn window(&self, model: &ModelRope) -> usize {
        self.window.unwrap_or(model.trained_length.saturating_sub(self.sinks))
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<StreamingLlm>(
    "streaming_llm",
    "a window right behind attention sinks (Xiao et al. 2024)",
    "sinks=4, window=L0-sinks",
);

impl Encoding for StreamingLlm {
    fn check(&self, model: &ModelRope) -> Result<()> {
        if self.window.is_none() && self.sinks >= model.trained_length {
            let what = format!(
                "{} sinks leave no window within the trained length {}",
                self.sinks, model.trained_length
            );
            return Err(key_error("sinks", what, "give fewer sinks, or a window"));
        }
        check_window(self.window(model))
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        let window = self.window(model);
        let mut notes = window_notes(self.sinks + window, model);
        notes.extend(sinks_note(self.sinks, window));
        notes
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let window = self.window(model);
        let furthest = self.sinks + window - 1;
        let query = positions.map(|i| i.min(furthest) as f64);
        let far = Rotation::single(model.pairs(), query, positions.by_token());
        let spectrum = model.own_spectrum(positions.sequence_length);
        Rotations::with_sinks(spectrum, positions, window, self.sinks, far)
    }
}
