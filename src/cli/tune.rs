//! `longcode tune`

use std::path::{Path, PathBuf};

use super::asked::set_precision;
use super::{print, wanted_by};
use crate::config::Config;
use crate::device::DeviceChoice;
use crate::error::Result;
use crate::kernels::Precision;
use crate::tune::tune;

/// Search an encoding's keys on calibration documents: the best of the rows that a config's lists make
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  longcode tune configs/tune.toml\n\nLists in [[encoding]] are the ranges. Rungs of \
fewer and fewer rows on more and more documents (successive halving);\nthe last two are measured on documents that had \
no part in the choice. [tune] takes\n  objective         the task's main figure, another one by name, or \
context_advantage\n  baseline          an encoding to measure beside, as \"rope:context=512\"\n  check             \
documents a bucket, of the task's samples, that only measure the choice (8)\n  reduction_factor  of so many rows one \
stays, on so many times the documents (2)"
)]
pub(super) struct Args {
    /// The config, TOML
    config: PathBuf,
    /// Results directory [default: results/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// What matrix products are made of: f32, split or bf16 on the CPU; f32 or f16 on a GPU
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
    /// Start over instead of resuming
    #[arg(long)]
    fresh: bool,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let mut config = Config::read(&self.config, &self.set)?;
        set_precision(&mut config, self.precision)?;
        if self.download {
            config.download()?;
        }
        let device = self.device.open(|| wanted_by(&config))?;
        status!("device: {}", device.name);
        let out = self.out.unwrap_or_else(|| Path::new("results").join(&config.name));
        let found = tune(config, &device, &out, self.fresh).map_err(|e| e.in_file(&self.config))?;
        print(&found)
    }
}
