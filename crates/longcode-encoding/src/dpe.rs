//! `dpe`: positions grouped beyond the window, each group of dimensions by its own size (Lu et al. 2025,
//! Dimension-Wise Positional Embeddings Manipulation).

use serde::{Deserialize, Serialize};

use super::list::List;
use super::{
    Band, Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, check_window, default_window,
    key_error, kind_of, window_notes,
};
use longcode_base::error::Result;

/// The pairs fall into equal groups, high frequency first; group `n` has `G = groups[n]` and the distance `t`
/// if `t < w`, else `floor(i/G) - floor(j/G) + w - floor(w/G)`. The authors' stored runs also choose each
/// head's 48 strongest pairs from a file; this kind does not.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dpe {
    /// `w`, tokens.
    #[serde(default = "default_window")]
    pub window: usize,
    /// `G` of each group of pairs, tokens: `"2/8/2/4"` or `[2, 8, 2, 4]`. The authors' for Llama-3-8B:
    /// `2/8/2/8/32/32/32/4`; Llama-3.1-8B: `2/32/32/2/2/2/2/1`; Mistral-7B-v0.2: `4/16/2/16/32/16/16/2`.
    pub groups: List<usize>,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

pub(super) const ENTRY: EncodingKind = kind_of::<Dpe>(
    "dpe",
    "positions grouped beyond the window, by dimension (Lu et al. 2025, DPE)",
    "window=512, groups (as 2/8/2/4), logn=false",
)
.with_lists(&["groups"]);

impl Encoding for Dpe {
    fn check(&self, model: &ModelRope) -> Result<()> {
        check_window(self.window)?;
        let groups = &self.groups.0;
        if groups.is_empty() || groups.contains(&0) {
            let what = format!("groups are \"{}\"", self.groups);
            return Err(key_error("groups", what, "give sizes of at least 1 token, as 2/8/2/4"));
        }
        if !model.pairs().is_multiple_of(groups.len()) {
            let pairs = model.pairs();
            let what = format!("{} groups do not divide the model's {pairs} frequency pairs", groups.len());
            let counts: Vec<_> =
                (1..=pairs).filter(|count| pairs.is_multiple_of(*count)).map(|n| n.to_string()).collect();
            return Err(key_error("groups", what, format!("give {} groups", counts.join(", "))));
        }
        Ok(())
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        window_notes(self.window, model)
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let width = model.pairs() / self.groups.0.len();
        let band = |(number, &group): (usize, &usize)| {
            let shift = (self.window - self.window / group) as f64;
            let key = positions.map(|j| (j / group) as f64);
            let query = key.iter().map(|grouped| grouped + shift).collect();
            Band { pairs: number * width..(number + 1) * width, query, key }
        };
        let far = Rotation { bands: self.groups.0.iter().enumerate().map(band).collect() };
        let spectrum = model.own_spectrum(positions.sequence_length);
        Rotations::windowed(spectrum, positions, self.window, far).with_logn(
            self.logn,
            positions,
            model.trained_length,
        )
    }
}
