//! The corpus as token ids: read, divided, tokenized once, and kept in a file.
//!
//! Documents follow each other, each as the tokenizer gives it: BOS first if it adds one, no EOS. The
//! documents held out for the validation loss are a separate stream.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::checkpoint::read_tokenizer;
use crate::dataset::{Dataset, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{read_bytes, write_whole};
use crate::hash::Hasher;
use crate::provenance::DatasetHash;
use crate::text::Tokenizer;

use super::config::{FillInKeys, TrainConfig};
use super::fill_in::FillIn;

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
pub struct Streams {
    /// What the corpus consists of.
    pub about: About,
    /// Documents to train on.
    pub train: Stream,
    /// The documents held out.
    pub validation: Stream,
}

/// Documents one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// Their ids.
    pub ids: Vec<u32>,
    /// Whether each id is learned, or only read.
    pub learned: Vec<bool>,
}

impl Stream {
    /// A stream in which everything is learned.
    pub fn all_learned(ids: Vec<u32>) -> Stream {
        Stream { learned: vec![true; ids.len()], ids }
    }

    fn extend(&mut self, document: Stream) {
        self.ids.extend(document.ids);
        self.learned.extend(document.learned);
    }

    fn split_off(&mut self, at: usize) -> Stream {
        Stream { ids: self.ids.split_off(at), learned: self.learned.split_off(at) }
    }
}

/// What a file of tokens was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Hash over data sets, tokenizer, share held out, seed and what is learned.
    pub sha256: String,
    /// Documents to train on.
    pub train_documents: usize,
    /// Documents held out.
    pub validation_documents: usize,
    /// Ids to train on; they come first in the file.
    pub train_tokens: usize,
    /// Ids held out.
    pub validation_tokens: usize,
    /// Bytes of an id in the file, 2 or 4, little-endian. After all ids there is a byte for each, 1 if it is
    /// learned.
    pub bytes: usize,
}

/// The error of a corpus that is nowhere, with what makes those of the repository's configs.
fn with_maker(name: &str, search: &[PathBuf], error: Error) -> Error {
    let is_missing = !search.iter().any(|dir| dir.join(name).exists());
    if is_missing && name.starts_with("corpus/") {
        let fix = "python3 scripts/build_corpora.py makes the corpora of the repository's configs; or give a path that exists";
        return Error { fix: Some(fix.into()), ..error };
    }
    error
}

impl Corpus {
    /// Finds the data sets that are listed under `key`.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], as [`Dataset::open`].
    pub fn open(names: &[String], key: &str, search: &[PathBuf]) -> Result<Corpus> {
        let datasets: Vec<Dataset> = names
            .iter()
            .map(|name| Dataset::open(name, search).map_err(|e| with_maker(name, search, e).at_key(key)))
            .collect::<Result<_>>()?;
        let hashes = names
            .iter()
            .zip(&datasets)
            .map(|(name, dataset)| Ok(DatasetHash { name: name.clone(), sha256: dataset.sha256()? }))
            .collect::<Result<_>>()?;
        Ok(Corpus { datasets, hashes })
    }

    /// Every document, data set by data set.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], as [`Dataset::records`].
    pub fn records(&self) -> Result<Vec<Record>> {
        let mut all = Vec::new();
        for dataset in &self.datasets {
            let name = &dataset.manifest.name;
            dataset.notes()?.iter().for_each(|note| note!("data set \"{name}\": {note}"));
            all.extend(dataset.records()?);
        }
        Ok(all)
    }

    /// Hash of what decides the ids: data sets, tokenizer, share held out, seed, what is learned, gaps.
    fn sha256(&self, tokenizer: &Path, config: &TrainConfig) -> Result<String> {
        let (keys, seed) = (&config.corpus, config.seed);
        let mut hasher = Hasher::default();
        for dataset in &self.hashes {
            hasher.update(dataset.sha256.as_bytes());
        }
        for path in Tokenizer::files(tokenizer)? {
            hasher.update(&read_bytes(&path, ErrorKind::Tokenizer)?);
        }
        hasher.update(format!("{} {seed}", keys.held_out).as_bytes());
        if let Some(pattern) = &keys.learned {
            hasher.update(pattern.as_bytes());
        }
        if let Some(FillInKeys { rate, seed, lines }) = &keys.fill_in {
            hasher.update(format!("fill in {rate} {seed} {lines} {}", config.length).as_bytes());
        }
        Ok(hasher.finish())
    }

    /// The corpus in the ids of the tokenizer in `tokenizer`: from the file in `dir` if that is of the same
    /// corpus, otherwise made and kept there.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] or [`ErrorKind::Tokenizer`]; [`ErrorKind::Write`].
    pub fn tokens(&self, tokenizer: &Path, config: &TrainConfig, dir: &Path) -> Result<Streams> {
        let sha256 = self.sha256(tokenizer, config)?;
        if let Some(tokens) = Streams::read(dir).filter(|tokens| tokens.about.sha256 == sha256) {
            return Ok(tokens);
        }
        status!("tokenizing the corpus");
        let tokens = self.tokenize(&read_tokenizer(tokenizer)?, config, sha256)?;
        tokens.write(dir)?;
        Ok(tokens)
    }

    fn tokenize(&self, tokenizer: &Tokenizer, config: &TrainConfig, sha256: String) -> Result<Streams> {
        let records = self.records()?;
        let keys = &config.corpus;
        let held_out = held_out(records.len(), keys.held_out, config.seed)?;
        let pattern = keys.learned()?;
        let fill_in = keys.fill_in.as_ref().map(|keys| FillIn::new(tokenizer, keys, config.length));
        let fill_in = fill_in.transpose()?;
        let encode = |number: usize, record: &Record| -> Result<Stream> {
            let text = record.text("text")?;
            match &fill_in {
                Some(fill_in) => fill_in.document(text, number).map(Stream::all_learned),
                None => document(text, tokenizer, pattern.as_ref()),
            }
            .map_err(|e| e.at(&record.origin))
        };
        let mut streams = [Stream::default(), Stream::default()];
        for (piece, records) in records.chunks(PIECE).enumerate() {
            let first = piece * PIECE;
            let encoded: Vec<_> = records
                .par_iter()
                .enumerate()
                .map(|(n, record)| encode(first + n, record))
                .collect::<Result<_>>()?;
            for (n, document) in encoded.into_iter().enumerate() {
                streams[usize::from(held_out[first + n])].extend(document);
            }
        }
        let [train, validation] = streams;
        let validation_documents = held_out.iter().filter(|&&held| held).count();
        let about = About {
            sha256,
            train_documents: records.len() - validation_documents,
            validation_documents,
            train_tokens: train.ids.len(),
            validation_tokens: validation.ids.len(),
            bytes: if tokenizer.max_id() < 1 << 16 { 2 } else { 4 },
        };
        Ok(Streams { about, train, validation })
    }
}

/// A document's ids; learned are those that a match of `pattern` touches, or its first group if it has one.
fn document(text: &str, tokenizer: &Tokenizer, pattern: Option<&Regex>) -> Result<Stream> {
    let tokens = tokenizer.encode(text)?;
    let Some(pattern) = pattern else { return Ok(Stream::all_learned(tokens.ids)) };
    let learned: Vec<Range<usize>> = pattern
        .captures_iter(text)
        .filter_map(|found| found.get(1.min(found.len() - 1)))
        .map(|found| found.range())
        .collect();
    let touches = |&(start, end): &(usize, usize)| {
        let next = learned.partition_point(|range| range.end <= start);
        learned.get(next).is_some_and(|range| range.start < end)
    };
    Ok(Stream { learned: tokens.offsets.iter().map(touches).collect(), ids: tokens.ids })
}

/// Which documents are held out: the given share, at least one, drawn by the seed.
fn held_out(documents: usize, share: f64, seed: u64) -> Result<Vec<bool>> {
    let count = ((documents as f64 * share).round() as usize).max(1);
    if count >= documents {
        return Err(Error::new(
            ErrorKind::Dataset,
            format!("{documents} document(s) leave nothing to train on"),
        )
        .at_key("corpus.datasets")
        .fix("give at least 2 documents, and a smaller held_out"));
    }
    let mut held_out = vec![false; documents];
    for n in index::sample(&mut ChaCha8Rng::seed_from_u64(seed), documents, count) {
        held_out[n] = true;
    }
    Ok(held_out)
}

impl Streams {
    /// The tokens kept in a directory; none if they are missing or incomplete.
    fn read(dir: &Path) -> Option<Streams> {
        let about = read_bytes(&dir.join(ABOUT), ErrorKind::Results).ok()?;
        let about: About = serde_json::from_slice(&about).ok()?;
        let bytes = read_bytes(&dir.join(IDS), ErrorKind::Results).ok()?;
        let tokens = about.train_tokens.checked_add(about.validation_tokens)?;
        if !matches!(about.bytes, 2 | 4) || Some(bytes.len()) != tokens.checked_mul(about.bytes + 1) {
            return None;
        }
        let (ids, learned) = bytes.split_at(tokens * about.bytes);
        let ids: Vec<u32> = match about.bytes {
            2 => ids.chunks_exact(2).map(|b| u32::from(u16::from_le_bytes([b[0], b[1]]))).collect(),
            _ => ids.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        };
        let mut train = Stream { ids, learned: learned.iter().map(|&byte| byte != 0).collect() };
        let validation = train.split_off(about.train_tokens);
        Some(Streams { about, train, validation })
    }

    fn write(&self, dir: &Path) -> Result<()> {
        let ids = self.train.ids.iter().chain(&self.validation.ids);
        let mut bytes: Vec<u8> = match self.about.bytes {
            2 => ids.flat_map(|&id| (id as u16).to_le_bytes()).collect(),
            _ => ids.flat_map(|id| id.to_le_bytes()).collect(),
        };
        bytes.extend(
            self.train.learned.iter().chain(&self.validation.learned).map(|&learned| u8::from(learned)),
        );
        write_whole(&dir.join(IDS), &bytes)?;
        let about = serde_json::to_string_pretty(&self.about).expect("plain data");
        write_whole(&dir.join(ABOUT), about.as_bytes())
    }
}
