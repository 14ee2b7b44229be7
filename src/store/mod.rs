//! A results directory: what was asked for, where it ran, and every sample as it finished.
//!
//! `config.toml` and `environment.json` say what the numbers belong to; `samples.jsonl` gets one line a
//! sample x encoding, written and flushed as it finishes. A run that is killed loses at most the sample under
//! way: the next run drops a line that was cut and continues. The directory is locked while a run writes to
//! it.

mod compare;
mod continued;
mod environment;
mod evaluated;
mod growth;
mod line;
mod merge;
mod part;
mod read;
mod shard;
mod texts;

pub use compare::Compared;
pub use environment::{Environment, Grown, LeftOutRecord, SampleCount};
pub use evaluated::{Evaluated, EvaluatedFile};
pub use growth::{Drawn, DrawnSamples};
pub use line::{Measured, SampleKey, SampleLine};
pub use merge::Disagreement;
pub use read::StoredSample;
pub use shard::Shard;
pub use texts::{StoredText, TextOf, add_texts};

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::{Config, EncodingEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{append, lock, make_directory, unwritable, write_whole};
use crate::provenance;
use continued::{Continued, key};
use read::{FileOfSamples, Names, Sources, read_samples};

const CONFIG: &str = "config.toml";
const ENVIRONMENT: &str = "environment.json";
const SAMPLES: &str = "samples.jsonl";
const TEXTS: &str = "texts.jsonl.gz";

/// Everything a results directory holds, or several of the same config.
#[derive(Debug)]
pub struct Results {
    /// The config, resolved.
    pub config: Config,
    /// Where it ran: one for each directory, at least one.
    pub environments: Vec<Environment>,
    /// In the order they finished, directory by directory, each key once.
    pub samples: Vec<StoredSample>,
    /// Samples that were measured more than once.
    pub repeated: usize,
    /// Those of them whose outcomes differ; the first is in `samples`.
    pub disagreements: Vec<Disagreement>,
    /// What is doubtful about how they are stored, in words.
    pub notes: Vec<String>,
    /// Texts of some samples, for people to read.
    pub texts: Vec<StoredText>,
    /// Which runs these are, where they are several of different configs.
    pub compared: Option<Compared>,
    sources: Sources,
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
        let config = Config::read(&config_path, &[])?;
        let environment = Environment::read(&dir.join(ENVIRONMENT))?;
        environment.refuse_other_models(&config).map_err(|e| e.in_file(&dir.join(ENVIRONMENT)))?;
        let path = dir.join(SAMPLES);
        let file = open(&path)?;
        let mut sources = Sources::default();
        let found = read_samples(&file, &path, sources.next(), &Names::of(&config))?;
        let notes = notes(&found, &path);
        sources.push(path, file);
        let results = Results {
            config,
            environments: vec![environment],
            samples: Vec::new(),
            repeated: 0,
            disagreements: Vec::new(),
            notes,
            texts: texts::read(dir)?,
            compared: None,
            sources,
        };
        results.with(found.samples, dir)
    }

    /// Where it ran first, with the models and data sets of all directories.
    pub fn environment(&self) -> &Environment {
        &self.environments[0]
    }

    /// The encodings for a model, numbered as in the config, with nothing relative in them.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when one makes no sense for the trained length that is stored, which no run stores.
    pub fn encodings_of(&self, model: &str) -> Result<Vec<EncodingEntry>> {
        let length = self.environment().models.iter().find(|one| one.name == model);
        let length = length.map_or(0, |model| model.trained_length);
        self.config.encodings_at(length).map_err(|e| Error { kind: ErrorKind::Results, ..e })
    }

    /// What the task made of a sample; none if it failed.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when its file has changed since it was read.
    pub fn outcome(&self, sample: &StoredSample) -> Result<Option<Value>> {
        self.sources.outcome(sample)
    }

    /// The key of a result.
    pub fn key(&self, sample: &StoredSample) -> SampleKey {
        key(sample, &self.config)
    }

    /// The error of a stored sample that is not a result: what is wrong, where it is stored, and what to do.
    pub(crate) fn bad_sample(&self, sample: &StoredSample, what: String) -> Error {
        Error::new(ErrorKind::Results, what).at(self.sources.place(sample)).fix(read::LINE_FIX)
    }
}

/// What is doubtful about a file of samples.
fn notes(found: &FileOfSamples, path: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    if found.unchecked > 0 {
        notes.push(format!(
            "{}: {} of {} lines have no checksum, as an earlier longcode stored them: damage would not be seen",
            path.display(),
            found.unchecked,
            found.samples.len()
        ));
    }
    if found.cut > 0 {
        notes.push(format!(
            "{}: the last line was cut ({} bytes), and does not count",
            path.display(),
            found.cut
        ));
    }
    notes
}

fn open(path: &Path) -> Result<File> {
    crate::files::open(path).map_err(|e| {
        Error::new(ErrorKind::Results, format!("cannot read the file: {e}"))
            .in_file(path)
            .fix("check the path and its permissions")
    })
}

/// What a run asks of a results directory.
pub struct Asked<'a> {
    /// Its config.
    pub config: &'a Config,
    /// Where it runs, and on what.
    pub environment: Environment,
    /// Its samples, against which stored ones are checked; none for what may not grow.
    pub samples: DrawnSamples,
    /// The texts that reports show.
    pub texts: Vec<StoredText>,
}

/// A results directory that a run appends to.
pub struct Store {
    dir: PathBuf,
    samples: File,
    /// Bytes that the file holds.
    bytes: u64,
    done: HashSet<SampleKey>,
    /// How many of them failed.
    failed: usize,
    environment: Environment,
    words: Vec<String>,
}

impl Store {
    /// Opens a directory for a run: makes it, or continues what an earlier run stored on the same device, whose results
    /// are those of the same models, encodings, tasks and data, or of some of them; a shard or a search continues the
    /// same config alone. `fresh` starts over.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when the directory holds results of something else, or is in use;
    /// [`ErrorKind::Write`] when it cannot be written.
    pub fn open(dir: &Path, asked: Asked, fresh: bool) -> Result<Store> {
        make_directory(dir)?;
        let path = dir.join(SAMPLES);
        let mut samples = append(&path)?;
        lock(&samples, dir)?;
        if fresh {
            samples.set_len(0).map_err(|e| unwritable(&path, &e))?;
            evaluated::remove(dir)?;
        }
        let mut continued = if has_results(dir) && !fresh {
            samples.rewind().map_err(|e| unwritable(&path, &e))?;
            Continued::read(dir, &samples, asked)?
        } else {
            refuse_unknown(&samples, dir)?;
            Continued::nothing(asked)
        };
        if continued.found.cut > 0 {
            let cut = samples.set_len(continued.found.whole).and_then(|()| samples.seek(SeekFrom::End(0)));
            cut.map_err(|e| unwritable(&path, &e))?;
        }
        samples = continued.rename_lines(samples, dir)?;
        let Continued { config, environment, texts, found, words, .. } = continued;
        write_whole(&dir.join(CONFIG), config.resolved().to_string().as_bytes())?;
        let failed = found.samples.iter().filter(|sample| sample.failed.is_some()).count();
        let done = keys(&found, &config);
        let dir = dir.to_path_buf();
        let store = Store { dir, samples, bytes: found.whole, done, failed, environment, words };
        store.write_environment()?;
        texts::write(&store.dir, &texts)?;
        Ok(store)
    }

    /// What the run adds to what is stored, or leaves there besides what it asks for, in words.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Samples x encodings of all that the directory is of.
    pub fn planned(&self) -> usize {
        self.environment.planned
    }

    /// Results that earlier runs stored.
    pub fn done(&self) -> &HashSet<SampleKey> {
        &self.done
    }

    /// How many of them are failures.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Appends one result and flushes it.
    ///
    /// # Errors
    /// [`ErrorKind::Write`]; the results before it stay whole.
    pub fn append(&mut self, line: &SampleLine) -> Result<()> {
        self.refuse_changed()?;
        let text = line.text();
        let written = self.samples.write_all(text.as_bytes()).and_then(|()| self.samples.sync_data());
        written.map_err(|e| unwritable(&self.dir.join(SAMPLES), &e))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Adds what a reader of the figures must know to what the results record.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub fn add_notes(&mut self, notes: Vec<String>) -> Result<()> {
        let known = self.environment.notes.len();
        for note in notes {
            if !self.environment.notes.contains(&note) {
                self.environment.notes.push(note);
            }
        }
        if self.environment.notes.len() > known { self.write_environment() } else { Ok(()) }
    }

    /// Notes when the run ended.
    ///
    /// # Errors
    /// [`ErrorKind::Write`], also if stored results are no longer there.
    pub fn finish(&mut self) -> Result<()> {
        self.refuse_changed()?;
        self.environment.finished = Some(provenance::now());
        self.write_environment()
    }

    /// Refuses to continue if the results were deleted, moved, cut or added to during the run: what is stored
    /// from then on would be lost, or would damage a line.
    fn refuse_changed(&self) -> Result<()> {
        let path = self.dir.join(SAMPLES);
        let changed = |what: String| {
            Err(Error::new(ErrorKind::Write, what)
                .in_file(&path)
                .fix("find out what changed it, then run the same command again: what is missing is computed again"))
        };
        if !is_there(&path, &self.samples) {
            return changed("the results were deleted or moved under this run".into());
        }
        let there = self.samples.metadata().map_err(|e| unwritable(&path, &e))?.len();
        let bytes = self.bytes;
        match there.cmp(&bytes) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => changed(format!(
                "the results were cut under this run: {there} of {bytes} bytes that were stored are there"
            )),
            std::cmp::Ordering::Greater => changed(format!(
                "something else wrote to the results under this run: {there} bytes are there, and {bytes} were stored"
            )),
        }
    }

    fn write_environment(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.environment).expect("plain data");
        write_whole(&self.dir.join(ENVIRONMENT), text.as_bytes())
    }
}

/// What a run would find in a directory, and continue.
#[derive(Debug, Default)]
pub struct Stored {
    /// Keys of the results.
    pub keys: HashSet<SampleKey>,
    /// What the run would add, or leave there besides what it asks for, in words.
    pub words: Vec<String>,
}

impl Stored {
    /// Reads a directory as [`Store::open`] does; nothing is written.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when the directory holds results of something else.
    pub fn read(dir: &Path, asked: Asked) -> Result<Stored> {
        if !has_results(dir) {
            return Ok(Stored::default());
        }
        let continued = Continued::read(dir, &open(&dir.join(SAMPLES))?, asked)?;
        Ok(Stored { keys: keys(&continued.found, &continued.config), words: continued.words })
    }
}

/// Whether a directory says what its results are of.
fn has_results(dir: &Path) -> bool {
    dir.join(ENVIRONMENT).exists() && dir.join(CONFIG).exists()
}

/// Refuses results of which nothing says what they are of.
fn refuse_unknown(samples: &File, dir: &Path) -> Result<()> {
    let bytes = samples.metadata().map_err(|e| unwritable(&dir.join(SAMPLES), &e))?.len();
    if bytes == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Results, "samples.jsonl has results and its config.toml is gone")
        .in_file(dir)
        .fix("put config.toml and environment.json back, or start over with --fresh"))
}

/// Whether a path is that of an open file.
fn is_there(path: &Path, file: &File) -> bool {
    let (Ok(named), Ok(open)) = (fs::metadata(path), file.metadata()) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (named.dev(), named.ino()) == (open.dev(), open.ino())
    }
    #[cfg(not(unix))]
    {
        // On Windows an open file can be neither deleted nor moved.
        named.is_file() == open.is_file()
    }
}

/// Keys of stored results.
fn keys(found: &FileOfSamples, config: &Config) -> HashSet<SampleKey> {
    found.samples.iter().map(|sample| key(sample, config)).collect()
}
