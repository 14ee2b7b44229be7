//! `longcode train`

use std::path::{Path, PathBuf};

use super::print;
use crate::device::{DeviceChoice, Wanted};
use crate::error::Result;
use crate::train::{Mode, TrainConfig, train};

/// Train a model, from scratch or from a checkpoint, as a config says
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  longcode train configs/train-nano.toml\n  \
    longcode train configs/train-nano.toml --resume\n  \
    longcode train configs/train-nano.toml --set budget.minutes=5 --out results/try")]
pub(super) struct Args {
    /// The config, TOML
    config: PathBuf,
    /// Output directory [default: trained/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Override a key of the config, as budget.steps=100
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// Continue the training in the output directory, or start if there is none
    #[arg(long, conflicts_with = "fresh")]
    resume: bool,
    /// Remove the training in the output directory and start over
    #[arg(long)]
    fresh: bool,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let (config, search) = TrainConfig::read(&self.config, &self.set)?;
        let device = self.device.open(Wanted::default)?;
        status!("device: {}", device.name);
        let out = self.out.unwrap_or_else(|| Path::new("trained").join(&config.name));
        let mode = match (self.resume, self.fresh) {
            (true, _) => Mode::Resume,
            (_, true) => Mode::Fresh,
            _ => Mode::New,
        };
        print(&train(&config, &search, &device, &out, mode)?)
    }
}
