//! A Hugging Face directory or a GGUF file: config, tokenizer, weights, and their hash.

use std::path::{Path, PathBuf};

use super::gguf::Gguf;
use super::safetensors::weight_files;
use super::weights::Weights;
use super::{Llama, LlamaConfig, Tokenizer};
use crate::error::{Error, ErrorKind, Result, read_text};
use crate::hash::Hasher;
use burn::tensor::Device;
use serde::Deserialize;

/// A checkpoint whose config and tokenizer have been read and fit together; weights come with
/// [`Checkpoint::load`].
pub struct Checkpoint {
    /// The directory or file.
    pub path: PathBuf,
    /// Shape of the network.
    pub config: LlamaConfig,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Tokens that end a generation: those of generation_config.json and config.json, and the tokenizer's.
    pub end_of_sequence: Vec<u32>,
}

impl Checkpoint {
    /// Reads config and tokenizer of a directory or a GGUF file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] or [`ErrorKind::Tokenizer`], naming the file: missing, unreadable, not
    /// supported, or a tokenizer with more ids than the model has embeddings.
    pub fn open(path: &Path) -> Result<Checkpoint> {
        let (config, tokenizer, tokenizer_file) = if path.is_file() {
            let file = Gguf::open(path)?;
            (file.config()?, file.tokenizer()?, path.to_path_buf())
        } else if path.is_dir() {
            let config = LlamaConfig::read(&path.join("config.json"))?;
            let tokenizer = Tokenizer::read(path)?;
            weight_files(path)?;
            (config, tokenizer, path.join("tokenizer.json"))
        } else {
            return Err(Error::new(ErrorKind::Model, "no such model directory or file")
                .in_file(path)
                .fix("give a directory with config.json, *.safetensors and tokenizer.json, or a GGUF file"));
        };
        if tokenizer.max_id() as usize >= config.vocab_size {
            let what = format!(
                "the tokenizer's ids go up to {}, the model has {} embeddings",
                tokenizer.max_id(),
                config.vocab_size
            );
            return Err(Error::new(ErrorKind::Tokenizer, what)
                .in_file(&tokenizer_file)
                .fix("use the tokenizer that the model was trained with"));
        }
        let end_of_sequence = end_of_sequence(path, &tokenizer)?;
        Ok(Checkpoint { path: path.to_path_buf(), config, tokenizer, end_of_sequence })
    }

    /// Loads the weights as f32 on a device.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file and the tensor.
    pub fn load(&self, device: &Device) -> Result<Llama> {
        self.take_all(Weights::open(&self.path)?, device)
    }

    /// Refuses weights that [`Checkpoint::load`] would refuse, from the files' headers alone.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn check_weights(&self) -> Result<()> {
        self.take_all(Weights::open_headers(&self.path)?, &Device::flex()).map(drop)
    }

    fn take_all(&self, mut weights: Weights, device: &Device) -> Result<Llama> {
        let model = Llama::load(&self.config, &mut weights, device)?;
        weights.finish(self.config.tie_word_embeddings)?;
        Ok(model)
    }

    /// sha256 over config, tokenizer and weight files, in hex: what decides the numbers. Of a GGUF file,
    /// what `sha256sum` prints.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let mut hasher = Hasher::default();
        for path in self.files()? {
            hasher
                .update_file(&path)
                .map_err(|e| Error::new(ErrorKind::Model, format!("cannot read: {e}")).in_file(&path))?;
        }
        Ok(hasher.finish())
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        if self.path.is_file() {
            return Ok(vec![self.path.clone()]);
        }
        let mut files = vec![self.path.join("config.json"), self.path.join("tokenizer.json")];
        files.extend(Some(self.path.join("tokenizer_config.json")).filter(|file| file.exists()));
        files.extend(weight_files(&self.path)?);
        Ok(files)
    }
}

/// Every end-of-sequence id that a directory's files name; of a GGUF file its tokenizer's.
fn end_of_sequence(path: &Path, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
    let mut ids: Vec<u32> = tokenizer.end_of_sequence().into_iter().collect();
    for name in ["generation_config.json", "config.json"] {
        let file = path.join(name);
        if file.exists() {
            ids.extend(end_of_sequence_of(&file)?);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// `eos_token_id` of a config: none, one or several.
fn end_of_sequence_of(path: &Path) -> Result<Vec<u32>> {
    #[derive(Deserialize)]
    struct Config {
        eos_token_id: Option<OneOrSeveral>,
    }
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "eos_token_id is no id and no list of ids")]
    enum OneOrSeveral {
        One(u32),
        Several(Vec<u32>),
    }
    let config: Config = serde_json::from_str(&read_text(path, ErrorKind::Model)?).map_err(|e| {
        Error::new(ErrorKind::Model, e.to_string()).in_file(path).fix("compare it with the model's own file")
    })?;
    Ok(match config.eos_token_id {
        None => Vec::new(),
        Some(OneOrSeveral::One(id)) => vec![id],
        Some(OneOrSeveral::Several(ids)) => ids,
    })
}
