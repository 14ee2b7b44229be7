//! `longcode run`

use std::path::{Path, PathBuf};

use super::asked::AskedConfig;
use super::{kinds_help, report, tasks_help, wanted_by};
use crate::config::Config;
use crate::device::DeviceChoices;
use crate::error::{Error, ErrorKind, Result};
use crate::report::samples_without_text;
use crate::run::{RunOptions, run};
use crate::store::{Results, Shard};

/// Compare encodings on models and tasks as a config says; running again continues where it stopped, also with more
/// models, encodings, tasks and samples
#[derive(Debug, clap::Args)]
#[command(after_help = kinds_help("  longcode run configs/quickstart.toml
  longcode run configs/quickstart.toml --set task.samples=1 --set encoding.HiRoPE.window=64 --out results/try") + &tasks_help())]
pub(super) struct Args {
    #[command(flatten)]
    config: AskedConfig,
    /// Results directory [default: results/NAME, for a shard results/NAME-I-of-N]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// auto, cpu, wgpu or wgpu:N; several with commas between, or all for every GPU with its own memory, share
    /// the samples
    #[arg(long, default_value = "auto")]
    device: DeviceChoices,
    /// At most N samples of each bucket of each task; a later run without it does the rest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Samples that generate side by side: faster, and the same text; needs memory for each
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// Part I of N of the samples, under every encoding, for one of N machines; `longcode report` makes one
    /// report of all parts
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Start over instead of resuming
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    show: report::Show,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let shard = self.shard.as_deref().map(Shard::parse).transpose()?;
        let options = RunOptions { limit: self.limit, fresh: self.fresh, batch: self.batch, shard };
        options.check()?;
        let config = self.config.read()?;
        let out = self.out.unwrap_or_else(|| results_directory(&config, shard));
        run_and_report(&config, &self.device, &out, options, self.show)
    }
}

/// Runs a config, and reports what is stored then.
pub(super) fn run_and_report(
    config: &Config,
    device: &DeviceChoices,
    out: &Path,
    options: RunOptions,
    show: report::Show,
) -> Result<()> {
    let devices = device.open(|| wanted_by(config))?;
    devices.iter().for_each(|device| status!("device: {}", device.name));
    let ran = run(config, &devices, out, options)?;
    let mut results = Results::read(out)?;
    let wanted = samples_without_text(&results)?;
    if !wanted.is_empty() {
        ran.keep_texts(out, &wanted)?;
        results = Results::read(out)?;
    }
    report::write(&results, out, None, &[], show)?;
    refuse_lost(&results, ran.stored, out)?;
    refuse_all_failed(&results)
}

/// Refuses results with fewer samples than were stored.
fn refuse_lost(results: &Results, stored: usize, out: &Path) -> Result<()> {
    let there = results.samples.len();
    if there >= stored {
        return Ok(());
    }
    let what = format!("{there} of {stored} results that were stored are there: something took them away");
    Err(Error::new(ErrorKind::Write, what)
        .in_file(out)
        .fix("find out what changed samples.jsonl, then run the same command again: what is missing is computed again"))
}

/// Refuses results that are all failures: most likely the model is broken, which says nothing about
/// encodings.
fn refuse_all_failed(results: &Results) -> Result<()> {
    let Some((first, why)) = results.samples.first().and_then(|one| Some((one, one.failed.as_ref()?))) else {
        return Ok(());
    };
    if results.samples.iter().any(|sample| sample.failed.is_none()) {
        return Ok(());
    }
    let (count, key) = (results.samples.len(), results.key(first));
    Err(Error::new(ErrorKind::NotFinite, format!("all {count} samples x encodings failed: {why}"))
        .at(format_args!("sample \"{}\", encoding \"{}\"", key.sample, key.encoding))
        .at(format_args!("model \"{}\"", key.model))
        .fix("check the checkpoint's weights and the encodings' keys; then --fresh, as failures are not tried again"))
}

/// Where results go by default: every shard has its own directory.
pub(super) fn results_directory(config: &Config, shard: Option<Shard>) -> PathBuf {
    let name = match shard {
        None => config.name.clone(),
        Some(shard) => format!("{}-{}-of-{}", config.name, shard.index() + 1, shard.count()),
    };
    Path::new("results").join(name)
}
