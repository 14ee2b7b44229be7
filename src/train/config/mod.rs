//! A training's config, from TOML: [`keys`] lists its keys, [`check`] refuses what makes no sense.

mod check;
mod keys;

pub use keys::*;

use std::path::{Path, PathBuf};

use crate::config::overrides;
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;

impl TrainConfig {
    /// Reads and checks a config file, with `--set key.path=value` overrides; also gives the
    /// directories that its relative paths are looked for in.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the file and the key.
    pub fn read(path: &Path, set: &[String]) -> Result<(TrainConfig, Vec<PathBuf>)> {
        let text = read_text(path, ErrorKind::Config)?;
        let config = TrainConfig::parse(&text, set).map_err(|e| e.in_file(path))?;
        Ok((config, crate::config::search_beside(path)))
    }

    /// Parses and checks a config; see [`TrainConfig::read`].
    ///
    /// # Errors
    /// As [`TrainConfig::read`], without the file's name.
    pub fn parse(text: &str, set: &[String]) -> Result<TrainConfig> {
        let mut table: toml::Table = toml::from_str(text).map_err(|e| {
            let what = format!("not valid TOML: {}", crate::config::one_line(&e));
            Error::new(ErrorKind::Config, what).fix("fix the syntax")
        })?;
        overrides::apply(&mut table, set)?;
        // Back to text, so that the message has the line with the section and the key.
        let config: TrainConfig = toml::from_str(&table.to_string()).map_err(|e| key_error(&e))?;
        check::check(&config)?;
        Ok(config)
    }
}

/// The error of an unknown or missing key, or of a value of the wrong type.
fn key_error(error: &toml::de::Error) -> Error {
    let fix = "fix the key; configs/train-nano.toml has every key";
    let error_in = |place: Option<&str>| {
        let e = Error::new(ErrorKind::Config, error.message().replace('\n', " ")).fix(fix);
        match place {
            Some(place) => e.at(place),
            None => e,
        }
    };
    // toml's own text shows the line: `3 | window = 4`.
    let text = error.to_string();
    let line = text.lines().find_map(|line| line.split_once(" | ").map(|(_, line)| line.trim()));
    error_in(line.filter(|line| !line.is_empty()).map(|line| format!("`{line}`")).as_deref())
}
