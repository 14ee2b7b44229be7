//! training.csv: one row for each step.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{ErrorKind, Result};
use crate::files::{append, read_text, unwritable, write_whole};

const HEADER: &str = "step,tokens,seconds,loss,learning_rate,gradient_norm,tokens_per_second,validation_loss";

/// What is recorded of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedStep {
    /// Steps done, including this one.
    pub step: u64,
    /// Tokens of all steps.
    pub tokens: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Mean loss of the step's samples before the step, nats a token.
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Speed of this step.
    pub tokens_per_second: f64,
    /// Loss after this step, if it was computed.
    pub validation_loss: Option<f64>,
}

/// The file that rows are written to.
pub struct Log {
    file: File,
    path: PathBuf,
    /// Losses so far.
    losses: Vec<f64>,
}

impl Log {
    /// Opens the file of a training that stands at `step`: later rows are dropped, as those steps are done
    /// again.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when it exists and cannot be read; [`ErrorKind::Write`].
    pub fn open(path: &Path, step: u64) -> Result<Log> {
        let earlier = if path.exists() { read_text(path, ErrorKind::Results)? } else { String::new() };
        // A row that was cut has fewer fields.
        let number = |line: &str| match line.split(',').collect::<Vec<_>>()[..] {
            [step, _, _, _, _, _, _, _] => step.parse::<u64>().ok(),
            _ => None,
        };
        let kept: Vec<&str> =
            earlier.lines().filter(|line| number(line).is_some_and(|number| number <= step)).collect();
        let losses = kept
            .iter()
            .filter_map(|line| line.split(',').nth(3).and_then(|loss| loss.parse().ok()))
            .collect();
        let text: String = std::iter::once(&HEADER).chain(&kept).flat_map(|line| [line, "\n"]).collect();
        write_whole(path, text.as_bytes())?;
        Ok(Log { file: append(path)?, path: path.to_path_buf(), losses })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub fn append(&mut self, row: &LoggedStep) -> Result<()> {
        self.losses.push(row.loss);
        let validation = row.validation_loss.map_or(String::new(), |loss| format!("{loss:.5}"));
        let line = format!(
            "{},{},{:.3},{:.5},{:.4e},{:.4},{:.0},{validation}\n",
            row.step,
            row.tokens,
            row.seconds,
            row.loss,
            row.learning_rate,
            row.gradient_norm,
            row.tokens_per_second
        );
        self.file.write_all(line.as_bytes()).map_err(|e| unwritable(&self.path, &e))
    }

    /// Mean loss of the last `count` steps, or of all if there are fewer; NaN if there are none.
    pub fn recent_loss(&self, count: usize) -> f64 {
        let recent = &self.losses[self.losses.len().saturating_sub(count)..];
        recent.iter().sum::<f64>() / recent.len() as f64
    }
}
