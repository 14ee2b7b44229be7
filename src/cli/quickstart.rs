//! `longcode quickstart`

use std::path::PathBuf;

use super::report::Show;
use super::run::run_and_report;
use crate::bundled;
use crate::config::Config;
use crate::device::DeviceChoices;
use crate::error::Result;
use crate::files::make_directory;
use crate::run::RunOptions;

/// Unpack a small model, real code and a config that the program carries, and run them: about two minutes on 2 cores, no
/// network
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  longcode quickstart\n  longcode quickstart try --no-run")]
pub(super) struct Args {
    /// The folder to unpack into; what is there stays as it is
    #[arg(default_value = "longcode-quickstart")]
    folder: PathBuf,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoices,
    /// At most N samples of each bucket of each task; a later call without it does the rest
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Unpack alone
    #[arg(long, conflicts_with = "limit")]
    no_run: bool,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let options = RunOptions { limit: self.limit, fresh: false, batch: 1, shard: None };
        options.check()?;
        make_directory(&self.folder)?;
        let others = bundled::unpack(&self.folder)?;
        let folder = self.folder.display();
        for name in others {
            note!("{folder}/{name} is not as the program carries it, and is taken as it is");
        }
        let path = self.folder.join(bundled::CONFIG);
        status!("unpacked; to change it, edit {0} and run: longcode run {0}", path.display());
        if self.no_run {
            return Ok(());
        }
        let config = Config::read(&path, &[])?;
        let out = self.folder.join("results").join(&config.name);
        run_and_report(&config, &self.device, &out, options, Show::default())
    }
}
