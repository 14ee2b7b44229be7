//! The config that `run` and `plan` are asked for, with the changes from the command line.

use std::path::PathBuf;

use crate::config::{Config, Selection};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::Precision;

/// A config, and what to change in it
#[derive(Debug, Clone, clap::Args)]
pub(super) struct AskedConfig {
    /// The config, TOML
    config: PathBuf,
    /// What matrix products are made of, for every model: f32, split or bf16 on the CPU; f32 or f16 on a GPU
    /// [default: the config's, else f32]
    #[arg(long)]
    precision: Option<Precision>,
    /// Override a key of the config, such as task.samples=5
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Fetch models and data sets that the config names by org/name from the Hugging Face hub, if they are
    /// not in the cache
    #[arg(long)]
    download: bool,
    /// Leave out models that are missing, and tasks whose data are, with a message
    #[arg(long)]
    skip_missing: bool,
    #[command(flatten)]
    only: Only,
}

impl AskedConfig {
    /// Reads it, and finds what it names if that is to be fetched or left out.
    ///
    /// # Errors
    /// As [`Config::read`], and for the config of a search.
    pub(super) fn read(self) -> Result<Config> {
        let mut config = Config::read(&self.config, &self.set)?;
        if config.tune.is_some() {
            return Err(Error::new(ErrorKind::Config, "this config is of a search")
                .at("[tune]")
                .in_file(&self.config)
                .fix("use `longcode tune`, or take [tune] out to run every row on every document"));
        }
        config.keep(&self.only.selection())?;
        set_precision(&mut config, self.precision)?;
        if self.download {
            config.download()?;
        }
        if self.skip_missing {
            config.skip_missing()?;
        }
        config.open_encodings().map_err(|e| e.in_file(&self.config))?;
        Ok(config)
    }
}

/// Computes in a precision; served models compute in their server's.
///
/// # Errors
/// [`ErrorKind::Usage`] if all are served.
pub(super) fn set_precision(config: &mut Config, precision: Option<Precision>) -> Result<()> {
    let Some(precision) = precision else { return Ok(()) };
    if config.models.iter().all(|model| model.served.is_some()) {
        let what = "every model is served, and computes in its server's precision";
        return Err(Error::new(ErrorKind::Usage, what).at("--precision").fix("leave it out"));
    }
    for model in config.models.iter_mut().filter(|model| model.served.is_none()) {
        model.precision = precision;
    }
    Ok(())
}

/// A part of the config
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "A part of the config")]
pub(super) struct Only {
    /// This model alone: its name in the config, or a pattern with * and ?; again for another one
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// This encoding alone: the name of its row, or a pattern, as 'HiRoPE*'; again for another one
    #[arg(long = "encoding", value_name = "NAME")]
    encodings: Vec<String>,
    /// This task alone: its name in the config, or a pattern; again for another one
    #[arg(long = "task", value_name = "NAME")]
    tasks: Vec<String>,
}

impl Only {
    pub(super) fn selection(self) -> Selection {
        let Only { models, encodings, tasks } = self;
        Selection { models, encodings, tasks }
    }
}
