//! Training a small model: from scratch or from a checkpoint, to a Hugging Face directory.
//!
//! In the order of the work:
//!
//! | module | what |
//! |---|---|
//! | [`config`], [`output`] | what to train; the directory to write |
//! | [`tokenizer`], [`corpus`], [`mod@windows`] | the vocabulary, the token ids of documents, windows of them |
//! | [`fill_in`] | documents with a gap |
//! | [`network`], `size` | config.json and the first weights; whether they fit into memory |
//! | [`trainer`] | does the steps, with the learning rate of [`schedule`] and the [`optimizer`] |
//! | [`log`], [`checkpoint`], [`result`] | what it writes on the way, and the model in the end |

pub mod checkpoint;
pub mod config;
pub mod corpus;
pub mod fill_in;
pub mod log;
pub mod network;
pub mod optimizer;
pub mod output;
pub mod result;
pub mod schedule;
mod size;
pub mod tokenizer;
pub mod trainer;
pub mod windows;

pub use config::TrainConfig;
pub use output::Mode;

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use crate::checkpoint::{Checkpoint, NetworkConfig, read_tokenizer};
use crate::config::find;
use crate::device::OpenDevice;
use crate::encoding::{EncodingSpec, Positions};
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_whole;
use crate::hub::weight_files;
use crate::model::RotaryTables;
use crate::provenance::Session;
use crate::text::FillMarkers;
use checkpoint::{Checkpoints, State};
use corpus::{About, Corpus, Stream, Streams};
use log::Log;
use output::Output;
use trainer::{Start, Trainer};
use windows::Windows;

/// What a config names, after it was found.
struct Sources {
    corpus: Corpus,
    /// The checkpoint to continue from.
    checkpoint: Option<PathBuf>,
    /// A tokenizer to copy: the checkpoint's, or the given one.
    tokenizer: Option<PathBuf>,
    /// What to make a tokenizer from instead of the corpus.
    vocabulary: Option<Corpus>,
}

impl Sources {
    fn find(config: &TrainConfig, search: &[PathBuf]) -> Result<Sources> {
        let at = |key: &'static str| move |e: Error| e.at_key(key);
        let corpus = Corpus::open(&config.corpus.datasets, "corpus.datasets", search)?;
        let checkpoint = match &config.model.path {
            None => None,
            Some(path) => Some(find_checkpoint(path, config, search).map_err(at("model.path"))?),
        };
        let keys = config.tokenizer.as_ref();
        let vocabulary = keys
            .and_then(|keys| keys.datasets.as_ref())
            .map(|names| Corpus::open(names, "tokenizer.datasets", search))
            .transpose()?;
        let given = keys.and_then(|keys| keys.path.as_ref());
        let tokenizer = match given {
            None => checkpoint.clone(),
            Some(path) => {
                let dir = tokenizer::directory(&find(path, search).map_err(at("tokenizer.path"))?);
                read_tokenizer(&dir).map_err(at("tokenizer.path"))?;
                Some(dir)
            }
        };
        Ok(Sources { corpus, checkpoint, tokenizer, vocabulary })
    }
}

/// A directory whose weights training can continue from.
fn find_checkpoint(path: &str, config: &TrainConfig, search: &[PathBuf]) -> Result<PathBuf> {
    let dir = find(path, search)?;
    if dir.is_file() {
        return Err(Error::new(ErrorKind::Model, "training cannot continue from a single file such as GGUF")
            .in_file(&dir)
            .fix("give a Hugging Face directory with config.json, *.safetensors and tokenizer.json"));
    }
    weight_files(&dir)?;
    let checkpoint = Checkpoint::open(&dir)?;
    checkpoint.notes().for_each(|note| note!("{}: {note}", dir.display()));
    checkpoint.config.check_trainable(config.length).map_err(|e| e.in_file(&dir))?;
    checkpoint.check_weights()?;
    network::config_json(config, Some((&dir, &checkpoint.config)), checkpoint.config.vocab_size)?;
    Ok(dir)
}

/// Trains as a config says into `out`; returns the outcome in words.
///
/// # Errors
/// Anything wrong with the config's corpus, tokenizer, checkpoint or `out` before work starts;
/// [`ErrorKind::Compute`] when a loss is not finite; [`ErrorKind::Interrupted`] after Ctrl-C, with a
/// checkpoint; [`ErrorKind::Write`].
pub fn train(
    config: &TrainConfig,
    search: &[PathBuf],
    device: &OpenDevice,
    out: &Path,
    mode: Mode,
) -> Result<String> {
    let sources = Sources::find(config, search)?;
    size::check(config, &sources, &device.device)?;
    let output = Output::open(out, config, mode)?;
    if output.path(result::REPORT).exists() {
        return Ok(format!("{}: nothing left to do, the training is done\n", out.display()));
    }
    let tokens = prepare(config, &sources, &output)?;
    let checkpoints = Checkpoints::new(output.work());
    let start = start(config, &sources, &output, &checkpoints, &tokens, &device.device)?;
    let log = Log::open(&output.path("training.csv"), start.state.step)?;
    let windows = windows(config, &tokens, read_tokenizer(out)?.bos()?)?;
    let trained = Trainer::new(config, windows, start, log, &checkpoints).run()?;
    result::write(config, &output, &sources, &tokens.about, &device.name, &trained)
}

/// The tokenizer's files and the corpus in its ids.
fn prepare(config: &TrainConfig, sources: &Sources, output: &Output) -> Result<Streams> {
    if !output.path("tokenizer.json").exists() {
        match &sources.tokenizer {
            Some(from) => tokenizer::copy(from, output.dir())?,
            None => make_tokenizer(config, sources, output)?,
        }
    }
    if config.corpus.fill_in.is_some() && tokenizer::add_markers(output.dir())? {
        status!("the tokenizer has no markers of a gap: {} are added to it", FillMarkers::ADDED.join(" "));
    }
    let tokens = sources.corpus.tokens(output.dir(), config, &output.work())?;
    let about = &tokens.about;
    status!(
        "corpus: {} documents, {} tokens; held out {} documents, {} tokens",
        about.train_documents,
        about.train_tokens,
        about.validation_documents,
        about.validation_tokens
    );
    Ok(tokens)
}

fn make_tokenizer(config: &TrainConfig, sources: &Sources, output: &Output) -> Result<()> {
    status!("making the tokenizer");
    let records = sources.vocabulary.as_ref().unwrap_or(&sources.corpus).records()?;
    let texts: Vec<&str> = records.iter().map(|record| record.text("text")).collect::<Result<_>>()?;
    let vocab_size = config.tokenizer.as_ref().and_then(|keys| keys.vocab_size).unwrap_or_default();
    tokenizer::make(&texts, vocab_size, config.length, config.seed, output.dir())
}

/// The windows to train on, and those held out.
fn windows<'a>(config: &TrainConfig, tokens: &'a Streams, bos: Option<u32>) -> Result<[Windows<'a>; 2]> {
    let whole = config.corpus.whole_documents;
    if whole && bos.is_none() {
        return Err(Error::new(
            ErrorKind::Config,
            "whole_documents: the tokenizer puts no BOS before a text",
        )
        .at_key("corpus.whole_documents")
        .fix("remove the key, or take a tokenizer with BOS"));
    }
    let windows = |stream: &'a Stream, what: &str| {
        let windows = match bos.filter(|_| whole) {
            Some(bos) => Windows::of_documents(stream, config.length, bos, config.seed),
            None => Windows::new(stream, config.length, bos, config.seed),
        };
        windows.ok_or_else(|| no_sample(config, stream, what))
    };
    Ok([
        windows(&tokens.train, "the corpus")?,
        windows(&tokens.validation, "what is held out of the corpus")?,
    ])
}

fn no_sample(config: &TrainConfig, stream: &Stream, what: &str) -> Error {
    let (tokens, length) = (stream.ids.len(), config.length);
    if tokens > length && !stream.learned.contains(&true) {
        return Error::new(ErrorKind::Dataset, format!("{what} has nothing that `learned` finds"))
            .at_key("corpus.learned")
            .fix("correct the regular expression, or give a larger held_out");
    }
    Error::new(ErrorKind::Dataset, format!("{what} has {tokens} tokens, which make no sample of {length}"))
        .at_key("corpus.datasets")
        .fix("give more documents or a larger held_out, or a smaller length")
}

/// The last checkpoint, on a device with gradients; the first one is made if there is none.
fn start(
    config: &TrainConfig,
    sources: &Sources,
    output: &Output,
    checkpoints: &Checkpoints,
    tokens: &Streams,
    device: &Device,
) -> Result<Start> {
    let last = match checkpoints.last()? {
        Some(last) => Some(last),
        None => {
            make_first_checkpoint(config, sources, output, checkpoints, &tokens.about)?;
            checkpoints.last()?
        }
    };
    let (dir, mut state) = last.expect("there is one from here on");
    if state.corpus_sha256 != tokens.about.sha256 {
        return Err(Error::new(ErrorKind::Results, "the training there is of another corpus or tokenizer")
            .in_file(output.dir())
            .fix("restore the data sets, give another --out, or start over with --fresh"));
    }
    state.sessions.push(Session::now());
    let model_config = NetworkConfig::read(&output.path("config.json"))?;
    let device = device.clone().autodiff();
    let (model, moments) = checkpoint::load(&dir, &model_config, &state, &device)?;
    Ok(Start { model, moments, state, rotary: rotary(&model_config, config.length, &device) })
}

/// The model's own rotations of the first `length` positions.
fn rotary(config: &NetworkConfig, length: usize, device: &Device) -> RotaryTables {
    let own = EncodingSpec::parse("rope").expect("a kind without keys");
    let positions = Positions::whole(length, Vec::new());
    RotaryTables::new(&own.by_layer(&config.rope, &positions), &positions, &config.attention, device)
}

/// config.json, and a checkpoint before the first step: first weights, or those of a checkpoint.
fn make_first_checkpoint(
    config: &TrainConfig,
    sources: &Sources,
    output: &Output,
    checkpoints: &Checkpoints,
    about: &About,
) -> Result<()> {
    let vocab_size = read_tokenizer(output.dir())?.max_id() as usize + 1;
    let checkpoint = sources.checkpoint.as_deref().map(Checkpoint::open).transpose()?;
    let earlier = checkpoint.as_ref().map(|checkpoint| (checkpoint.path.as_path(), &checkpoint.config));
    let mut json = network::config_json(config, earlier, vocab_size)?;
    if config.corpus.fill_in.is_some() {
        network::widen_vocabulary(&mut json, vocab_size)?;
    }
    let network = NetworkConfig::from_json(json.clone())?;
    write_whole(&output.path("config.json"), format!("{json:#}\n").as_bytes())?;
    let weights = match &checkpoint {
        None => network::first_weights(&network, config.seed)?,
        Some(checkpoint) => {
            let mut weights = network::named_tensors(&checkpoint.load_to_train(&Device::flex())?);
            network::add_rows(&mut weights, network.vocab_size, config.seed);
            weights
        }
    };
    let state = State {
        step: 0,
        seconds: 0.0,
        validation_loss: None,
        corpus_sha256: about.sha256.clone(),
        sessions: Vec::new(),
    };
    checkpoints.write(&weights, &state)
}
