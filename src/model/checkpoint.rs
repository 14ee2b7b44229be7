//! A checkpoint put together: config, tokenizer, weights, and their hash.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::chat::ChatTemplate;
use super::format::{self, CheckpointFormat};
use super::stored::Mapped;
use super::tied::has_own_head;
use super::weights::{Hold, Weights};
use super::{Network, NetworkConfig, Precision, Tokenizer};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Hasher;

/// A checkpoint whose config and tokenizer have been read and fit together; weights come with
/// [`Checkpoint::load`].
pub struct Checkpoint {
    /// The directory or file.
    pub path: PathBuf,
    /// Shape of the network.
    pub config: NetworkConfig,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Tokens that end a generation: those of generation_config.json and config.json or of a GGUF file, or else the
    /// family's, and the tokenizer's.
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
        let format = format::open(path)?;
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
        end_of_sequence.extend(tokenizer.end_of_sequence());
        end_of_sequence.sort_unstable();
        end_of_sequence.dedup();
        Ok(Checkpoint { path: path.to_path_buf(), config, tokenizer, end_of_sequence, format })
    }

    /// What a user must be told of it, beside errors.
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

    /// How the model wants to be asked.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when it does not say so, or its files cannot be read.
    pub fn chat_template(&self) -> Result<ChatTemplate> {
        ChatTemplate::of_format(self.format.as_ref(), &self.path)
    }

    /// Loads the weights on a device, to score and generate in a precision.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] for a precision that the device does not have; [`ErrorKind::Model`], naming the
    /// file and the tensor.
    pub fn load(&self, device: &Device, precision: Precision) -> Result<Network> {
        precision.check(device)?;
        self.take_all(Weights::open(self.format.tensors()?, Hold::on(device, precision)), device)
    }

    /// Loads the weights on a device as f32 tensors, which training can change.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file and the tensor.
    pub fn load_to_train(&self, device: &Device) -> Result<Network> {
        self.take_all(Weights::open(self.format.tensors()?, Hold::Tensors), device)
    }

    /// Refuses weights that [`Checkpoint::load`] would refuse, from the files' headers alone.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn check_weights(&self) -> Result<()> {
        self.take_all(Weights::open(self.format.tensors()?, Hold::Headers), &Device::flex()).map(drop)
    }

    fn take_all(&self, mut weights: Weights, device: &Device) -> Result<Network> {
        let model = Network::load(&self.config, &mut weights, device).map_err(|mut e| {
            if !self.config.assumed.is_empty() {
                e.what = format!("{}; config.json leaves out {}", e.what, self.config.assumed.join(", "));
            }
            e
        })?;
        weights.finish(self.config.tie_word_embeddings)?;
        Mapped::check_whole()?;
        Ok(model)
    }

    /// Bytes of the files that decide the numbers, of which all but a few are weights.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when one is missing.
    pub fn stored_bytes(&self) -> Result<u64> {
        let bytes = |path: PathBuf| {
            std::fs::metadata(&path)
                .map(|file| file.len())
                .map_err(|e| Error::new(ErrorKind::Model, format!("cannot read: {e}")).in_file(&path))
        };
        self.format.files()?.into_iter().map(bytes).sum()
    }

    /// sha256 over config, tokenizer and weight files, in hex: what decides the numbers. Of a GGUF file,
    /// what `sha256sum` prints.
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
