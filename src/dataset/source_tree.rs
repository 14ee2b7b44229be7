//! A directory of source files: every file below it whose extension is one of a [`Language`]'s is a record, by
//! relative path.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::record::{Origin, Record, Roles};
use super::{Dataset, Format, slashed, unreadable};
use crate::error::{ErrorKind, Result};
use crate::files::read_text;
use crate::structure::Language;

pub(super) const ENTRY: Format = Format { name: "source_tree", takes: Path::is_dir, read, files };

/// Files with nothing in them (an empty `__init__.py`) are left out: there is nothing to predict.
fn read(dataset: &Dataset) -> Result<Vec<Result<Record>>> {
    let mut records = Vec::new();
    for file in files(&dataset.path)? {
        match read_text(&file, ErrorKind::Dataset) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => records.push(record(&dataset.path, file, text)),
            Err(error) => records.push(Err(error)),
        }
    }
    Ok(records)
}

fn record(root: &Path, file: PathBuf, text: String) -> Result<Record> {
    let path = slashed(file.strip_prefix(root).unwrap_or(&file));
    let fields =
        Map::from_iter([("path".to_owned(), Value::from(path)), ("text".to_owned(), Value::from(text))]);
    Record::new(fields, Origin::line(file, 1), Roles::default(), None)
}

/// Sorted by relative path with forward slashes, the same on every system. Hidden directories are left out, and so
/// are links to directories: a link may lead back up, and what it leads to is read where it lies.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).map_err(|e| unreadable(&directory, &e))? {
            let entry = entry.map_err(|e| unreadable(&directory, &e))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(|e| unreadable(&entry.path(), &e))?);
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if kind.is_dir() && !hidden {
                directories.push(path);
            } else if path.is_file() && Language::of_path(&path).is_some() {
                found.push(path);
            }
        }
    }
    found.sort_by_cached_key(|path| slashed(path.strip_prefix(root).unwrap_or(path)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        root
    }

    fn records(root: &Path) -> Result<Vec<Record>> {
        Dataset::open(root.to_str().unwrap(), &[PathBuf::new()])?.records()
    }

    fn ids(root: &Path) -> Vec<String> {
        records(root).unwrap().into_iter().map(|record| record.id).collect()
    }

    #[test]
    fn every_source_file_is_a_record_in_the_order_of_paths() {
        let root = tree(&[
            ("b/B.java", b"class B {}"),
            ("b.py", b"x = 1"),
            ("a/z.pyi", b"x: int"),
            ("a/__init__.py", b"\n"),
            ("a/notes.txt", b"no"),
            (".git/hook.py", b"no"),
        ]);
        assert_eq!(ids(root.path()), ["a/z.pyi", "b.py", "b/B.java"]);
        let java = &records(root.path()).unwrap()[2];
        assert_eq!((java.text("text").unwrap(), java.language), ("class B {}", Some(Language::Java)));
    }

    #[test]
    fn a_file_that_is_not_utf8_is_named() {
        let root = tree(&[("a.py", b"x = '\xff'")]);
        let error: Error = records(root.path()).unwrap_err();
        assert!(error.place.unwrap().ends_with("a.py") && error.what.contains("UTF-8"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_back_up_is_not_followed() {
        let root = tree(&[("a/b.py", b"x = 1")]);
        std::os::unix::fs::symlink(root.path(), root.path().join("a/up")).unwrap();
        std::os::unix::fs::symlink(root.path().join("a/b.py"), root.path().join("c.py")).unwrap();
        assert_eq!(ids(root.path()), ["a/b.py", "c.py"]);
    }
}
