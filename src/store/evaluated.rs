//! evaluator.jsonl: what evaluators said of texts, a line a text, so that each text is read once and for all rows.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::files::{append, unwritable};
use crate::limits::STORED_LINE;
use crate::task::{Contexts, TwoContexts};

const FILE: &str = "evaluator.jsonl";

/// What an evaluator said of the text of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluated {
    /// The evaluator's path or name in the config.
    pub model: String,
    /// SHA-256 of its files.
    pub model_sha256: String,
    /// Which contexts it read.
    pub contexts: Contexts,
    /// The sample's id.
    pub sample: String,
    /// SHA-256 of the text.
    pub sha256: String,
    /// The losses.
    pub losses: TwoContexts,
}

/// The file of a results directory.
pub struct EvaluatedFile {
    path: PathBuf,
    file: File,
    /// What earlier runs stored.
    pub stored: Vec<Evaluated>,
}

impl EvaluatedFile {
    /// Opens or makes the file. A last line that was cut is taken away.
    ///
    /// # Errors
    /// [`ErrorKind::Results`], naming the line that is broken; [`ErrorKind::Write`].
    pub fn open(dir: &Path) -> Result<EvaluatedFile> {
        let path = dir.join(FILE);
        let file = append(&path)?;
        let (stored, whole) = if path.exists() { read(&path)? } else { Default::default() };
        file.set_len(whole).map_err(|e| unwritable(&path, &e))?;
        Ok(EvaluatedFile { path, file, stored })
    }

    /// Appends a text's losses and flushes them.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub fn add(&mut self, one: &Evaluated) -> Result<()> {
        let line = serde_json::to_string(one).expect("plain data") + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|e| unwritable(&self.path, &e))
    }
}

/// Removes the file, for a run that starts over.
///
/// # Errors
/// [`ErrorKind::Write`].
pub(super) fn remove(dir: &Path) -> Result<()> {
    let path = dir.join(FILE);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(unwritable(&path, &e)),
        _ => Ok(()),
    }
}

/// The whole lines of a file, and how many bytes they are.
fn read(path: &Path) -> Result<(Vec<Evaluated>, u64)> {
    let bad = |number: usize, what: String| {
        Error::new(ErrorKind::Results, format!("line {number}: {what}"))
            .in_file(path)
            .fix("restore the file, or remove it: the evaluator then reads the texts again")
    };
    let (mut reader, mut stored, mut whole) = (BufReader::new(super::open(path)?), Vec::new(), 0);
    loop {
        let (mut line, number) = (Vec::new(), stored.len() + 1);
        let read = reader.by_ref().take(STORED_LINE as u64 + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|e| bad(number, format!("cannot be read: {e}")))?;
        if read > STORED_LINE {
            return Err(bad(number, format!("more than {STORED_LINE} bytes")));
        }
        if line.last() != Some(&b'\n') {
            return Ok((stored, whole));
        }
        let one: Evaluated = serde_json::from_slice(&line)
            .map_err(|e| bad(number, format!("not an evaluator's losses: {e}")))?;
        whole += read as u64;
        stored.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sample: &str) -> Evaluated {
        Evaluated {
            model: "m".into(),
            model_sha256: "0".into(),
            contexts: Contexts { short: 4, step: 2 },
            sample: sample.into(),
            sha256: "1".into(),
            losses: TwoContexts { starts: vec![1], ends: vec![2], long: vec![0.1], short: vec![2.5] },
        }
    }

    #[test]
    fn what_is_stored_is_read_and_a_cut_line_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = EvaluatedFile::open(dir.path()).unwrap();
        assert!(file.stored.is_empty());
        file.add(&one("a")).unwrap();
        file.add(&one("b")).unwrap();
        let path = dir.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"{\"model\": \"m"].concat()).unwrap();
        let mut again = EvaluatedFile::open(dir.path()).unwrap();
        assert_eq!(again.stored, [one("a"), one("b")]);
        again.add(&one("c")).unwrap();
        assert_eq!(EvaluatedFile::open(dir.path()).unwrap().stored.len(), 3);
        remove(dir.path()).unwrap();
        remove(dir.path()).unwrap();
        assert!(EvaluatedFile::open(dir.path()).unwrap().stored.is_empty());
    }

    #[test]
    fn a_damaged_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{}\n").unwrap();
        let error = EvaluatedFile::open(dir.path()).err().unwrap().to_string();
        assert!(error.contains("line 1: not an evaluator's losses") && error.contains(FILE), "{error}");
    }
}
