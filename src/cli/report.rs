//! `longcode report`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use super::asked::Only;
use super::print_as_it_is;
use crate::error::{Error, ErrorKind, Result};
use crate::files::make_directory;
use crate::messages::{self, Level};
use crate::report::{Report, terminal};
use crate::store::Results;
use crate::terminal::visible_line;

/// Make tables and pictures of stored results, finished or not; several directories of one config are
/// reported as one, other runs beside each other on the tasks that they share
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  longcode report results/quickstart --baseline ReRoPE\n  \
    longcode report results/machine-1 results/machine-2 --out results/both\n  \
    longcode report results/quickstart --metric ppl --json")]
pub(super) struct Args {
    /// Results directories: parts of one run, or runs to compare
    #[arg(required = true, value_name = "RESULTS_DIR")]
    dirs: Vec<PathBuf>,
    /// Where to write; needed with several results directories [default: there]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The encoding that differences are taken from [default: the first with a context, otherwise the first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    #[command(flatten)]
    only: Only,
    /// Of report.tex: tables of this metric alone; several times for several [default: each task's main one]
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// Keep the models of each run apart, also where they are the same: before and after a change of longcode
    #[arg(long)]
    apart: bool,
    #[command(flatten)]
    show: Show,
}

/// What is printed of a report; with `--quiet` the path of its page alone.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Show {
    /// Print every table, and not the verdicts and one table of all rows
    #[arg(long)]
    full: bool,
    /// Print the verdicts and the table as JSON, in one line
    #[arg(long, conflicts_with = "full")]
    json: bool,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let selection = self.only.selection();
        let out = match (&self.out, &self.dirs[..]) {
            (Some(out), _) => out,
            (None, _) if !selection.is_all() => {
                let what = "a report of a part would take the place of the whole one";
                return Err(Error::new(ErrorKind::Usage, what).at("--out").fix("add --out DIR"));
            }
            (None, [dir]) => dir,
            (None, _) => {
                let what = "several results directories make one report, which needs a place";
                return Err(Error::new(ErrorKind::Usage, what).at("--out").fix("add --out DIR"));
            }
        };
        let mut results = Results::read_all(&self.dirs, self.apart)?;
        refuse_trials(&results, &self.dirs[0])?;
        results.keep(&selection)?;
        write(&results, out, self.baseline.as_deref(), &self.metric, self.show)
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

/// Writes a report, names on stderr what is doubtful, and shows what was asked for.
pub(super) fn write(
    results: &Results,
    out: &Path,
    baseline: Option<&str>,
    metrics: &[String],
    show: Show,
) -> Result<()> {
    let mut report = Report::new(results, baseline)?;
    report.show_in_latex(metrics)?;
    make_directory(out)?;
    report.write(out)?;
    results.notes.iter().for_each(|note| note!("note: {note}"));
    for disagreement in &results.disagreements {
        note!("warning: measured twice with different outcomes: {disagreement}");
    }
    let page = out.join("report.html").display().to_string();
    let styled = std::io::stdout().is_terminal();
    let text = match show {
        Show { json: true, .. } => terminal::json(&report, &page),
        _ if !messages::shows(Level::Status) => format!("{}\n", visible_line(&page)),
        Show { full, .. } => {
            let text =
                if full { terminal::full(&report, styled) } else { terminal::summary(&report, styled) };
            format!("{text}\nreport: {}\n", visible_line(&page))
        }
    };
    print_as_it_is(&text)
}
