//! Distances of seen keys beyond the window, of the kinds that choose what is seen.

use serde::{Deserialize, Serialize};

use super::{ModelRope, Positions, Rotation, hirope, key_error};
use longcode_base::error::Result;

/// What the distance of a far key counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Far {
    /// Nothing: it is `w - 1`.
    #[default]
    Clip,
    /// Tokens.
    Token,
    /// Tokens in the pairs below `split`, in the others segments of the unit, as `hirope` does.
    Hirope,
}

impl Far {
    /// Refuses a split that does not apply, or is none.
    pub(crate) fn check(self, split: Option<f64>) -> Result<()> {
        match split {
            Some(split) if self != Far::Hirope => Err(key_error(
                "split",
                format!("split is {split}, and divides the pairs of far = \"hirope\" alone"),
                "leave it out, or give far = \"hirope\"",
            )),
            Some(split) if !(0.0..=1.0).contains(&split) => {
                Err(key_error("split", format!("split is {split}"), "give a fraction of the pairs, 0 to 1"))
            }
            _ => Ok(()),
        }
    }

    /// How far keys turn, with a window of `window` tokens.
    pub(crate) fn rotation(
        self,
        window: usize,
        split: Option<f64>,
        model: &ModelRope,
        positions: &Positions,
    ) -> Rotation {
        match self {
            Far::Clip => {
                let (query, key) = (positions.map(|_| window as f64 - 1.0), positions.map(|_| 0.0));
                Rotation::single(model.pairs(), query, key)
            }
            Far::Token => Rotation::by_token(model.pairs(), positions),
            Far::Hirope => hirope::far(&[split.unwrap_or(0.5)], window, model.pairs(), positions),
        }
    }
}
