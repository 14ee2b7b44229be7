//! `longcode report`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::print_as_it_is;
use crate::error::{Error, ErrorKind, Result};
use crate::files::make_directory;
use crate::report::{Report, terminal};
use crate::store::Results;

/// Make tables and pictures of stored results, finished or not; several directories of one config are
/// reported as one
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  longcode report results/quickstart --baseline ReRoPE\n  \
    longcode report results/machine-1 results/machine-2 --out results/both")]
pub(super) struct Args {
    /// Results directories of the same config, models and data
    #[arg(required = true, value_name = "RESULTS_DIR")]
    dirs: Vec<PathBuf>,
    /// Where to write; needed with several results directories [default: there]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The encoding that differences are taken from [default: the first with a context, otherwise the first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let out = match (&self.out, &self.dirs[..]) {
            (Some(out), _) => out,
            (None, [dir]) => dir,
            (None, _) => {
                let what = "several results directories make one report, and it has no place";
                return Err(Error::new(ErrorKind::Usage, what).at("--out").fix("add --out DIR"));
            }
        };
        let results = Results::read_all(&self.dirs)?;
        refuse_trials(&results, &self.dirs[0])?;
        write(&results, out, self.baseline.as_deref())
    }
}

/// Refuses the trials of a search.
pub(super) fn refuse_trials(results: &Results, dir: &Path) -> Result<()> {
    if results.config.tune.is_none() {
        return Ok(());
    }
    let what = "these are the trials of a search, each row on other documents: they make no table";
    Err(Error::new(ErrorKind::Results, what)
        .in_file(dir)
        .fix("read tune.md there, or run `longcode tune` again, which reports it again"))
}

/// Writes a report, names on stderr what is doubtful, and shows the tables.
pub(super) fn write(results: &Results, out: &Path, baseline: Option<&str>) -> Result<()> {
    let report = Report::new(results, baseline)?;
    make_directory(out)?;
    report.write(out)?;
    results.notes.iter().for_each(|note| note!("note: {note}"));
    for disagreement in &results.disagreements {
        note!("warning: measured twice with different outcomes: {disagreement}");
    }
    status!("report: {}", out.join("report.html").display());
    print_as_it_is(&terminal::render(&report, std::io::stdout().is_terminal()))
}
