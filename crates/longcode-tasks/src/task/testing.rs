//! What the tests of several tasks share.

use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::dataset::Dataset;
use longcode_text::{Ended, Generation, TextDirectory};

/// A path in the repository.
pub(super) fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The text side of a bundled model.
pub(super) fn nano() -> TextDirectory {
    TextDirectory::open(&in_repository("models/nano")).unwrap()
}

/// A data set of lines, which exists as long as its folder; the file is `d.jsonl`.
pub(super) fn dataset(lines: impl IntoIterator<Item = impl Display>) -> (tempfile::TempDir, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = lines.into_iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(dir.path().join("d.jsonl"), lines).unwrap();
    let dataset = Dataset::open("d.jsonl", &[dir.path().to_path_buf()]).unwrap();
    (dir, dataset)
}

/// The output of the benchmarks' own code, from `tests/benchmarks/`.
pub(super) fn unpacked(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/benchmarks").join(name);
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A generated text; scores do not depend on its tokens.
pub(super) fn generation(text: impl Into<String>, ended: Ended) -> Generation {
    Generation { ids: Vec::new(), text: text.into(), ended }
}
