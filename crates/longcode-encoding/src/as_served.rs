//! `as_served`: whatever the server of a model does.

use serde::{Deserialize, Serialize};

use super::{Encoding, EncodingKind, ModelRope, Positions, Rotations, kind_of};
use longcode_base::error::{Error, ErrorKind, Result};

/// The kind's name.
pub const NAME: &str = "as_served";

/// Nothing is known of the server's encoding, and nothing can be changed. It is no kind for a checkpoint, so it is not in
/// [`super::KINDS`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AsServed {}

pub(super) const ENTRY: EncodingKind = kind_of::<AsServed>(NAME, "the encoding of a model's server", "");

impl Encoding for AsServed {
    fn check(&self, _model: &ModelRope) -> Result<()> {
        Err(Error::new(
            ErrorKind::Encoding,
            "as_served is the encoding of a model that is served, and this one is not",
        )
        .at_key("kind")
        .fix("use rope for a checkpoint's own encoding"))
    }

    /// Of no use, as `check` refuses every checkpoint.
    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        Rotations::by_token(model.own_spectrum(positions.sequence_length), positions)
    }
}
