//! A directory of source files: every file below it with an extension of a [`Language`] is a record, by
//! relative path. What is skipped is counted and reported.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::fields::Fields;
use super::gathered::Gathered;
use super::inside::Inside;
use super::record::{Making, Origin, Record};
use super::{Format, slashed, unreadable};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::read_text;
use longcode_base::limits;
use longcode_structure::Language;

pub(super) const ENTRY: Format =
    Format { name: "source_tree", takes: Path::is_dir, read, files: Some(files) };

/// Files with nothing in them (an empty `__init__.py`) are skipped, as there is nothing to predict, and so is
/// anything but text.
fn read(root: &Path, making: &Making, gathered: &mut Gathered) -> Result<()> {
    for file in files(root)? {
        if let Ok(text) = read_text(&file, ErrorKind::Dataset)
            && !text.trim().is_empty()
        {
            let bytes = text.len();
            gathered.take(record(root, file, text, making), bytes, root)?;
        }
    }
    Ok(())
}

fn record(root: &Path, file: PathBuf, text: String, making: &Making) -> Result<Record> {
    let path = slashed(file.strip_prefix(root).unwrap_or(&file));
    let values =
        Map::from_iter([("path".to_owned(), Value::from(path)), ("text".to_owned(), Value::from(text))]);
    Record::new(Fields { values, ..Fields::default() }, Origin::line(file, 1), making)
}

/// Whether a folder holds a source file.
///
/// # Errors
/// When it cannot be read.
pub(super) fn is_one(root: &Path) -> Result<bool> {
    Ok(!files(root)?.is_empty())
}

fn files(root: &Path) -> Result<Vec<PathBuf>> {
    Ok(Tree::of(root)?.files)
}

/// Notes on the files that are skipped.
///
/// # Errors
/// As for reading it.
pub(super) fn notes(root: &Path) -> Result<Vec<String>> {
    let mut tree = Tree::of(root)?;
    for file in &tree.files {
        match read_text(file, ErrorKind::Dataset) {
            Ok(text) if text.trim().is_empty() => tree.left_out.entry(Why::Empty),
            Ok(_) => continue,
            Err(_) => tree.left_out.entry(Why::NoText),
        }
        .or_default()
        .push(slashed(file.strip_prefix(root).unwrap_or(file)));
    }
    Ok(tree.left_out.iter().map(|(why, names)| why.words(names)).collect())
}

/// The files of a source tree.
#[derive(Default)]
struct Tree {
    /// Sorted by relative path with forward slashes, the same on every system.
    files: Vec<PathBuf>,
    /// Other entries, by relative path.
    left_out: BTreeMap<Why, Vec<String>>,
}

/// Why a file is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Its extension belongs to no supported language.
    Language,
    /// It is a link out of the tree, or to nothing.
    Outside,
    /// It is a link to a folder: if that is in the tree, its files are read there.
    Folder,
    /// It is neither a file nor a folder.
    Irregular,
    Empty,
    NoText,
}

impl Tree {
    /// Hidden directories are skipped silently.
    fn of(root: &Path) -> Result<Tree> {
        let inside = Inside::of(root)?;
        let mut tree = Tree::default();
        let (mut directories, mut entries) = (vec![root.to_path_buf()], 0);
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(&directory).map_err(|e| unreadable(&directory, &e))? {
                let entry = entry.map_err(|e| unreadable(&directory, &e))?;
                entries += 1;
                if entries > limits::TREE_ENTRIES {
                    let what =
                        format!("the source tree has more than {} files and folders", limits::TREE_ENTRIES);
                    return Err(Error::new(ErrorKind::Dataset, what)
                        .in_file(root)
                        .fix("give a part of it; SECURITY.md lists the limits"));
                }
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if !is_directory {
                    tree.take(root, &entry, &inside);
                } else if !entry.file_name().to_string_lossy().starts_with('.') {
                    directories.push(entry.path());
                }
            }
        }
        tree.files.sort_by_cached_key(|path| slashed(path.strip_prefix(root).unwrap_or(path)));
        tree.left_out.values_mut().for_each(|names| names.sort());
        Ok(tree)
    }

    /// Takes anything but a directory, or records why not.
    fn take(&mut self, root: &Path, entry: &DirEntry, inside: &Inside) {
        let path = entry.path();
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let why = if is_link && !inside.holds(&path) {
            Why::Outside
        } else if is_link && path.is_dir() {
            Why::Folder
        } else if !path.is_file() {
            Why::Irregular
        } else if Language::of_path(&path).is_none() {
            Why::Language
        } else {
            return self.files.push(path);
        };
        let name = slashed(path.strip_prefix(root).unwrap_or(&path));
        self.left_out.entry(why).or_default().push(name);
    }
}

impl Why {
    /// How many are skipped for this reason, and the first names or, for other languages, the most frequent
    /// extensions.
    fn words(self, names: &[String]) -> String {
        const NAMED: usize = 3;
        let what = match self {
            Why::Language => return of_other_languages(names),
            Why::Outside => "links that lead outside of the folder, or nowhere",
            Why::Folder => "links to folders",
            Why::Irregular => "things that are neither files nor folders",
            Why::Empty => "files with nothing in them",
            Why::NoText => "files that are not UTF-8 or cannot be read",
        };
        let first: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
        let more = if names.len() > NAMED { ", ..." } else { "" };
        format!("{} {what} are left out: {}{more}", names.len(), first.join(", "))
    }
}

fn of_other_languages(names: &[String]) -> String {
    const NAMED: usize = 6;
    let mut extensions: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let extension =
            Path::new(name).extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        *extensions.entry(extension.unwrap_or_else(|| "without extension".into())).or_default() += 1;
    }
    let mut extensions: Vec<(String, usize)> = extensions.into_iter().collect();
    extensions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<String> =
        extensions.iter().take(NAMED).map(|(extension, count)| format!("{count} {extension}")).collect();
    let more = if extensions.len() > NAMED { ", ..." } else { "" };
    format!("{} files in unsupported languages are skipped: {}{more}", names.len(), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::Dataset;
    use super::*;

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

    fn note_of(root: &Path) -> String {
        Dataset::open(root.to_str().unwrap(), &[PathBuf::new()]).unwrap().notes().unwrap().join("; ")
    }

    #[test]
    fn what_is_left_out_is_told() {
        let root = tree(&[
            ("a.py", b"x = '\xff'"),
            ("b.py", b"x = 1"),
            ("c/__init__.py", b""),
            ("d.md", b"text"),
            ("e.md", b"text"),
            ("Makefile", b"text"),
        ]);
        assert_eq!(ids(root.path()), ["b.py"]);
        assert_eq!(
            note_of(root.path()),
            "3 files in unsupported languages are skipped: 2 .md, 1 without extension; \
             1 files with nothing in them are left out: c/__init__.py; \
             1 files that are not UTF-8 or cannot be read are left out: a.py"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_inside() {
        use std::os::unix::fs::symlink;
        let outside = tree(&[("key.py", b"secret = 1"), ("more/d.py", b"secret = 2")]);
        let root = tree(&[("a/b.py", b"x = 1")]);
        let at = |path: &str| root.path().join(path);
        symlink(root.path(), at("a/up")).unwrap();
        symlink(at("a/b.py"), at("c.py")).unwrap();
        symlink("a/b.py", at("d.py")).unwrap();
        symlink(outside.path().join("key.py"), at("key.py")).unwrap();
        symlink(outside.path().join("key.py"), at("key.txt")).unwrap();
        symlink(at("key.py"), at("a/again.py")).unwrap();
        symlink(outside.path().join("more"), at("more")).unwrap();
        symlink("nothing.py", at("e.py")).unwrap();
        symlink("f.py", at("f.py")).unwrap();
        assert_eq!(ids(root.path()), ["a/b.py", "c.py", "d.py"]);
        assert_eq!(
            note_of(root.path()),
            "6 links that lead outside of the folder, or nowhere are left out: a/again.py, e.py, f.py, ...; \
             1 links to folders are left out: a/up"
        );
    }
}
