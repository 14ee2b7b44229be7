//! `longcode datasets`

use std::path::PathBuf;

use super::print;
use crate::dataset::{Listed, list};
use crate::error::Result;

/// List the data sets under datasets/, and how to get those that are missing
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  longcode datasets")]
pub(super) struct Args {
    /// Directories whose datasets/ is listed
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: Vec<PathBuf>,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let listed = list(&self.dir)?;
        if listed.is_empty() {
            return print(
                "no data sets: there is no datasets/NAME.toml here; `longcode quickstart --no-run` unpacks two\n",
            );
        }
        print(&listed.iter().map(describe).collect::<Vec<_>>().join("\n"))
    }
}

fn describe(set: &Listed) -> String {
    let manifest = &set.manifest;
    let state = if set.present { "present" } else { "MISSING" };
    let mut text = format!(
        "{} ({state}, {})\n  {}\n  licence: {}\n",
        manifest.name, manifest.format, manifest.what, manifest.licence
    );
    if !set.present {
        text.push_str(&format!("  missing: {}\n  to get it: {}\n", set.path.display(), manifest.obtain));
    }
    text
}
