//! Checkpoints on disk: config, tokenizer, weights, and their hash.
//!
//! | module | what |
//! |---|---|
//! | `format` | what every form gives: a [`hugging_face`] directory, a [`gguf`] file |
//! | [`config`], `family` | the network's shape, from config.json as transformers reads it |
//! | [`safetensors`], `source`, `tied` | where weights are stored; whether the head is the embedding |

pub mod config;
mod family;
mod format;
pub mod gguf;
mod hugging_face;
pub mod safetensors;
mod source;
mod tied;

pub use config::{AttentionConfig, NetworkConfig};
pub(crate) use config::{
    ExpertGroups, ExpertsConfig, FeedForwardKind, GateActivation, LatentConfig, LayerNorms, NormKind, QkNorm,
    RouterConfig, RouterScores, SharedExpertConfig,
};
pub(crate) use source::TensorSource;
pub(crate) use tied::{EMBEDDING, HEAD, PARTS};

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::files::{self, unreadable};
use crate::hash::Hasher;
use crate::hub::{Name, contents};
use crate::text::{ChatTemplate, TextSide, Tokenizer, no_chat_template};
use format::CheckpointFormat;
use gguf::Gguf;
use hugging_face::HuggingFace;
use tied::has_own_head;

/// A checkpoint whose config and tokenizer have been read and fit together; [`Checkpoint::load`] reads the
/// weights.
pub struct Checkpoint {
    /// The directory or file.
    pub path: PathBuf,
    /// Shape of the network.
    pub config: NetworkConfig,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Tokens that end a generation: those of generation_config.json and config.json or of a GGUF file, or
    /// otherwise the family's, and the tokenizer's.
    pub end_of_sequence: Vec<u32>,
    format: Box<dyn CheckpointFormat>,
}

impl Checkpoint {
    /// Reads config and tokenizer of a directory or a GGUF file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] or [`ErrorKind::Tokenizer`], naming the file: missing, unreadable, not
    /// supported, or a tokenizer with more ids than the model has embeddings.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        let format = open_format(path)?;
        let (mut config, tokenizer) = (format.config()?, format.tokenizer()?);
        format.files()?;
        let tokenizer = tokenizer.with_embeddings(config.vocab_size)?;
        if config.tie_word_embeddings && has_own_head(&*format.tensors()?)? {
            config.tie_word_embeddings = false;
            config.notes.push(
                "tie_word_embeddings is true, and lm_head.weight is not the embedding: the head is kept, as in \
                 transformers"
                    .into(),
            );
        }
        let mut end_of_sequence = format.end_of_sequence()?;
        if end_of_sequence.is_empty() {
            end_of_sequence.extend(config.default_end_of_sequence);
        }
        let beyond = end_of_sequence.iter().find(|id| **id as usize >= config.vocab_size);
        config.notes.extend(beyond.map(|id| {
            format!(
                "eos_token_id is {id}, and the model has {} tokens: no text ends there",
                config.vocab_size
            )
        }));
        end_of_sequence.extend(tokenizer.end_of_sequence());
        end_of_sequence.sort_unstable();
        end_of_sequence.dedup();
        Ok(Checkpoint { path: path.to_path_buf(), config, tokenizer, end_of_sequence, format })
    }

    /// What a user must know about it, besides errors.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let assumed = &self.config.assumed;
        let of_shape = (!assumed.is_empty()).then(|| {
            format!(
                "config.json leaves out {}: as transformers takes it for this model_type",
                assumed.join(", ")
            )
        });
        self.config.notes.iter().cloned().chain(of_shape)
    }

    /// The source of the weights.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file: missing, unreadable, cut short, or a tensor given twice.
    pub(crate) fn tensors(&self) -> Result<Box<dyn TensorSource>> {
        self.format.tensors()
    }

    /// Bytes of the files that decide the numbers; nearly all of them are weights.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when one is missing.
    pub fn stored_bytes(&self) -> Result<u64> {
        self.format
            .files()?
            .into_iter()
            .map(|path| {
                std::fs::metadata(&path)
                    .map(|file| file.len())
                    .map_err(|e| Error::new(ErrorKind::Model, format!("cannot read: {e}")).in_file(&path))
            })
            .sum()
    }

    /// sha256 over config, tokenizer and weight files, in hex: what decides the numbers. For a GGUF file it
    /// is what `sha256sum` prints.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let mut hasher = Hasher::default();
        for path in self.format.files()? {
            hasher
                .update_file(&path)
                .map_err(|e| Error::new(ErrorKind::Model, format!("cannot read: {e}")).in_file(&path))?;
        }
        Ok(hasher.finish())
    }
}

impl TextSide for Checkpoint {
    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn chat_template(&self) -> Result<ChatTemplate> {
        self.format.chat_template()?.ok_or_else(|| no_chat_template(&self.path))
    }

    fn tokenizer_of(&self, model: &Path) -> Result<Tokenizer> {
        read_tokenizer(model)
    }
}

/// Reads the tokenizer of a checkpoint: from a directory's `tokenizer.json` and, if present,
/// `tokenizer_config.json`, or from a GGUF file's metadata.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] or, for a damaged GGUF file, [`ErrorKind::Model`], naming the file.
pub fn read_tokenizer(path: &Path) -> Result<Tokenizer> {
    open_format(path)?.tokenizer()
}

/// Reads the chat template of a checkpoint, a directory or a GGUF file.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] when it has none, or its files cannot be read.
pub fn read_chat_template(path: &Path) -> Result<ChatTemplate> {
    open_format(path)?.chat_template()?.ok_or_else(|| no_chat_template(path))
}

/// The checkpoint at a path: a GGUF file, a Hugging Face directory, or a directory whose weights are one GGUF
/// file; or, if nothing is at the path, the model with that name in the Hugging Face cache.
///
/// # Errors
/// [`ErrorKind::Model`] if nothing is there, or neither a directory nor a GGUF file.
fn open_format(path: &Path) -> Result<Box<dyn CheckpointFormat>> {
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
        return open_format(&name.cached()?);
    }
    Err(Error::new(ErrorKind::Model, "no such model directory or file")
        .in_file(path)
        .fix("give a directory with config.json, *.safetensors and tokenizer.json, a GGUF file, or org/name"))
}
