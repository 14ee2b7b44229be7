//! `self_extend`: positions grouped by integer division beyond the window (Jin et al. 2024).

use serde::{Deserialize, Serialize};

use super::{
    Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, check_window, default_window,
    key_error, kind_of, window_notes,
};
use longcode_base::error::Result;

/// `t` if `t < w`, else `floor(i/G) - floor(j/G) + w - floor(w/G)`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelfExtend {
    /// `w`, tokens.
    #[serde(default = "default_window")]
    pub window: usize,
    /// `G`, tokens a group. By default the smallest for which every distance of the sequence stays within two
    /// thirds of the trained length, so it depends on the sequence length.
    pub group: Option<usize>,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

impl SelfExtend {
    /// `G` for a sequence of `length` tokens: as given, or the smallest with `w + (L - w)/G <= (2/3) L0`.
    fn group_for(&self, model: &ModelRope, length: usize) -> usize {
        self.group.unwrap_or_else(|| {
            let room = 2.0 / 3.0 * model.trained_length as f64 - self.window as f64;
            let beyond = length.saturating_sub(self.window) as f64;
            ((beyond / room).ceil() as usize).max(1)
        })
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<SelfExtend>(
    "self_extend",
    "grouped positions beyond the window (Jin et al. 2024)",
    "window=512, group, logn=false",
);

impl Encoding for SelfExtend {
    fn check(&self, model: &ModelRope) -> Result<()> {
        check_window(self.window)?;
        match self.group {
            Some(0) => {
                Err(key_error("group", "group is 0", "give a group of at least 1 token, or leave it out"))
            }
            None if 3 * self.window >= 2 * model.trained_length => Err(key_error(
                "window",
                format!(
                    "window {} leaves no room for groups within two thirds of the trained length {}",
                    self.window, model.trained_length
                ),
                format!("give `group`, or a window below {}", (2 * model.trained_length).div_ceil(3)),
            )),
            _ => Ok(()),
        }
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        window_notes(self.window, model)
    }

    fn follows_length(&self, model: &ModelRope) -> bool {
        self.group.is_none() || model.follows_length()
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let group = self.group_for(model, positions.sequence_length);
        let shift = (self.window - self.window / group) as f64;
        let key = positions.map(|j| (j / group) as f64);
        let query = key.iter().map(|grouped| grouped + shift).collect();
        let far = Rotation::single(model.pairs(), query, key);
        let spectrum = model.own_spectrum(positions.sequence_length);
        Rotations::windowed(spectrum, positions, self.window, far).with_logn(
            self.logn,
            positions,
            model.trained_length,
        )
    }
}
