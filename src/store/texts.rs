//! texts.jsonl.gz: the texts of some samples, so that a report can show them wherever it is made.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::TEXTS;
use super::growth::Renames;
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_whole;
use crate::limits::TEXTS_BYTES;
use crate::structure::Unit;

/// The text of a sample, and where its segments begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredText {
    /// The task's name in the config.
    pub task: String,
    /// The sample's id.
    pub sample: String,
    /// SHA-256 of the whole text; a sample's text may depend on the model.
    pub sha256: String,
    /// The text, or its beginning.
    pub text: String,
    /// Bytes that are left out at the end of the text.
    pub cut: usize,
    /// The unit of the segments.
    pub unit: Unit,
    /// Byte offsets of the segments in `text`, rising, the first one 0.
    pub starts: Vec<usize>,
}

/// Whose text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextOf<'a> {
    /// The task's name in the config.
    pub task: &'a str,
    /// The sample's id.
    pub sample: &'a str,
    /// SHA-256 of the whole text.
    pub sha256: &'a str,
}

impl StoredText {
    /// Most samples of a task and bucket whose text is kept and shown: the first ones.
    pub(crate) const OF_A_BUCKET: usize = 2;

    /// Most samples that a report shows, and so most texts that are kept of a model.
    pub(crate) const OF_A_REPORT: usize = 40;

    /// Whose text it is.
    pub fn of(&self) -> TextOf<'_> {
        TextOf { task: &self.task, sample: &self.sample, sha256: &self.sha256 }
    }

    /// The segments in order.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        let ends = self.starts.iter().skip(1).copied().chain([self.text.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| &self.text[*start..end])
    }

    /// The text under the task's name of now.
    pub(super) fn renamed(mut self, renames: &Renames) -> StoredText {
        let [_, _, task] = renames.of(["", "", &self.task]);
        self.task = task;
        self
    }

    fn is_sound(&self) -> bool {
        self.starts.first() == Some(&0)
            && self.starts.is_sorted()
            && self.starts.iter().all(|&start| self.text.is_char_boundary(start))
    }
}

/// Stores texts in a results directory, in place of any that are there.
///
/// # Errors
/// [`ErrorKind::Write`].
pub(super) fn write(dir: &Path, texts: &[StoredText]) -> Result<()> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    for text in texts {
        serde_json::to_writer(&mut packed, text).expect("plain data into memory");
        packed.write_all(b"\n").expect("memory takes all");
    }
    write_whole(&dir.join(TEXTS), &packed.finish().expect("memory takes all"))
}

/// Adds texts to those of a results directory.
///
/// # Errors
/// [`ErrorKind::Write`], and [`ErrorKind::Results`] for a damaged file.
pub fn add_texts(dir: &Path, more: Vec<StoredText>) -> Result<()> {
    let mut texts = read(dir)?;
    texts.extend(more);
    write(dir, &texts)
}

/// The texts of a results directory; none if an earlier longcode made it.
///
/// # Errors
/// [`ErrorKind::Results`], naming the file and the line.
pub(super) fn read(dir: &Path) -> Result<Vec<StoredText>> {
    let path = dir.join(TEXTS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bad = |what: String| {
        Error::new(ErrorKind::Results, what)
            .in_file(&path)
            .fix("restore the file, or remove it: reports then show no texts")
    };
    let lines = BufReader::new(GzDecoder::new(super::open(&path)?).take(TEXTS_BYTES)).lines();
    let mut texts = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let line = line.map_err(|e| bad(format!("cannot be read at line {number}: {e}")))?;
        let text: StoredText =
            serde_json::from_str(&line).map_err(|e| bad(format!("line {number} is not a text: {e}")))?;
        if !text.is_sound() {
            return Err(bad(format!("line {number}: starts are not those of segments of the text")));
        }
        texts.push(text);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(starts: Vec<usize>) -> StoredText {
        StoredText {
            task: "code".into(),
            sample: "a".into(),
            sha256: "0".into(),
            text: "é = 1\nf()\n".into(),
            cut: 0,
            unit: Unit::FUNCTION,
            starts,
        }
    }

    #[test]
    fn what_is_written_is_read_and_the_same_each_time() {
        let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let texts = [text(vec![0, 7]), text(vec![0])];
        write(one.path(), &texts).unwrap();
        write(other.path(), &texts).unwrap();
        assert_eq!(read(one.path()).unwrap(), texts);
        assert_eq!(texts[0].segments().collect::<Vec<_>>(), ["é = 1\n", "f()\n"]);
        let bytes = |dir: &tempfile::TempDir| std::fs::read(dir.path().join(TEXTS)).unwrap();
        assert_eq!(bytes(&one), bytes(&other));
    }

    #[test]
    fn a_damaged_file_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), []);
        for starts in [vec![], vec![0, 1], vec![0, 99], vec![1], vec![0, 7, 2]] {
            write(dir.path(), &[text(vec![0]), text(starts)]).unwrap();
            let error = read(dir.path()).unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(TEXTS), "{error}");
        }
        std::fs::write(dir.path().join(TEXTS), "no gzip").unwrap();
        assert!(read(dir.path()).unwrap_err().to_string().contains("line 1"));
    }
}
