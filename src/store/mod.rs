//! A results directory: what was asked for, where it ran, and every sample as it finished.
//!
//! `config.toml` and `environment.json` say what the numbers belong to; `samples.jsonl` gets one line a
//! sample x encoding, written and flushed as it finishes. A run that is killed loses at most the sample
//! under way: the next run drops a line that was cut and goes on. The directory is locked while a run
//! writes to it.

mod environment;
mod merge;
mod shard;

pub(crate) use environment::now;
pub use environment::{DatasetHash, Environment, LeftOutRecord, ModelHash, Session};
pub use merge::Disagreement;
pub use shard::Shard;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Config, difference};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{append, lock, make_directory, read_bytes, read_text, unwritable, write_whole};

const CONFIG: &str = "config.toml";
const ENVIRONMENT: &str = "environment.json";
const SAMPLES: &str = "samples.jsonl";

/// A line of samples.jsonl: one sample under one encoding.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SampleLine {
    /// Which result this is.
    #[serde(flatten)]
    pub key: SampleKey,
    /// The task's bucket.
    pub bucket: String,
    /// Tokens of the sample.
    pub tokens: usize,
    /// sha256 of the sample's text.
    pub sha256: String,
    /// Wall time of this sample.
    pub seconds: f64,
    /// What the task made of it.
    pub outcome: Value,
}

/// Names of a result: one sample of one task, one model, one encoding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SampleKey {
    /// The model's name in the config.
    pub model: String,
    /// The encoding's name in the config.
    pub encoding: String,
    /// The task's name in the config.
    pub task: String,
    /// The sample's id.
    pub sample: String,
}

/// Everything a results directory holds, or several of the same config.
#[derive(Debug)]
pub struct Results {
    /// As resolved.
    pub config: Config,
    /// Where it ran: one a directory, at least one.
    pub environments: Vec<Environment>,
    /// In the order they finished, directory by directory, each key once.
    pub samples: Vec<SampleLine>,
    /// Samples that were measured more than once.
    pub repeated: usize,
    /// Those of them whose outcomes differ; the first is in `samples`.
    pub disagreements: Vec<Disagreement>,
}

impl Results {
    /// Reads a results directory, finished or not.
    ///
    /// # Errors
    /// [`ErrorKind::Results`], naming the file that is missing or broken.
    pub fn read(dir: &Path) -> Result<Results> {
        let config_path = dir.join(CONFIG);
        if !config_path.exists() {
            return Err(Error::new(ErrorKind::Results, "not a results directory: there is no config.toml")
                .in_file(dir)
                .fix("give a directory that `longcode run` made"));
        }
        let samples_path = dir.join(SAMPLES);
        let (samples, _) = parse_lines(&read_bytes(&samples_path, ErrorKind::Results)?, &samples_path)?;
        let results = Results {
            config: Config::read(&config_path, &[])?,
            environments: vec![Environment::read(&dir.join(ENVIRONMENT))?],
            samples: Vec::new(),
            repeated: 0,
            disagreements: Vec::new(),
        };
        Ok(results.with(samples, dir))
    }

    /// Where it ran first. Models and data sets are the same in all.
    pub fn environment(&self) -> &Environment {
        &self.environments[0]
    }
}

/// A results directory that a run appends to.
pub struct Store {
    dir: PathBuf,
    samples: File,
    done: HashSet<SampleKey>,
    environment: Environment,
}

impl Store {
    /// Opens a directory for a run: makes it, or goes on where an earlier run of the same config and shard on the
    /// same models, data and device stopped. `fresh` starts over.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when the directory holds results of something else, or is in use;
    /// [`ErrorKind::Write`] when it cannot be written.
    pub fn open(dir: &Path, config: &Config, environment: Environment, fresh: bool) -> Result<Store> {
        make_directory(dir)?;
        let path = dir.join(SAMPLES);
        let mut samples = append(&path)?;
        lock(&samples, dir)?;
        if fresh {
            samples.set_len(0).map_err(|e| unwritable(&path, &e))?;
        }
        let earlier = dir.join(ENVIRONMENT).exists() && dir.join(CONFIG).exists() && !fresh;
        let environment = match earlier {
            true => {
                refuse_other_config(dir, config)?;
                Environment::read(&dir.join(ENVIRONMENT))?.resumed(environment).map_err(|e| e.in_file(dir))?
            }
            false => environment,
        };
        let done = read_done(&mut samples, &path)?;
        if !earlier && !done.is_empty() {
            return Err(Error::new(
                ErrorKind::Results,
                "samples.jsonl has results and its config.toml is gone",
            )
            .in_file(dir)
            .fix("put config.toml and environment.json back, or start over with --fresh"));
        }
        write_whole(&dir.join(CONFIG), config.resolved().to_string().as_bytes())?;
        let store = Store { dir: dir.to_path_buf(), samples, done, environment };
        store.write_environment()?;
        Ok(store)
    }

    /// Results that earlier runs stored.
    pub fn done(&self) -> &HashSet<SampleKey> {
        &self.done
    }

    /// Appends one result and flushes it.
    ///
    /// # Errors
    /// [`ErrorKind::Write`]; the results before it stay whole.
    pub fn append(&mut self, line: &SampleLine) -> Result<()> {
        let mut text = serde_json::to_string(line).expect("plain data");
        text.push('\n');
        let written = self.samples.write_all(text.as_bytes()).and_then(|()| self.samples.sync_data());
        written.map_err(|e| unwritable(&self.dir.join(SAMPLES), &e))
    }

    /// Notes when the run ended.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub fn finish(&mut self) -> Result<()> {
        self.environment.finished = Some(environment::now());
        self.write_environment()
    }

    fn write_environment(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.environment).expect("plain data");
        write_whole(&self.dir.join(ENVIRONMENT), text.as_bytes())
    }
}

/// Keys of the results that a run would find in a directory and go on from, as [`Store::open`] does; nothing is
/// written.
///
/// # Errors
/// [`ErrorKind::Results`] when the directory holds results of something else.
pub fn stored(dir: &Path, config: &Config, environment: Environment) -> Result<HashSet<SampleKey>> {
    if !dir.join(ENVIRONMENT).exists() || !dir.join(CONFIG).exists() {
        return Ok(HashSet::new());
    }
    refuse_other_config(dir, config)?;
    Environment::read(&dir.join(ENVIRONMENT))?.resumed(environment).map_err(|e| e.in_file(dir))?;
    let path = dir.join(SAMPLES);
    let (lines, _) = parse_lines(&read_bytes(&path, ErrorKind::Results)?, &path)?;
    Ok(lines.into_iter().map(|line| line.key).collect())
}

/// Refuses to go on under another config.
fn refuse_other_config(dir: &Path, config: &Config) -> Result<()> {
    let path = dir.join(CONFIG);
    let text = read_text(&path, ErrorKind::Results)?;
    let earlier: toml::Table = toml::from_str(&text).map_err(|e| {
        Error::new(ErrorKind::Results, format!("not valid TOML: {}", e.message()))
            .in_file(&path)
            .fix("restore the file, or start over with --fresh")
    })?;
    match difference(earlier, config.resolved(), ["there", "now"]) {
        None => Ok(()),
        Some(what) => {
            Err(Error::new(ErrorKind::Results, format!("the results here are of another config: {what}"))
                .in_file(dir)
                .fix("give another --out, or start over with --fresh"))
        }
    }
}

/// Keys of the stored results; drops a last line that was cut.
fn read_done(samples: &mut File, path: &Path) -> Result<HashSet<SampleKey>> {
    let mut bytes = Vec::new();
    samples.rewind().and_then(|()| samples.read_to_end(&mut bytes)).map_err(|e| unwritable(path, &e))?;
    let (lines, whole) = parse_lines(&bytes, path)?;
    if whole < bytes.len() {
        let cut = samples.set_len(whole as u64).and_then(|()| samples.seek(SeekFrom::End(0)));
        cut.map_err(|e| unwritable(path, &e))?;
    }
    Ok(lines.into_iter().map(|line| line.key).collect())
}

/// Parses whole lines, and says how many bytes they are: a last line without a newline was cut, maybe
/// inside of a character, and is left out.
fn parse_lines(bytes: &[u8], path: &Path) -> Result<(Vec<SampleLine>, usize)> {
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let parse = |(number, line): (usize, &&[u8])| {
        serde_json::from_slice(line).map_err(|e| broken_line(path, number + 1, &e))
    };
    let lines: Vec<&[u8]> = bytes[..whole].split_inclusive(|&byte| byte == b'\n').collect();
    Ok((lines.par_iter().enumerate().map(parse).collect::<Result<_>>()?, whole))
}

fn broken_line(path: &Path, number: usize, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Results, format!("not a stored sample: {error}"))
        .at(format_args!("{}:{number}", path.display()))
        .fix("remove the line, which is then computed again, or start over with --fresh")
}
