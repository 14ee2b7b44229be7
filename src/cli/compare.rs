//! `longcode compare`

use std::path::{Path, PathBuf};

use longcode_compare::{Compared, Options, Side, Wanted, compare, html, inspect, lm_eval, text};

use super::print_as_it_is;
use super::report::refuse_trials;
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_whole;
use crate::report::{find_row, side};
use crate::store::Results;

/// Compare two sets of stored results sample by sample: ours, lm-evaluation-harness's or inspect_ai's
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  longcode compare results/quickstart results/quickstart --row-a HiRoPE --row-b RoPE\n  \
    longcode compare out/model-1 out/model-2/samples_gsm8k_2026-01-01T00-00-00.000000.jsonl\n  \
    longcode compare results/mine/lm_eval/nano_RoPE log.json --metric exact_match=match --html compared.html"
)]
pub(super) struct Args {
    /// A results directory of longcode; a samples_*.jsonl of lm-evaluation-harness, or the directory it is in; a JSON log
    /// of inspect_ai, or the directory it is in
    a: PathBuf,
    /// What it is compared with: A less B is shown
    b: PathBuf,
    /// The row of A, if it is a results directory of several: ENCODING or MODEL/ENCODING
    #[arg(long, value_name = "NAME")]
    row_a: Option<String>,
    /// The row of B
    #[arg(long, value_name = "NAME")]
    row_b: Option<String>,
    /// Only this task [default: all that both have]
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// Only this figure, NAME_OF_A=NAME_OF_B if the two call it otherwise; several may be given [default: all that both
    /// have]
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// Samples to name, of those that differ most and of those that do not count
    #[arg(long, value_name = "N", default_value_t = 5)]
    samples: usize,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Also write a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let (a, b) = (
            read(&self.a, self.row_a.as_deref(), "--row-a")?,
            read(&self.b, self.row_b.as_deref(), "--row-b")?,
        );
        let options = Options {
            task: self.task,
            metrics: self.metric.iter().map(|text| Wanted::parse(text)).collect(),
            named: self.samples,
        };
        let compared = compare(a, b, &options)?;
        notes(&compared, self.json);
        if let Some(path) = &self.html {
            write_whole(path, html::render(&compared).as_bytes())?;
            status!("page: {}", path.display());
        }
        if self.json {
            let json = serde_json::to_string(&compared).expect("plain data");
            print_as_it_is(&format!("{}\n", crate::terminal::visible(&json)))
        } else {
            print_as_it_is(&text::render(&compared))
        }
    }
}

/// With `--json` notes are on stderr too, where a person sees them; the text has them.
fn notes(compared: &Compared, json: bool) {
    let all = compared.a.notes.iter().chain(&compared.b.notes).chain(&compared.notes);
    all.filter(|_| json).for_each(|note| note!("note: {note}"));
}

/// A side, whichever harness stored it.
fn read(path: &Path, row: Option<&str>, option: &str) -> Result<Side> {
    if path.join("config.toml").exists() {
        let results = Results::read(path)?;
        refuse_trials(&results, path)?;
        let row = find_row(&results, row, path).map_err(|e| e.at(option))?;
        return side(&results, row);
    }
    if row.is_some() {
        let what = format!("{} is not a results directory of longcode: it has one row", path.display());
        return Err(Error::new(ErrorKind::Usage, what).at(option).fix("leave it out"));
    }
    let is_jsonl = path.extension().is_some_and(|extension| extension == "jsonl");
    if lm_eval::is_directory_of(path) || is_jsonl && path.is_file() {
        lm_eval::read(path)
    } else if path.is_file() || path.is_dir() && !inspect::files_of(path).is_empty() {
        inspect::read(path)
    } else {
        let what =
            if path.exists() { "there are no stored results" } else { "there is no such file or directory" };
        Err(Error::new(ErrorKind::Results, what).in_file(path).fix(
            "give a results directory of longcode, a samples_*.jsonl of lm-evaluation-harness (--log_samples), or a JSON log \
             of inspect_ai (--log-format json)",
        ))
    }
}
