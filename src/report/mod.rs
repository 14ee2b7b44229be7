//! Reports: stored samples become figures with intervals, tables and pictures.
//!
//! Everything here is a function of a results directory, so a report can be made again at any time,
//! also of a run that is not finished.

mod markdown;
mod summary;
mod table;

pub use summary::{Row, summarise};

use std::path::Path;

use crate::error::Result;
use crate::store::{Results, write_whole};

/// Writes summary.csv and report.md of some results into `out`, and gives the report's text.
///
/// # Errors
/// [`crate::error::ErrorKind::Results`] when a stored sample is not one of its task;
/// [`crate::error::ErrorKind::Write`].
pub fn write(results: &Results, out: &Path) -> Result<String> {
    let rows = summarise(results)?;
    write_whole(&out.join("summary.csv"), &summary::csv(&rows))?;
    let text = markdown::report(results, &rows);
    write_whole(&out.join("report.md"), text.as_bytes())?;
    Ok(text)
}
