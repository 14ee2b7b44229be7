//! Data in several files: a folder of them, or a pattern of names, such as `train-*-of-00004.parquet`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::inside::Inside;
use super::{slashed, unreadable};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::limits;

/// Extensions of files that hold data, and the format they are read as: all files of a folder have those of
/// one line.
const ENDINGS: [(&str, &[&str]); 3] =
    [("parquet", &[".parquet"]), ("jsonl", &[".jsonl", ".jsonl.gz"]), ("json", &[".json", ".json.gz"])];

/// The files of a data set, in order, and the folder that their names are relative to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shards {
    pub base: PathBuf,
    pub files: Vec<PathBuf>,
}

impl Shards {
    /// In a folder those files that may have this format; with a pattern all that match.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] for none, too many, an invalid pattern, or a folder that cannot be read.
    pub(super) fn of(path: &Path, format: &str) -> Result<Shards> {
        let shards = if path.is_dir() {
            Shards { base: path.to_path_buf(), files: of_folder(path, format)? }
        } else {
            Shards { base: base(path), files: matching(path)? }
        };
        if shards.files.is_empty() {
            Err(Error::new(ErrorKind::Dataset, "no file of the data set is there")
                .in_file(path)
                .fix("give a folder or a pattern of files of its format"))
        } else {
            Ok(shards)
        }
    }

    /// The name of a file in results and hashes: relative, with forward slashes.
    pub(super) fn name(&self, file: &Path) -> String {
        slashed(file.strip_prefix(&self.base).unwrap_or(file))
    }

    /// Notes on files whose names show that there should be more of them.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut found: BTreeMap<(String, usize), usize> = BTreeMap::new();
        for name in self.files.iter().map(|file| self.name(file)) {
            if let Some((stem, total)) = part_of(&name) {
                *found.entry((stem.to_string(), total)).or_default() += 1;
            }
        }
        let fewer = found.into_iter().filter(|((_, total), count)| count < total);
        fewer
            .map(|((stem, total), count)| format!("{count} of the {total} files of {stem} are there"))
            .collect()
    }
}

/// What a name like `train-00001-of-00004.parquet` begins with, and how many such files there should be.
fn part_of(name: &str) -> Option<(&str, usize)> {
    let (before, after) = name.split_once("-of-")?;
    let (stem, number) = before.rsplit_once('-')?;
    let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    number.parse::<usize>().ok()?;
    Some((stem, after[..digits].parse().ok()?))
}

/// Whether a name is not a path but a pattern.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains(['*', '?', '[']))
}

/// The folders before the first one with a pattern.
fn base(pattern: &Path) -> PathBuf {
    let parts: Vec<_> = pattern.components().collect();
    let fixed = parts.iter().take_while(|part| !is_pattern(Path::new(part.as_os_str()))).count();
    parts[..fixed.min(parts.len().saturating_sub(1))].iter().collect()
}

/// The files that match a pattern, sorted.
///
/// # Errors
/// [`ErrorKind::Dataset`] if it is invalid, or matches too many.
pub(super) fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |what: String| Error::new(ErrorKind::Dataset, what).in_file(pattern);
    let text = pattern.to_str().unwrap_or_default();
    if text.contains("**") {
        return Err(wrong("`**` is not allowed in a pattern".into()).fix("use * for a part of one name"));
    }
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(text, options)
        .map_err(|e| wrong(format!("the pattern makes no sense: {e}")).fix("use *, ? and [...]"))?;
    let files: Vec<PathBuf> =
        found.flatten().filter(|path| path.is_file()).take(limits::SHARDS + 1).collect();
    // A folder that does not exist cannot be left.
    if files.is_empty() { Ok(files) } else { stay_inside(&base(pattern), files) }
}

/// The files directly in a folder that hold data of a format, sorted.
fn of_folder(folder: &Path, format: &str) -> Result<Vec<PathBuf>> {
    let files = with_endings(folder, format)?;
    match format {
        // JSON lines may have this extension too.
        "jsonl" if files.is_empty() => with_endings(folder, "json"),
        _ => Ok(files),
    }
}

fn with_endings(folder: &Path, format: &str) -> Result<Vec<PathBuf>> {
    let endings = ENDINGS.iter().find(|(name, _)| *name == format).map_or(&[][..], |(_, endings)| endings);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| unreadable(folder, &e))?.take(limits::TREE_ENTRIES) {
        let path = entry.map_err(|e| unreadable(folder, &e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_data = !name.starts_with('.') && endings.iter().any(|ending| name.ends_with(ending));
        if is_data && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    stay_inside(folder, files)
}

/// Refuses too many files, or links that lead out of the folder: they do not belong to this data set.
fn stay_inside(folder: &Path, files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if files.len() > limits::SHARDS {
        let what = format!("the data set has more than {} files", limits::SHARDS);
        return Err(Error::new(ErrorKind::Dataset, what).in_file(folder).fix("give a part of it"));
    }
    let inside = Inside::of(folder)?;
    match files.iter().find(|file| !inside.holds(file)) {
        None => Ok(files),
        Some(file) => Err(Error::new(ErrorKind::Dataset, "it is a link that leads outside of its folder")
            .in_file(file)
            .fix("copy the file there, or name it by its own path")),
    }
}

/// The format of the data in a folder; none if no file holds data.
///
/// # Errors
/// [`ErrorKind::Dataset`] if there are files of two formats.
pub(super) fn format_of(folder: &Path) -> Result<Option<&'static str>> {
    let mut found = Vec::new();
    // A folder of other data may also have a README or a list of its files in JSON.
    for (format, _) in ENDINGS {
        if (format != "json" || found.is_empty()) && !with_endings(folder, format)?.is_empty() {
            found.push(format);
        }
    }
    match found[..] {
        [] => Ok(None),
        [format] => Ok(Some(format)),
        [one, other, ..] => Err(Error::new(
            ErrorKind::Dataset,
            format!("the folder holds files of the formats {one} and {other}"),
        )
        .in_file(folder)
        .fix(format!("name those that are meant, as {}", folder.join("*.parquet").display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dataset;
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    const ONE: &str = "{\"text\":\"1\"}\n";
    const TWO: &str = "{\"text\":\"2\"}\n{\"text\":\"3\"}\n";

    fn texts(reference: &str, folder: &Path) -> Vec<String> {
        let records = Dataset::open(reference, &[folder.into()]).unwrap().records().unwrap();
        records.iter().map(|record| record.text("text").unwrap().to_string()).collect()
    }

    #[test]
    fn a_pattern_and_a_folder_are_read_in_order() {
        let names = [("d/train-00001-of-00003.jsonl", TWO), ("d/train-00000-of-00003.jsonl", ONE)];
        let folder = folder(&[names[0], names[1], ("d/dataset_infos.json", "{}"), ("d/README.md", "words")]);
        for reference in ["d/train-*-of-*.jsonl", "d", "d/train-0000[01]-of-00003.jsonl", "d/train-0000?-*"] {
            assert_eq!(texts(reference, folder.path()), ["1", "2", "3"], "{reference}");
            let dataset = Dataset::open(reference, &[folder.path().into()]).unwrap();
            let records = dataset.records().unwrap();
            assert_eq!(records[1].id, "train-00001-of-00003.jsonl: line 1");
            assert_eq!(dataset.notes().unwrap(), ["2 of the 3 files of train are there"], "{reference}");
        }
    }

    #[test]
    fn the_hash_covers_every_file_in_order() {
        let hash = |files: &[(&str, &str)]| {
            let folder = folder(files);
            let hash = |reference: &str| {
                Dataset::open(reference, &[folder.path().into()]).unwrap().sha256().unwrap()
            };
            assert_eq!(hash("d/*.jsonl"), hash("d"));
            hash("d")
        };
        let whole = hash(&[("d/a.jsonl", ONE), ("d/b.jsonl", TWO)]);
        assert_eq!(whole, hash(&[("d/b.jsonl", TWO), ("d/a.jsonl", ONE)]));
        assert_ne!(whole, hash(&[("d/a.jsonl", TWO), ("d/b.jsonl", ONE)]));
        assert_ne!(whole, hash(&[("d/a.jsonl", ONE), ("d/c.jsonl", TWO)]));
        assert_ne!(whole, hash(&[("d/a.jsonl", ONE)]));
    }

    #[test]
    fn a_manifest_may_name_several() {
        let manifest = |path: &str| {
            format!(
                "name = \"m\"\nwhat = \"w\"\nlicence = \"MIT\"\nsource = \"s\"\nobtain = \"o\"\nformat = \
                 \"jsonl\"\npath = \"{path}\"\n"
            )
        };
        for path in ["../d", "../d/*.jsonl"] {
            let files = [("d/a.jsonl", ONE), ("d/b.jsonl", TWO), ("datasets/m.toml", &manifest(path))];
            assert_eq!(texts("m", folder(&files).path()), ["1", "2", "3"]);
        }
        let folder = folder(&[("datasets/m.toml", &manifest("../d/*.jsonl"))]);
        assert!(Dataset::open("m", &[folder.path().into()]).unwrap_err().what.contains("not there"));
    }

    #[test]
    fn sources_go_before_data_and_two_formats_are_refused() {
        let both = folder(&[("d/a.jsonl", ONE), ("d/b.parquet", "PAR1")]);
        let error = Dataset::open("d", &[both.path().into()]).unwrap_err();
        assert!(error.what.contains("parquet and jsonl") && error.fix.is_some(), "{error}");
        let sources = folder(&[("d/a.jsonl", ONE), ("d/b.py", "x = 1")]);
        let dataset = Dataset::open("d", &[sources.path().into()]).unwrap();
        assert_eq!(dataset.manifest.format, "source_tree");
        assert!(dataset.notes().unwrap()[0].contains("1 .jsonl"));
        for (pattern, what) in [("d/*.csv", "no dataset"), ("d/**/a.jsonl", "`**`"), ("d/[", "no sense")] {
            let error = Dataset::open(pattern, &[sources.path().into()]).unwrap_err();
            assert!(error.what.contains(what) && error.fix.is_some(), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_is_refused() {
        let outside = folder(&[("key.jsonl", ONE)]);
        let folder = folder(&[("d/a.jsonl", ONE)]);
        std::os::unix::fs::symlink(outside.path().join("key.jsonl"), folder.path().join("d/b.jsonl"))
            .unwrap();
        for reference in ["d", "d/*.jsonl"] {
            let dataset = Dataset::open(reference, &[folder.path().into()]);
            let error = dataset.and_then(|dataset| dataset.records()).unwrap_err();
            assert!(error.what.contains("leads outside"), "{error}");
        }
    }
}
