//! A Hugging Face directory: config.json, tokenizer.json, *.safetensors.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::format::CheckpointFormat;
use super::safetensors::SafetensorsDir;
use super::{NetworkConfig, TensorSource};
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;
use crate::hub::contents::missing;
use crate::hub::weight_files;
use crate::text::{ChatTemplate, Tokenizer};

/// A directory as `save_pretrained` writes it.
pub(super) struct HuggingFace {
    dir: PathBuf,
}

impl HuggingFace {
    /// The directory; nothing is read yet.
    pub(super) fn new(dir: &Path) -> HuggingFace {
        HuggingFace { dir: dir.to_path_buf() }
    }

    /// Refuses a directory that lacks a file; the error depends on what it holds instead.
    fn refuse_missing(&self, file: &str, kind: ErrorKind) -> Result<()> {
        if self.dir.join(file).exists() { Ok(()) } else { Err(missing(&self.dir, file, kind)) }
    }
}

impl CheckpointFormat for HuggingFace {
    fn config(&self) -> Result<NetworkConfig> {
        self.refuse_missing("config.json", ErrorKind::Model)?;
        NetworkConfig::read(&self.dir.join("config.json"))
    }

    fn tokenizer(&self) -> Result<Tokenizer> {
        self.refuse_missing("tokenizer.json", ErrorKind::Tokenizer)?;
        Tokenizer::read(&self.dir)
    }

    fn chat_template(&self) -> Result<Option<ChatTemplate>> {
        ChatTemplate::of_directory(&self.dir)
    }

    /// The ids in generation_config.json and config.json.
    fn end_of_sequence(&self) -> Result<Vec<u32>> {
        let files = ["generation_config.json", "config.json"].map(|name| self.dir.join(name));
        let found = files.iter().filter(|file| file.exists()).map(|file| end_of_sequence(file));
        Ok(found.collect::<Result<Vec<_>>>()?.concat())
    }

    fn tensors(&self) -> Result<Box<dyn TensorSource>> {
        Ok(Box::new(SafetensorsDir::open(&self.dir)?))
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = vec![self.dir.join("config.json")];
        files.extend(Tokenizer::files(&self.dir)?);
        files.extend(weight_files(&self.dir)?);
        Ok(files)
    }
}

/// `eos_token_id` of a config, or of the text model in it: none, one or several.
fn end_of_sequence(path: &Path) -> Result<Vec<u32>> {
    #[derive(Deserialize)]
    struct Config {
        eos_token_id: Option<OneOrSeveral>,
        text_config: Option<Box<Config>>,
    }
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "eos_token_id is neither an id nor a list of ids")]
    enum OneOrSeveral {
        One(u32),
        Several(Vec<u32>),
    }
    let config: Config = serde_json::from_str(&read_text(path, ErrorKind::Model)?).map_err(|e| {
        Error::new(ErrorKind::Model, e.to_string()).in_file(path).fix("compare it with the model's own file")
    })?;
    let of_text = config.text_config.and_then(|text| text.eos_token_id);
    Ok(match config.eos_token_id.or(of_text) {
        None => Vec::new(),
        Some(OneOrSeveral::One(id)) => vec![id],
        Some(OneOrSeveral::Several(ids)) => ids,
    })
}
