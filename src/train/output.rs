//! The output directory: a Hugging Face directory in the making, and the training's working files.
//!
//! `train.toml` (the resolved config) says which training the directory belongs to; `work/` holds tokens and
//! checkpoints and may be removed when the training is done.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::config::TrainConfig;
use crate::config::difference;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{append, lock, make_directory, make_directory_inside, read_text, unwritable, write_whole};

const CONFIG: &str = "train.toml";
const WORK: &str = "work";
const LOCK: &str = "lock";

/// Files of the result and of the training: all that `--fresh` removes besides `work/`.
const FILES: &[&str] = &[
    CONFIG,
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "training.csv",
    "training.json",
];

/// What to do with an existing training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuse it: the output directory must be new.
    New,
    /// Resume it, or start if there is none.
    Resume,
    /// Remove it and start over.
    Fresh,
}

/// A directory that only this process writes to.
pub struct Output {
    dir: PathBuf,
    _lock: File,
}

impl Output {
    /// Makes the directory, or takes over the training in it.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when something is there that `mode` does not allow, another config's
    /// training, or another process at work; [`ErrorKind::Write`].
    pub fn open(dir: &Path, config: &TrainConfig, mode: Mode) -> Result<Output> {
        let ours = dir.join(CONFIG).exists();
        let empty = fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
        let refused = |what: &str, fix: &str| Err(Error::new(ErrorKind::Results, what).in_file(dir).fix(fix));
        if !ours && !empty {
            return refused("the directory holds something else than a training", "give another --out");
        }
        if ours && mode == Mode::New {
            return refused(
                "a training is there already",
                "resume it with --resume, start over with --fresh, or give another --out",
            );
        }
        if ours && mode == Mode::Resume {
            refuse_other_config(dir, config)?;
        }
        make_directory(dir)?;
        let work = make_directory_inside(dir, Path::new(WORK))?;
        let file = append(&work.join(LOCK))?;
        lock(&file, dir)?;
        if ours && mode == Mode::Fresh {
            remove(dir)?;
        }
        write_whole(&dir.join(CONFIG), resolved(config).to_string().as_bytes())?;
        Ok(Output { dir: dir.to_path_buf(), _lock: file })
    }

    /// The path of the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where tokens and checkpoints are.
    pub fn work(&self) -> PathBuf {
        self.dir.join(WORK)
    }

    /// A file of the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The config with its defaults.
pub fn resolved(config: &TrainConfig) -> toml::Table {
    toml::Table::try_from(config).expect("plain data")
}

fn refuse_other_config(dir: &Path, config: &TrainConfig) -> Result<()> {
    let path = dir.join(CONFIG);
    let earlier: toml::Table = toml::from_str(&read_text(&path, ErrorKind::Results)?).map_err(|e| {
        Error::new(ErrorKind::Results, format!("not valid TOML: {}", e.message()))
            .in_file(&path)
            .fix("restore the file, or start over with --fresh")
    })?;
    match difference(earlier, resolved(config), ["there", "now"]) {
        None => Ok(()),
        Some(what) => {
            Err(Error::new(ErrorKind::Results, format!("the training there is of another config: {what}"))
                .in_file(dir)
                .fix("give another --out, or start over with --fresh"))
        }
    }
}

/// Removes a training, except for the lock.
fn remove(dir: &Path) -> Result<()> {
    let work = dir.join(WORK);
    let entries = fs::read_dir(&work).map_err(|e| unwritable(&work, &e))?;
    let in_work = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !path.ends_with(LOCK));
    for path in in_work.chain(FILES.iter().map(|name| dir.join(name))) {
        // A link itself is removed, not its target.
        let Ok(there) = path.symlink_metadata() else { continue };
        let removed = if there.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|e| unwritable(&path, &e))?;
    }
    Ok(())
}
