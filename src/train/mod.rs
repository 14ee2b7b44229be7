//! Training a small model: from scratch or from a checkpoint, to a Hugging Face directory.
//!
//! In the order of the work: [`config`] says what ([`check`] refuses what makes no sense); [`output`] takes
//! the directory; [`tokenizer`] makes the vocabulary, [`corpus`] token ids of the documents, [`samples`]
//! windows of those; [`network`] gives config.json and the first weights; [`trainer`] does the steps, with
//! the learning rate of [`schedule`] and the [`optimizer`], writes [`log`] and [`checkpoint`]s, and
//! [`result`] leaves the model.

mod check;
pub mod checkpoint;
pub mod config;
pub mod corpus;
pub mod log;
pub mod network;
pub mod optimizer;
pub mod output;
pub mod result;
pub mod samples;
pub mod schedule;
pub mod tokenizer;
pub mod trainer;

pub use config::TrainConfig;
pub use output::Mode;

use std::path::{Path, PathBuf};

use crate::config::find;
use crate::device::OpenDevice;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Checkpoint, LlamaConfig, Tokenizer};
use crate::store::{Session, write_whole};
use checkpoint::{Checkpoints, State};
use corpus::{Corpus, Tokens};
use output::Output;
use trainer::Trainer;

/// What a config names, found.
struct Sources {
    corpus: Corpus,
    /// The checkpoint to go on from.
    checkpoint: Option<PathBuf>,
    /// A tokenizer to copy: the checkpoint's, or the one that is given.
    tokenizer: Option<PathBuf>,
}

impl Sources {
    fn find(config: &TrainConfig, search: &[PathBuf]) -> Result<Sources> {
        let at = |key: &'static str| move |e: Error| e.at(format_args!("key `{key}`"));
        let corpus = Corpus::open(&config.corpus, search)?;
        let checkpoint = match &config.model.path {
            None => None,
            Some(path) => {
                let dir = find(path, search).map_err(at("model.path"))?;
                let checkpoint = Checkpoint::open(&dir).map_err(at("model.path"))?;
                checkpoint.check_weights().map_err(at("model.path"))?;
                Some(dir)
            }
        };
        let given = config.tokenizer.as_ref().and_then(|keys| keys.path.as_ref());
        let tokenizer = match given {
            None => checkpoint.clone(),
            Some(path) => {
                let dir = tokenizer::directory(&find(path, search).map_err(at("tokenizer.path"))?);
                Tokenizer::read(&dir).map_err(at("tokenizer.path"))?;
                Some(dir)
            }
        };
        Ok(Sources { corpus, checkpoint, tokenizer })
    }
}

/// Trains as a config says into `out`; returns what came of it, in words.
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
    let output = Output::open(out, config, mode)?;
    if output.path(result::REPORT).exists() {
        return Ok(format!("{}: nothing left to do, the training is done\n", out.display()));
    }
    let tokens = prepare(config, &sources, &output)?;
    let checkpoints = Checkpoints::new(output.work());
    if checkpoints.last()?.is_none() {
        start(config, &sources, &output, &checkpoints, &tokens)?;
    }
    let model_config = LlamaConfig::read(&output.path("config.json"))?;
    let bos = Tokenizer::read(out)?.bos()?;
    let (dir, mut state) = checkpoints.last()?.expect("there is one from here on");
    if state.corpus_sha256 != tokens.about.sha256 {
        return Err(Error::new(ErrorKind::Results, "the training there is of another corpus or tokenizer")
            .in_file(out)
            .fix("restore the data sets, give another --out, or start over with --fresh"));
    }
    state.sessions.push(Session::now());
    let (model, moments) = checkpoint::load(&dir, &model_config, &state, &device.device.clone().autodiff())?;
    let trainer =
        Trainer::new(config, &output, &checkpoints, &tokens, bos, (model, moments), &model_config, state)?;
    let (model, state, loss) = trainer.run()?;
    result::write(config, &output, &sources.corpus, &tokens.about, &device.name, &model, &state, loss)
}

/// The tokenizer's files and the corpus in its ids.
fn prepare(config: &TrainConfig, sources: &Sources, output: &Output) -> Result<Tokens> {
    if !output.path("tokenizer.json").exists() {
        match &sources.tokenizer {
            Some(from) => tokenizer::copy(from, output.dir())?,
            None => make_tokenizer(config, sources, output)?,
        }
    }
    let tokens = sources.corpus.tokens(output.dir(), &config.corpus, config.seed, &output.work())?;
    let about = &tokens.about;
    eprintln!(
        "corpus: {} documents, {} tokens; held out {} documents, {} tokens",
        about.train_documents, about.train_tokens, about.validation_documents, about.validation_tokens
    );
    Ok(tokens)
}

fn make_tokenizer(config: &TrainConfig, sources: &Sources, output: &Output) -> Result<()> {
    eprintln!("making the tokenizer");
    let records = sources.corpus.records()?;
    let texts: Vec<&str> = records.iter().map(|record| record.text("text")).collect::<Result<_>>()?;
    let vocab_size = config.tokenizer.as_ref().and_then(|keys| keys.vocab_size).unwrap_or_default();
    tokenizer::make(&texts, vocab_size, config.length, config.seed, output.dir())
}

/// config.json, and a checkpoint before the first step: first weights, or the checkpoint's.
fn start(
    config: &TrainConfig,
    sources: &Sources,
    output: &Output,
    checkpoints: &Checkpoints,
    tokens: &Tokens,
) -> Result<()> {
    let vocab_size = Tokenizer::read(output.dir())?.max_id() as usize + 1;
    let json = network::config_json(config, sources.checkpoint.as_deref(), vocab_size)?;
    write_whole(&output.path("config.json"), format!("{json:#}\n").as_bytes())?;
    let weights = match &sources.checkpoint {
        None => network::first_weights(&json, config.seed),
        Some(dir) => network::named_tensors(&Checkpoint::open(dir)?.load(&burn::tensor::Device::flex())?),
    };
    let state = State {
        step: 0,
        seconds: 0.0,
        validation_loss: None,
        corpus_sha256: tokens.about.sha256.clone(),
        sessions: Vec::new(),
    };
    checkpoints.write(&weights, &state)
}
