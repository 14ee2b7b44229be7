//! `longcode report`

use std::path::PathBuf;

use super::print;
use crate::error::{Error, ErrorKind, Result};
use crate::report;
use crate::store::Results;

/// Make the tables of stored results again, finished or not
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  longcode report results/quickstart")]
pub struct Args {
    /// Results directories
    #[arg(required = true, value_name = "RESULTS_DIR")]
    dirs: Vec<PathBuf>,
    /// Where to write summary.csv and report.md; only with one results directory [default: there]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    pub fn execute(self) -> Result<()> {
        if self.out.is_some() && self.dirs.len() > 1 {
            return Err(Error::new(ErrorKind::Usage, "one directory cannot take the reports of several")
                .at("--out")
                .fix("report one directory at a time, or leave --out away"));
        }
        for dir in &self.dirs {
            let results = Results::read(dir)?;
            let out = self.out.as_ref().unwrap_or(dir);
            std::fs::create_dir_all(out).map_err(|e| {
                Error::new(ErrorKind::Write, format!("cannot make the directory: {e}"))
                    .in_file(out)
                    .fix("give another --out")
            })?;
            print(&report::write(&results, out)?)?;
        }
        Ok(())
    }
}
