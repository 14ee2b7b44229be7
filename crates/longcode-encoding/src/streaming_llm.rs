//! `streaming_llm`: a window after attention sinks, in positions of the cache (Xiao et al. 2024).

use serde::{Deserialize, Serialize};

use super::{
    Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, check_window, key_error, kind_of,
    sinks_note, window_notes,
};
use longcode_base::error::Result;

/// `t` if `t < w`; the first `sinks` keys are seen beyond that, by default as if they were right before the
/// window: `min(i, sinks + w - 1) - j`. The authors' recent size is `w - 1`, without the query itself. Their
/// chat attends to a long prompt densely; here the rule of token-by-token decoding always holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamingLlm {
    /// Keys from the start of the sequence that are always seen.
    #[serde(default = "default_sinks")]
    pub sinks: usize,
    /// `w`, tokens; by default the trained length minus the sinks.
    pub window: Option<usize>,
    /// What the distances of the sinks count.
    // Left out of a resolved config if it is the default, so that results from before this key resume.
    #[serde(default, skip_serializing_if = "Counted::is_default")]
    pub positions: Counted,
}

/// What the distance of a sink beyond the window counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Counted {
    /// Places in the cache, which never grow: `min(i, sinks + w - 1) - j`.
    #[default]
    Cache,
    /// Tokens of the text, `t`: what a cache gives if its keys are turned once and dropped without a shift.
    Text,
}

impl Counted {
    fn is_default(&self) -> bool {
        *self == Counted::default()
    }
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
    "sinks=4, window=L0-sinks, positions=cache",
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
        // In positions of the text the sinks keep their true distance, which no window can limit.
        let furthest = match self.positions {
            Counted::Cache => self.sinks + window,
            Counted::Text => window,
        };
        let mut notes = window_notes(furthest, model);
        notes.extend(sinks_note(self.sinks, window));
        notes
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let window = self.window(model);
        let furthest = self.sinks + window - 1;
        let query = match self.positions {
            Counted::Cache => positions.map(|i| i.min(furthest) as f64),
            Counted::Text => positions.by_token(),
        };
        let far = Rotation::single(model.pairs(), query, positions.by_token());
        let spectrum = model.own_spectrum(positions.sequence_length);
        Rotations::with_sinks(spectrum, positions, window, self.sinks, far)
    }
}
