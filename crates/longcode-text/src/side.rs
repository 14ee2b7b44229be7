//! What a task knows about a model.

use std::path::{Path, PathBuf};

use longcode_base::error::{Error, ErrorKind, Result};

use crate::{ChatTemplate, Tokenizer};

/// The text side of a model.
pub trait TextSide: Sync {
    /// Its tokenizer.
    fn tokenizer(&self) -> &Tokenizer;

    /// The chat template, in which it wants to be asked.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when it has none, or its files cannot be read.
    fn chat_template(&self) -> Result<ChatTemplate>;

    /// The tokenizer of another model, by its path or name.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] or [`ErrorKind::Model`], naming the file.
    fn tokenizer_of(&self, model: &Path) -> Result<Tokenizer>;
}

/// A directory with tokenizer.json and related files, and perhaps no model.
pub struct TextDirectory {
    path: PathBuf,
    tokenizer: Tokenizer,
}

impl TextDirectory {
    /// Reads the tokenizer of a directory.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the file that is missing or cannot be read.
    pub fn open(path: &Path) -> Result<TextDirectory> {
        Ok(TextDirectory { path: path.to_path_buf(), tokenizer: Tokenizer::read(path)? })
    }
}

impl TextSide for TextDirectory {
    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn chat_template(&self) -> Result<ChatTemplate> {
        ChatTemplate::of_directory(&self.path)?.ok_or_else(|| no_chat_template(&self.path))
    }

    fn tokenizer_of(&self, model: &Path) -> Result<Tokenizer> {
        Tokenizer::read(model)
    }
}

/// The error of a model without a chat template.
pub fn no_chat_template(model: &Path) -> Error {
    Error::new(ErrorKind::Tokenizer, "the model has no chat template")
        .in_file(model)
        .fix("use an instruct model, or ask in plain text")
}
