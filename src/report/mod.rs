//! Reports: stored samples become figures with intervals, tables and pictures.
//!
//! Everything here is a function of a results directory, so a report can be made again at any time,
//! also of a run that is not finished.

mod markdown;
mod picture;
mod summary;
mod table;

pub use summary::{Row, summarise};

use std::path::Path;

use crate::error::Result;
use crate::store::{Results, write_whole};

/// Writes summary.csv, report.md and its pictures of some results into `out`, and gives the report's text.
///
/// # Errors
/// [`crate::error::ErrorKind::Results`] when a stored sample is not one of its task;
/// [`crate::error::ErrorKind::Write`].
pub fn write(results: &Results, out: &Path) -> Result<String> {
    let rows = summarise(results)?;
    write_whole(&out.join("summary.csv"), &summary::csv(&rows))?;
    let text = markdown::report(results, &rows, &pictures(results, &rows, out)?);
    write_whole(&out.join("report.md"), text.as_bytes())?;
    Ok(text)
}

/// A picture in the results directory, and what it is of.
struct Picture {
    model: String,
    task: String,
    file: String,
}

/// Draws every model's loss by position on every task.
fn pictures(results: &Results, rows: &[Row], out: &Path) -> Result<Vec<Picture>> {
    let config = &results.config;
    let mut pictures = Vec::new();
    for model in &results.environment.models {
        for task in &config.tasks {
            let of = |row: &&Row| row.model == model.name && row.task == task.name;
            let rows: Vec<&Row> = rows.iter().filter(of).collect();
            let title = format!("{} on {}: loss by position", model.name, task.name);
            let drawn = picture::loss_by_position(&title, &config.encodings, &rows, model.trained_length);
            if let Some(svg) = drawn {
                let file =
                    format!("{}.svg", plain_name(&format!("{}-{}-loss-by-position", model.name, task.name)));
                write_whole(&out.join(&file), svg.as_bytes())?;
                pictures.push(Picture { model: model.name.clone(), task: task.name.clone(), file });
            }
        }
    }
    Ok(pictures)
}

/// A name as a file's: letters, digits, dots and dashes.
fn plain_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { '-' }).collect()
}
