//! Stored results that a run continues: read, checked against what it asks for, and put under its names.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::Path;

use super::growth::{Growth, Renames, other, refuse_other_samples};
use super::read::{FileOfSamples, Names, StoredSample, read_samples};
use super::{Asked, CONFIG, Drawn, ENVIRONMENT, Environment, SAMPLES, SampleKey, StoredText, line, texts};
use crate::config::{Config, difference};
use crate::error::{Error, ErrorKind, Result};
use crate::files::{append, lock, unwritable, write_whole_by};

/// What a results directory is of once a run continues it.
pub(super) struct Continued {
    pub(super) config: Config,
    pub(super) environment: Environment,
    pub(super) texts: Vec<StoredText>,
    /// What is stored, numbered as in `config`.
    pub(super) found: FileOfSamples,
    /// What the run adds, renames or leaves as it is, in words.
    pub(super) words: Vec<String>,
    renames: Renames,
}

impl Continued {
    /// A directory in which nothing is stored.
    pub(super) fn nothing(asked: Asked) -> Continued {
        let Asked { config, environment, texts, .. } = asked;
        let found = FileOfSamples { samples: Vec::new(), whole: 0, cut: 0, unchecked: 0 };
        let (words, renames) = (Vec::new(), Renames::default());
        Continued { config: config.clone(), environment, texts, found, words, renames }
    }

    /// Reads a directory whose file of samples is open at its start.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when what is stored is broken, or of something else.
    pub(super) fn read(dir: &Path, samples: &File, asked: Asked) -> Result<Continued> {
        let there = Environment::read(&dir.join(ENVIRONMENT))?;
        let stored = stored_config(dir)?;
        let is_fixed = [&there, &asked.environment].iter().any(|one| one.shard.is_some())
            || [&stored, asked.config].iter().any(|one| one.tune.is_some());
        if is_fixed {
            Continued::unchanged(dir, samples, (stored, there), asked)
        } else {
            Continued::grown(dir, samples, (stored, there), asked)
        }
    }

    /// Continues a shard or a search, in which samples and rows are chosen by all that the config says.
    fn unchanged(
        dir: &Path,
        samples: &File,
        (stored, there): (Config, Environment),
        asked: Asked,
    ) -> Result<Continued> {
        let Asked { config, environment, texts, .. } = asked;
        if let Some(what) = difference(stored.resolved(), config.resolved(), ["there", "now"]) {
            return Err(other(&format!("config: {what}")).in_file(dir));
        }
        let environment = there.resumed(environment).map_err(|e| e.in_file(dir))?;
        let found = read_samples(samples, &dir.join(SAMPLES), 0, &Names::of(config))?;
        let (words, renames) = (Vec::new(), Renames::default());
        Ok(Continued { config: config.clone(), environment, texts, found, words, renames })
    }

    fn grown(
        dir: &Path,
        samples: &File,
        (stored, there): (Config, Environment),
        asked: Asked,
    ) -> Result<Continued> {
        let now = asked.environment;
        if let Some(what) = there.other_device(&now) {
            return Err(other(&what).in_file(dir));
        }
        let Growth { config, renames, words, keeps } =
            Growth::between((&stored, &there), (asked.config, &now)).map_err(|e| e.in_file(dir))?;
        let names = Names::of(&config).with_earlier(&renames);
        let found = read_samples(samples, &dir.join(SAMPLES), 0, &names)?;
        let drawn = found.samples.iter().map(|one| (key(one, &config), drawn(one)));
        refuse_other_samples(drawn, &asked.samples).map_err(|e| e.in_file(dir))?;
        let mut environment =
            there.renamed(&renames).grown(now, &config, &words).map_err(|e| e.in_file(dir))?;
        environment.planned = planned(&config, &environment, &found.samples);
        let mut texts = asked.texts;
        if keeps {
            let earlier = texts::read(dir)?.into_iter().map(|text| text.renamed(&renames));
            let earlier: Vec<StoredText> = earlier.filter(|text| !texts.contains(text)).collect();
            texts.extend(earlier);
        }
        Ok(Continued { config, environment, texts, found, words, renames })
    }

    /// Puts the stored lines under the names of now: the file is replaced whole or not at all.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub(super) fn rename_lines(&mut self, samples: File, dir: &Path) -> Result<File> {
        if self.renames.is_empty() {
            return Ok(samples);
        }
        let path = dir.join(SAMPLES);
        write_whole_by(&path, |file| self.write_lines(&samples, file))?;
        let samples = append(&path)?;
        lock(&samples, dir)?;
        self.found.whole = samples.metadata().map_err(|e| unwritable(&path, &e))?.len();
        Ok(samples)
    }

    fn write_lines(&self, mut samples: &File, file: &mut File) -> io::Result<()> {
        samples.rewind()?;
        let mut file = BufWriter::new(file);
        for line in BufReader::new(samples).split(b'\n') {
            let renamed = line::renamed(&line?, |names| self.renames.of(names));
            file.write_all(&renamed.map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?)?;
        }
        file.flush()
    }
}

/// The config of a results directory.
fn stored_config(dir: &Path) -> Result<Config> {
    let path = dir.join(CONFIG);
    Config::read(&path, &[]).map_err(|e| {
        let what = Error { kind: ErrorKind::Results, fix: None, ..e };
        what.fix("restore the file, or start over with --fresh")
    })
}

/// The key of a stored result.
pub(super) fn key(sample: &StoredSample, config: &Config) -> SampleKey {
    SampleKey {
        model: config.models[sample.model].name.clone(),
        encoding: config.encodings[sample.encoding].name.clone(),
        task: config.tasks[sample.task].name.clone(),
        sample: sample.sample.to_string(),
    }
}

fn drawn(sample: &StoredSample) -> Drawn {
    Drawn { sha256: sample.sha256.to_string(), tokens: sample.tokens, bucket: sample.bucket.to_string() }
}

/// Samples x encodings of all that a directory is of; of a part that an earlier longcode ran, those that are stored.
pub(super) fn planned(config: &Config, environment: &Environment, samples: &[StoredSample]) -> usize {
    let mut all = 0;
    for (m, model) in config.models.iter().enumerate() {
        for (t, task) in config.tasks.iter().enumerate() {
            let known = environment.samples_of(&model.name, &task.name);
            let stored = || {
                let of = samples.iter().filter(|one| (one.model, one.task) == (m, t));
                of.map(|one| &one.sample).collect::<HashSet<_>>().len()
            };
            let rows = config.encodings.iter().filter(|entry| entry.is_for(model)).count();
            all += known.unwrap_or_else(stored) * rows;
        }
    }
    all
}
