//! `longcode run`

use std::path::{Path, PathBuf};

use super::{kinds_help, report};
use crate::config::Config;
use crate::device::DeviceChoice;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Precision;
use crate::run::{RunOptions, run};
use crate::store::Results;

/// Compare encodings on models and tasks as a config says; running again continues where it stopped
#[derive(Debug, clap::Args)]
#[command(after_help = kinds_help("  longcode run configs/quickstart.toml
  longcode run configs/quickstart.toml --set task.samples=1 --set encoding.HiRoPE.window=64 --out /tmp/try"))]
pub struct Args {
    /// The config, TOML
    config: PathBuf,
    /// Results directory [default: results/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// What matrix products are made of, for every model: f32, split or bf16 on the CPU; f32 or f16 on a GPU
    /// [default: the config's, else f32]
    #[arg(long)]
    precision: Option<Precision>,
    /// At most N samples of each bucket of each task; a later run without it goes on
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Samples that generate side by side: faster, and the same text; needs memory for each
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Override a key of the config, as task.samples=5
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Fetch models and data sets that the config names by org/name from the Hugging Face hub, if they are not in the
    /// cache
    #[arg(long)]
    download: bool,
    /// Start over instead of going on
    #[arg(long)]
    fresh: bool,
}

impl Args {
    pub fn execute(self) -> Result<()> {
        let options = RunOptions { limit: self.limit, fresh: self.fresh, batch: self.batch };
        options.check()?;
        let mut config = Config::read(&self.config, &self.set)?;
        if config.tune.is_some() {
            return Err(Error::new(ErrorKind::Config, "this config is of a search")
                .at("[tune]")
                .in_file(&self.config)
                .fix("use `longcode tune`, or take [tune] out to run every row on every document"));
        }
        for model in &mut config.models {
            model.precision = self.precision.unwrap_or(model.precision);
        }
        if self.download {
            config.download()?;
        }
        let device = self.device.open()?;
        eprintln!("device: {}", device.name);
        let out = self.out.unwrap_or_else(|| Path::new("results").join(&config.name));
        run(&config, &device, &out, options)?;
        report::write(&Results::read(&out)?, &out, None)
    }
}
