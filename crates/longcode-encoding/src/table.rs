//! `table`: frequencies, zones and positions from a file that any script writes, so that an encoding can be tried
//! without a line of Rust.
//!
//! | module | what |
//! |---|---|
//! | `arrays` | a file as named arrays of numbers, from JSON or safetensors |
//! | `content` | these arrays as frequencies and plans, of any text or of single ones |
//! | `plan` | the zones of a text, a row for each token, checked |
//! | `numbers` | numbers that are finite, whole, above 0, and as many everywhere |

mod arrays;
mod content;
mod numbers;
mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::arrays::Arrays;
use self::content::Content;
use super::{Encoding, EncodingKind, ModelRope, Opened, Positions, Reading, Rotations, key_error, kind_of};
use longcode_base::error::{Error, Result};
use longcode_base::hash::sha256;

/// What a file says: docs/encodings.md has its format.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// A path, relative to the config or the working directory: `.json` or `.safetensors`.
    pub file: PathBuf,
    /// What the file's SHA-256 must be; results say what it was.
    pub sha256: Option<String>,
    /// What the file says; none until it is read.
    #[serde(skip)]
    content: Option<Arc<Content>>,
}

pub(super) const ENTRY: EncodingKind = kind_of::<Table>(
    "table",
    "frequencies, zones and positions from a JSON or safetensors file of yours",
    "file, sha256",
);

impl Table {
    /// Names the file in an error of its content.
    fn at_file(&self, error: Error) -> Error {
        error.in_file(&self.file).at_key("file")
    }

    fn refuse_other_file(&self, found: &str) -> Result<()> {
        match &self.sha256 {
            Some(expected) if expected != found => {
                let what =
                    format!("{} is another file than it was: its SHA-256 is {found}", self.file.display());
                Err(key_error("sha256", what, "restore the file, or take `sha256` out"))
            }
            _ => Ok(()),
        }
    }
}

impl Encoding for Table {
    fn check(&self, model: &ModelRope) -> Result<()> {
        match &self.content {
            Some(content) => content.check(model.pairs()).map_err(|e| self.at_file(e)),
            None => Err(key_error("file", "the file has not been read", "open the encoding first")),
        }
    }

    fn opened(&self, find: &dyn Fn(&Path) -> Result<PathBuf>) -> Result<Option<Opened>> {
        let path = find(&self.file).map_err(|e| e.at_key("file"))?;
        let bytes = arrays::read(&path).map_err(|e| e.at_key("file"))?;
        let hash = sha256(&bytes);
        self.refuse_other_file(&hash)?;
        let content = Arrays::parse(&path, &bytes).and_then(Content::new).map_err(|e| self.at_file(e))?;
        let opened = Table { sha256: Some(hash.clone()), content: Some(Arc::new(content)), ..self.clone() };
        Ok(Some(Opened { encoding: Arc::new(opened), sha256: hash }))
    }

    fn covers(&self, reading: &Reading) -> Result<()> {
        self.content.as_ref().map_or(Ok(()), |content| content.covers(reading)).map_err(|e| self.at_file(e))
    }

    fn is_of_whole_texts(&self) -> bool {
        true
    }

    /// Only estimates of time and memory ask about a text that [`Encoding::covers`] refuses: they count every key.
    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let spectrum = model.own_spectrum(positions.sequence_length);
        match self.content.as_ref().and_then(|content| content.rotations(&spectrum, positions)) {
            Some(rotations) => rotations,
            None => Rotations::by_token(spectrum, positions),
        }
    }
}
