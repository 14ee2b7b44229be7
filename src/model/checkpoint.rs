//! A Hugging Face directory: config, tokenizer, weights, and their hash.

use std::path::{Path, PathBuf};

use super::weights::{Weights, weight_files};
use super::{Llama, LlamaConfig, Tokenizer};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Hasher;
use burn::tensor::Device;

/// A checkpoint whose config and tokenizer have been read and fit together; weights come with
/// [`Checkpoint::load`].
pub struct Checkpoint {
    /// The directory.
    pub dir: PathBuf,
    /// Shape of the network.
    pub config: LlamaConfig,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
}

impl Checkpoint {
    /// Reads config and tokenizer of a directory.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] or [`ErrorKind::Tokenizer`], naming the file: missing, unreadable, not
    /// supported, or a tokenizer with more ids than the model has embeddings.
    pub fn open(dir: &Path) -> Result<Checkpoint> {
        if !dir.is_dir() {
            return Err(Error::new(ErrorKind::Model, "no such model directory")
                .in_file(dir)
                .fix("give a directory with config.json, *.safetensors and tokenizer.json"));
        }
        let config_path = dir.join("config.json");
        let config = LlamaConfig::read(&config_path)?;
        let tokenizer = Tokenizer::read(dir)?;
        if tokenizer.max_id() as usize >= config.vocab_size {
            let what = format!(
                "the tokenizer's ids go up to {}, the model has {} embeddings",
                tokenizer.max_id(),
                config.vocab_size
            );
            return Err(Error::new(ErrorKind::Tokenizer, what)
                .in_file(&dir.join("tokenizer.json"))
                .fix("use the tokenizer that the model was trained with"));
        }
        weight_files(dir)?;
        Ok(Checkpoint { dir: dir.to_path_buf(), config, tokenizer })
    }

    /// Loads the weights as f32 on a device.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file and the tensor.
    pub fn load(&self, device: &Device) -> Result<Llama> {
        self.take_all(Weights::open(&self.dir)?, device)
    }

    /// Refuses weights that [`Checkpoint::load`] would refuse, from the files' headers alone.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn check_weights(&self) -> Result<()> {
        self.take_all(Weights::open_headers(&self.dir)?, &Device::flex()).map(drop)
    }

    fn take_all(&self, mut weights: Weights, device: &Device) -> Result<Llama> {
        let model = Llama::load(&self.config, &mut weights, device)?;
        weights.finish(self.config.tie_word_embeddings)?;
        Ok(model)
    }

    /// sha256 over config, tokenizer and weight files, in hex: what decides the numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let mut files = vec![self.dir.join("config.json"), self.dir.join("tokenizer.json")];
        files.extend(Some(self.dir.join("tokenizer_config.json")).filter(|file| file.exists()));
        files.extend(weight_files(&self.dir)?);
        let mut hasher = Hasher::default();
        for path in files {
            hasher
                .update_file(&path)
                .map_err(|e| Error::new(ErrorKind::Model, format!("cannot read: {e}")).in_file(&path))?;
        }
        Ok(hasher.finish())
    }
}
