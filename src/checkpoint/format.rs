//! What every checkpoint format provides.

use std::path::PathBuf;

use super::{NetworkConfig, TensorSource};
use crate::error::Result;
use crate::text::{ChatTemplate, Tokenizer};

/// A checkpoint on disk: config, tokenizer and weights, in whatever files.
pub(super) trait CheckpointFormat: Send + Sync {
    /// The shape of the network.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming file and field.
    fn config(&self) -> Result<NetworkConfig>;

    /// The tokenizer.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Tokenizer`] or, for a damaged file, [`crate::error::ErrorKind::Model`],
    /// naming the file.
    fn tokenizer(&self) -> Result<Tokenizer>;

    /// How an instruct model wants to be asked, if the checkpoint says so.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Tokenizer`] or, for a damaged file, [`crate::error::ErrorKind::Model`],
    /// naming the file.
    fn chat_template(&self) -> Result<Option<ChatTemplate>>;

    /// Ids that end a generation, besides the tokenizer's own.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the file.
    fn end_of_sequence(&self) -> Result<Vec<u32>>;

    /// The weights.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the file: missing, unreadable, cut short, or a tensor given
    /// twice.
    fn tensors(&self) -> Result<Box<dyn TensorSource>>;

    /// Every file that decides the numbers.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`] when one is missing.
    fn files(&self) -> Result<Vec<PathBuf>>;
}
