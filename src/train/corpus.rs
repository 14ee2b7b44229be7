//! The corpus as token ids: read, divided, tokenized once, and kept in a file.
//!
//! Documents follow each other, each as the tokenizer gives it: BOS first where it adds one, no EOS. The
//! documents held out for the validation loss are a stream of their own.

use std::fs;
use std::path::Path;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{read_bytes, write_whole};
use crate::hash::Hasher;
use crate::model::Tokenizer;
use crate::store::DatasetHash;

use super::config::CorpusKeys;

const IDS: &str = "tokens.bin";
const ABOUT: &str = "tokens.json";

/// Documents tokenized between two looks at the clock.
const PIECE: usize = 256;

/// The data sets of a config, found and hashed.
pub struct Corpus {
    datasets: Vec<Dataset>,
    /// Their names and hashes, in the order of the config.
    pub hashes: Vec<DatasetHash>,
}

/// The corpus in one tokenizer's ids.
pub struct Tokens {
    /// What there is.
    pub about: About,
    /// Ids to train on.
    pub train: Vec<u32>,
    /// Ids of the documents held out.
    pub validation: Vec<u32>,
}

/// What a file of tokens was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Over data sets, tokenizer, share held out and seed.
    pub sha256: String,
    /// Documents to train on.
    pub train_documents: usize,
    /// Documents held out.
    pub validation_documents: usize,
    /// Ids to train on; they come first in the file.
    pub train_tokens: usize,
    /// Ids held out.
    pub validation_tokens: usize,
    /// Bytes of an id in the file, 2 or 4, little-endian.
    pub bytes: usize,
}

impl Corpus {
    /// Finds the data sets.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], as [`Dataset::open`].
    pub fn open(keys: &CorpusKeys, search: &[std::path::PathBuf]) -> Result<Corpus> {
        let place = |e: Error| e.at("key `corpus.datasets`");
        let datasets: Vec<Dataset> = keys
            .datasets
            .iter()
            .map(|name| Dataset::open(name, search).map_err(place))
            .collect::<Result<_>>()?;
        let hash = |(name, dataset): (&String, &Dataset)| {
            Ok(DatasetHash { name: name.clone(), sha256: dataset.sha256()? })
        };
        let hashes = keys.datasets.iter().zip(&datasets).map(hash).collect::<Result<_>>()?;
        Ok(Corpus { datasets, hashes })
    }

    /// Every document, data set by data set.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], as [`Dataset::records`].
    pub fn records(&self) -> Result<Vec<Record>> {
        let mut all = Vec::new();
        for dataset in &self.datasets {
            all.extend(dataset.records()?);
        }
        Ok(all)
    }

    /// What decides the ids: data sets, tokenizer, share held out, seed.
    fn sha256(&self, tokenizer: &Path, keys: &CorpusKeys, seed: u64) -> Result<String> {
        let mut hasher = Hasher::default();
        for dataset in &self.hashes {
            hasher.update(dataset.sha256.as_bytes());
        }
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            let path = tokenizer.join(name);
            if path.exists() {
                hasher.update(&read_bytes(&path, ErrorKind::Tokenizer)?);
            }
        }
        hasher.update(format!("{} {seed}", keys.held_out).as_bytes());
        Ok(hasher.finish())
    }

    /// The corpus in the ids of the tokenizer in `tokenizer`: from the file in `dir` where that is of the
    /// same corpus, else made and kept there.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] or [`ErrorKind::Tokenizer`]; [`ErrorKind::Write`].
    pub fn tokens(&self, tokenizer: &Path, keys: &CorpusKeys, seed: u64, dir: &Path) -> Result<Tokens> {
        let sha256 = self.sha256(tokenizer, keys, seed)?;
        if let Some(tokens) = Tokens::read(dir).filter(|tokens| tokens.about.sha256 == sha256) {
            return Ok(tokens);
        }
        eprintln!("tokenizing the corpus");
        let tokens = self.tokenize(&Tokenizer::read(tokenizer)?, keys, seed, sha256)?;
        tokens.write(dir)?;
        Ok(tokens)
    }

    fn tokenize(
        &self,
        tokenizer: &Tokenizer,
        keys: &CorpusKeys,
        seed: u64,
        sha256: String,
    ) -> Result<Tokens> {
        let records = self.records()?;
        let held_out = held_out(records.len(), keys.held_out, seed)?;
        let mut streams = [Vec::new(), Vec::new()];
        for (piece, records) in records.chunks(PIECE).enumerate() {
            let encode = |record: &Record| -> Result<Vec<u32>> {
                Ok(tokenizer.encode(record.text("text")?).map_err(|e| e.at(&record.origin))?.ids)
            };
            let encoded: Vec<_> = records.par_iter().map(encode).collect::<Result<_>>()?;
            for (n, ids) in encoded.into_iter().enumerate() {
                streams[usize::from(held_out[piece * PIECE + n])].extend(ids);
            }
        }
        let [train, validation] = streams;
        let validation_documents = held_out.iter().filter(|&&held| held).count();
        let about = About {
            sha256,
            train_documents: records.len() - validation_documents,
            validation_documents,
            train_tokens: train.len(),
            validation_tokens: validation.len(),
            bytes: if tokenizer.max_id() < 1 << 16 { 2 } else { 4 },
        };
        Ok(Tokens { about, train, validation })
    }
}

/// Which documents are held out: the share, at least one, drawn by the seed.
fn held_out(documents: usize, share: f64, seed: u64) -> Result<Vec<bool>> {
    let count = ((documents as f64 * share).round() as usize).max(1);
    if count >= documents {
        return Err(Error::new(
            ErrorKind::Dataset,
            format!("{documents} document(s) leave nothing to train on"),
        )
        .at("key `corpus.datasets`")
        .fix("give at least 2 documents, and a smaller held_out"));
    }
    let mut held_out = vec![false; documents];
    for n in index::sample(&mut ChaCha8Rng::seed_from_u64(seed), documents, count) {
        held_out[n] = true;
    }
    Ok(held_out)
}

impl Tokens {
    /// The tokens kept in a directory; none where there are none, or not whole.
    fn read(dir: &Path) -> Option<Tokens> {
        let about: About = serde_json::from_slice(&fs::read(dir.join(ABOUT)).ok()?).ok()?;
        let bytes = fs::read(dir.join(IDS)).ok()?;
        if bytes.len() != (about.train_tokens + about.validation_tokens) * about.bytes {
            return None;
        }
        let mut train: Vec<u32> = match about.bytes {
            2 => bytes.chunks_exact(2).map(|b| u32::from(u16::from_le_bytes([b[0], b[1]]))).collect(),
            _ => bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        };
        let validation = train.split_off(about.train_tokens);
        Some(Tokens { about, train, validation })
    }

    fn write(&self, dir: &Path) -> Result<()> {
        let ids = self.train.iter().chain(&self.validation);
        let bytes: Vec<u8> = match self.about.bytes {
            2 => ids.flat_map(|&id| (id as u16).to_le_bytes()).collect(),
            _ => ids.flat_map(|id| id.to_le_bytes()).collect(),
        };
        write_whole(&dir.join(IDS), &bytes)?;
        let about = serde_json::to_string_pretty(&self.about).expect("plain data");
        write_whole(&dir.join(ABOUT), about.as_bytes())
    }
}
