//! per_token.parquet: the scores of single tokens, of the tasks that keep them.

use std::io::BufWriter;
use std::path::Path;

use longcode_tasks::per_token::{Names, PerToken, PerTokenWriter};

use crate::config::Config;
use crate::error::Result;
use crate::files::write_whole_by;
use crate::store::{Results, StoredSample};

/// Writes the file if a task keeps its tokens' scores.
///
/// # Errors
/// [`crate::error::ErrorKind::Write`]; [`crate::error::ErrorKind::Results`] for a stored outcome that its task cannot read.
pub(super) fn write(results: &Results, out: &Path) -> Result<()> {
    let keeps = |one: &&StoredSample| results.config.tasks[one.task].task.wants_details();
    let kept: Vec<&StoredSample> = results.samples.iter().filter(keeps).collect();
    if kept.is_empty() {
        return Ok(());
    }
    // What is wrong with a stored sample is an error of its own, and is found before anything is written.
    for one in &kept {
        of(results, one)?;
    }
    write_whole_by(&out.join("per_token.parquet"), |file| {
        let mut writer = PerTokenWriter::new(BufWriter::new(file))?;
        for one in &kept {
            if let Some(tokens) = of(results, one).map_err(|e| std::io::Error::other(e.what))? {
                writer.add(names(&results.config, one), &tokens)?;
            }
        }
        writer.finish()
    })
}

/// The tokens of a sample; none of one that failed.
fn of(results: &Results, one: &StoredSample) -> Result<Option<PerToken>> {
    let Some(outcome) = results.outcome(one)? else { return Ok(None) };
    let found = results.config.tasks[one.task].task.per_token(&outcome);
    found.map_err(|e| results.bad_sample(one, format!("not an outcome: {e}")))
}

fn names<'a>(config: &'a Config, one: &'a StoredSample) -> Names<'a> {
    Names {
        model: &config.models[one.model].name,
        encoding: &config.encodings[one.encoding].name,
        task: &config.tasks[one.task].name,
        sample: &one.sample,
    }
}
