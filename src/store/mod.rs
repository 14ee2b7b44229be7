//! A results directory: what was asked for, where it ran, and every sample as it finished.
//!
//! `config.toml` and `environment.json` say what the numbers belong to; `samples.jsonl` gets one line a
//! sample x encoding, written and flushed as it finishes. A run that is killed loses at most the sample under
//! way: the next run drops a line that was cut and continues. The directory is locked while a run writes to
//! it.

mod compare;
mod environment;
mod line;
mod merge;
mod read;
mod shard;
mod texts;

pub use compare::Compared;
pub use environment::{Environment, LeftOutRecord};
pub use line::{Measured, SampleKey, SampleLine};
pub use merge::Disagreement;
pub use read::StoredSample;
pub use shard::Shard;
pub use texts::StoredText;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::{Config, difference, one_line};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{append, lock, make_directory, read_text, unwritable, write_whole};
use crate::provenance;
use read::{FileOfSamples, Sources, read_samples};

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
        let found = read_samples(&file, &path, sources.next(), &config)?;
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

    /// What the task made of a sample; none if it failed.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when its file has changed since it was read.
    pub fn outcome(&self, sample: &StoredSample) -> Result<Option<Value>> {
        self.sources.outcome(sample)
    }

    /// The key of a result.
    pub fn key(&self, sample: &StoredSample) -> SampleKey {
        SampleKey {
            model: self.config.models[sample.model].name.clone(),
            encoding: self.config.encodings[sample.encoding].name.clone(),
            task: self.config.tasks[sample.task].name.clone(),
            sample: sample.sample.to_string(),
        }
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
}

impl Store {
    /// Opens a directory for a run: makes it, or continues where an earlier run of the same config and shard
    /// on the same models, data and device stopped. `fresh` starts over. `texts` are those that reports show.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when the directory holds results of something else, or is in use;
    /// [`ErrorKind::Write`] when it cannot be written.
    pub fn open(
        dir: &Path,
        config: &Config,
        environment: Environment,
        texts: &[StoredText],
        fresh: bool,
    ) -> Result<Store> {
        make_directory(dir)?;
        let path = dir.join(SAMPLES);
        let mut samples = append(&path)?;
        lock(&samples, dir)?;
        if fresh {
            samples.set_len(0).map_err(|e| unwritable(&path, &e))?;
        }
        let earlier = dir.join(ENVIRONMENT).exists() && dir.join(CONFIG).exists() && !fresh;
        let environment = if earlier {
            refuse_other_config(dir, config)?;
            Environment::read(&dir.join(ENVIRONMENT))?.resumed(environment).map_err(|e| e.in_file(dir))?
        } else {
            environment
        };
        let found = read_done(&mut samples, &path, earlier, config)?;
        if !earlier && found.whole > 0 {
            return Err(Error::new(
                ErrorKind::Results,
                "samples.jsonl has results and its config.toml is gone",
            )
            .in_file(dir)
            .fix("put config.toml and environment.json back, or start over with --fresh"));
        }
        write_whole(&dir.join(CONFIG), config.resolved().to_string().as_bytes())?;
        let failed = found.samples.iter().filter(|sample| sample.failed.is_some()).count();
        let done = keys(&found, config);
        let store = Store { dir: dir.to_path_buf(), samples, bytes: found.whole, done, failed, environment };
        store.write_environment()?;
        texts::write(dir, texts)?;
        Ok(store)
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

/// Keys of the results that a run would find in a directory and continue from, as [`Store::open`] does;
/// nothing is written.
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
    Ok(keys(&read_samples(&open(&path)?, &path, 0, config)?, config))
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
    found
        .samples
        .iter()
        .map(|sample| SampleKey {
            model: config.models[sample.model].name.clone(),
            encoding: config.encodings[sample.encoding].name.clone(),
            task: config.tasks[sample.task].name.clone(),
            sample: sample.sample.to_string(),
        })
        .collect()
}

/// Refuses to resume under another config.
fn refuse_other_config(dir: &Path, config: &Config) -> Result<()> {
    let path = dir.join(CONFIG);
    let text = read_text(&path, ErrorKind::Results)?;
    let earlier: toml::Table = toml::from_str(&text).map_err(|e| {
        Error::new(ErrorKind::Results, format!("not valid TOML: {}", one_line(&e)))
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

/// The stored results; drops a last line that was cut. Without their config (`known`), only whether there are
/// any.
fn read_done(samples: &mut File, path: &Path, known: bool, config: &Config) -> Result<FileOfSamples> {
    if !known {
        let whole = samples.metadata().map_err(|e| unwritable(path, &e))?.len();
        return Ok(FileOfSamples { samples: Vec::new(), whole, cut: 0, unchecked: 0 });
    }
    samples.rewind().map_err(|e| unwritable(path, &e))?;
    let found = read_samples(samples, path, 0, config)?;
    if found.cut > 0 {
        let cut = samples.set_len(found.whole).and_then(|()| samples.seek(SeekFrom::End(0)));
        cut.map_err(|e| unwritable(path, &e))?;
    }
    Ok(found)
}
