//! The forms that a checkpoint comes in, chosen once by what its path is.

use std::path::{Path, PathBuf};

use super::gguf::Gguf;
use super::hugging_face::HuggingFace;
use super::{NetworkConfig, TensorSource};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, unreadable};
use crate::hub::{Name, contents};
use crate::text::{ChatTemplate, Tokenizer};

/// A checkpoint on disk: config, tokenizer and weights, in whatever files.
pub(super) trait CheckpointFormat: Send + Sync {
    /// The shape of the network.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming file and field.
    fn config(&self) -> Result<NetworkConfig>;

    /// The tokenizer.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] or, of a damaged file, [`ErrorKind::Model`], naming the file.
    fn tokenizer(&self) -> Result<Tokenizer>;

    /// How an instruct model wants to be asked, if it says so.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] or, of a damaged file, [`ErrorKind::Model`], naming the file.
    fn chat_template(&self) -> Result<Option<ChatTemplate>>;

    /// Ids that end a generation, beside the tokenizer's own.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file.
    fn end_of_sequence(&self) -> Result<Vec<u32>>;

    /// The weights.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file: missing, unreadable, cut short, or a tensor given twice.
    fn tensors(&self) -> Result<Box<dyn TensorSource>>;

    /// Every file that decides the numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when one is missing.
    fn files(&self) -> Result<Vec<PathBuf>>;
}

/// The checkpoint at a path: a GGUF file, a Hugging Face directory, or a directory whose weights are one GGUF file; or,
/// of a path that is not there, the model of that name in the Hugging Face cache.
///
/// # Errors
/// [`ErrorKind::Model`]: nothing is there, no regular file, or no GGUF file.
pub(super) fn open(path: &Path) -> Result<Box<dyn CheckpointFormat>> {
    if path.is_file() {
        return Ok(Box::new(Gguf::open(path)?));
    }
    if path.is_dir() {
        return match contents::only_gguf(path) {
            Some(file) => Ok(Box::new(Gguf::open(&file)?)),
            None => Ok(Box::new(HuggingFace::new(path))),
        };
    }
    if path.exists() {
        files::open(path).map_err(|e| unreadable(path, ErrorKind::Model, &e))?;
    }
    if let Some(name) = path.to_str().and_then(Name::model) {
        return open(&name.cached()?);
    }
    Err(Error::new(ErrorKind::Model, "no such model directory or file")
        .in_file(path)
        .fix("give a directory with config.json, *.safetensors and tokenizer.json, a GGUF file, or org/name"))
}
