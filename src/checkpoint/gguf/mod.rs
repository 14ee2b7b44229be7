//! Checkpoints in one GGUF file, the format of llama.cpp (versions 2 and 3): config, tokenizer and
//! quantised weights.
//!
//! [`header`] reads the file's head. The rest says the same in Hugging Face's terms, so that no other module
//! needs to know GGUF: [`config`] gives the config.json that the metadata amounts to, [`tokenizer`] the
//! tokenizer.json, [`tensors`] the weights under their other names.

pub mod config;
pub mod ending;
mod experts;
pub mod header;
mod pre_tokenizer;
pub mod tensors;
mod tokenizer;
mod windows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::format::CheckpointFormat;
use super::{NetworkConfig, TensorSource};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::stored::Mapped;
use crate::text::{ChatTemplate, Tokenizer};
use header::{Header, MetadataValue};

/// A GGUF file, mapped from disk, whose head has been read and checked.
#[derive(Clone)]
pub struct Gguf {
    path: PathBuf,
    map: Arc<Mapped>,
    header: Arc<Header>,
}

impl Gguf {
    /// Maps a file and reads its head.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file and the field: unreadable, not GGUF, or damaged.
    pub fn open(path: &Path) -> Result<Gguf> {
        let map = Mapped::open(path)?;
        let header = Header::read(&map).map_err(|e| e.in_file(path))?;
        let gguf = Gguf { path: path.to_path_buf(), map, header: Arc::new(header) };
        gguf.refuse_split().map_err(|e| e.in_file(path))?;
        Ok(gguf)
    }

    fn refuse_split(&self) -> Result<()> {
        match self.whole("split.count")? {
            None | Some(0 | 1) => Ok(()),
            Some(count) => {
                Err(Error::new(ErrorKind::Model, format!("one of {count} parts of a split model"))
                    .at("metadata `split.count`")
                    .fix("merge the parts with `llama-gguf-split --merge`"))
            }
        }
    }

    /// The text of a metadata key.
    fn text(&self, key: &str) -> Result<Option<&str>> {
        self.get(key, "text", |value| match value {
            MetadataValue::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The count of a metadata key.
    fn whole(&self, key: &str) -> Result<Option<usize>> {
        self.get(key, "a whole number of at least 0", |value| match value {
            MetadataValue::Whole(whole) => usize::try_from(*whole).ok(),
            _ => None,
        })
    }

    /// The number of a metadata key.
    fn number(&self, key: &str) -> Result<Option<f64>> {
        self.get(key, "a finite number", |value| match value {
            MetadataValue::Whole(whole) => Some(*whole as f64),
            MetadataValue::Float(float) => Some(*float).filter(|float| float.is_finite()),
            _ => None,
        })
    }

    /// The boolean of a metadata key.
    fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.get(key, "true or false", |value| match value {
            MetadataValue::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    /// The texts of a metadata key.
    fn texts(&self, key: &str) -> Result<Option<Vec<&str>>> {
        self.get(key, "an array of texts", |value| match value {
            MetadataValue::Array(array) => array.texts(&self.map),
            _ => None,
        })
    }

    /// The numbers of a metadata key.
    fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>> {
        self.get(key, "an array of numbers", |value| match value {
            MetadataValue::Array(array) => array.numbers(&self.map),
            _ => None,
        })
    }

    fn get<'a, T>(
        &'a self,
        key: &str,
        kind: &str,
        as_kind: impl Fn(&'a MetadataValue) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.header.metadata.get(key) else { return Ok(None) };
        as_kind(value).map(Some).ok_or_else(|| key_error(key, format!("{key} is not {kind}")))
    }
}

impl CheckpointFormat for Gguf {
    fn config(&self) -> Result<NetworkConfig> {
        self.network_config()
    }

    fn tokenizer(&self) -> Result<Tokenizer> {
        self.read_tokenizer()
    }

    fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        self.read_chat_template()
    }

    fn end_of_sequence(&self) -> Result<Vec<u32>> {
        self.read_end_of_sequence()
    }

    fn tensors(&self) -> Result<Box<dyn TensorSource>> {
        Ok(Box::new(self.clone()))
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        Ok(vec![self.path.clone()])
    }
}

/// The error of a metadata key with something wrong.
fn key_error(key: &str, what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Model, what)
        .at(format_args!("metadata `{key}`"))
        .fix("convert the model again with llama.cpp's convert_hf_to_gguf.py")
}

/// The value of a key that must be present.
fn needed<T>(key: &str, value: Result<Option<T>>) -> Result<T> {
    value?.ok_or_else(|| key_error(key, format!("{key} is missing")))
}
