//! The source files that a command is given: what can be read, and what is skipped and why.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::print;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::files::{read_text, too_large};
use crate::limits::SOURCE_BYTES;
use crate::structure::{Segments, Source};

/// First bytes of files that are not text, and what such a file is.
const NO_TEXTS: [(&[u8], &str); 6] = [
    (&[0x1f, 0x8b], "a gzip file"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "a zstd file"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "an xz file"),
    (b"PK\x03\x04", "a zip file"),
    (b"PAR1", "a parquet file"),
    (b"ARROW1", "an arrow file"),
];

/// Extensions of files that hold records, whatever their bytes.
const RECORDS: [&str; 5] = ["jsonl", "ndjson", "parquet", "arrow", "gz"];

/// What names the standard input among files.
const STDIN: &str = "-";

/// A text file.
pub(super) struct SourceFile {
    pub path: PathBuf,
    pub text: String,
}

/// Says where units were not found, and where code points at nothing.
pub(super) fn note_fallbacks(file: &Path, source: &Source, encoding: &EncodingSpec, levels: &[Segments]) {
    for (asked, found) in encoding.units().iter().zip(levels).filter(|(asked, found)| **asked != found.unit) {
        note!("{}: no {asked} found, so segments are {}", file.display(), found.unit);
    }
    if source.language.is_none() && encoding.wanted().references.is_some() {
        note!("{}: not in a supported language, so nothing in it points at anything", file.display());
    }
}

/// The files of a command, some of which may be skipped: a shell pattern names folders and empty files too.
#[derive(Default)]
pub(super) struct Sources {
    pub files: Vec<SourceFile>,
    left_out: Vec<(PathBuf, Error)>,
}

impl Sources {
    /// Reads all files. Skips folders, files of records, files that are not text and empty ones.
    ///
    /// # Errors
    /// [`ErrorKind::Source`] for a file that does not exist, and if nothing is left.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Sources> {
        let mut sources = Sources::default();
        for path in paths {
            match read_source(path) {
                Ok(text) if text.is_empty() => sources.leave_out(path, empty()),
                Ok(text) => sources.files.push(SourceFile { path: path.clone(), text }),
                // A name that does not exist is a mistake.
                Err(error) if !path.exists() => return Err(error),
                Err(error) => sources.leave_out(path, error),
            }
        }
        sources.refuse_none(sources.files.len())?;
        Ok(sources)
    }

    /// Skips a file that turns out to be unusable.
    pub(super) fn leave_out(&mut self, path: &Path, why: Error) {
        self.left_out.push((path.to_path_buf(), why));
    }

    /// Fails if nothing is left, with the reason of the first file.
    ///
    /// # Errors
    /// [`ErrorKind::Source`].
    pub(super) fn refuse_none(&self, left: usize) -> Result<()> {
        match &self.left_out[..] {
            [] => Ok(()),
            [(path, why)] if left == 0 => Err(named(why.clone(), path)),
            [(path, why), ..] if left == 0 => {
                let mut error = named(why.clone(), path);
                error.what =
                    format!("none of {} files can be used; the first: {}", self.left_out.len(), error.what);
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Says on stderr what is skipped and, if results are JSON, on stdout in one object for each file.
    ///
    /// # Errors
    /// When stdout cannot be written to.
    pub(super) fn report_left_out(&self, used: usize, as_json: bool) -> Result<()> {
        const NAMED: usize = 5;
        for (path, why) in self.left_out.iter().take(NAMED) {
            note!("{}: left out: {}", path.display(), why.what);
        }
        if !self.left_out.is_empty() {
            note!("{} of {} files are left out", self.left_out.len(), self.left_out.len() + used);
        }
        for (path, why) in self.left_out.iter().filter(|_| as_json) {
            print(&format!("{}\n", json!({"file": name(path), "left_out": why.what})))?;
        }
        Ok(())
    }
}

/// A path for JSON output: anything that is not UTF-8 is replaced.
pub(super) fn name(path: &Path) -> String {
    path.display().to_string()
}

fn named(error: Error, path: &Path) -> Error {
    if error.place.is_some() { error } else { error.in_file(path) }
}

fn empty() -> Error {
    Error::new(ErrorKind::Source, "0 token(s): nothing is in it").fix("give a file with at least 2 tokens")
}

/// The text of a source file.
///
/// # Errors
/// [`ErrorKind::Source`], naming the file: it cannot be read, is not UTF-8, or holds JSON records instead of
/// source.
pub(super) fn read_source(path: &Path) -> Result<String> {
    if path == Path::new(STDIN) {
        return read_stdin();
    }
    if path.is_dir() {
        return Err(Error::new(ErrorKind::Source, "it is a folder")
            .in_file(path)
            .fix("give its files: DIR/*.py"));
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    if let Some(extension) = extension.filter(|extension| RECORDS.contains(&&extension[..]))
        && path.exists()
    {
        return Err(no_source(path, &format!("a .{extension} file holds records or is packed")));
    }
    let text = read_text(path, ErrorKind::Source).map_err(|error| packed(path).unwrap_or(error))?;
    if holds_records(&text) && path.extension().is_some_and(|extension| extension == "json") {
        Err(no_source(path, "the file holds records in JSON"))
    } else {
        Ok(text)
    }
}

/// The text of the standard input.
fn read_stdin() -> Result<String> {
    let fail = |what: String, fix: &str| Error::new(ErrorKind::Source, what).at("standard input").fix(fix);
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(SOURCE_BYTES + 1).read_to_end(&mut bytes);
    match read {
        Err(e) => Err(fail(format!("cannot be read: {e}"), "give a file")),
        Ok(read) if read as u64 > SOURCE_BYTES => {
            Err(too_large(ErrorKind::Source, SOURCE_BYTES).at("standard input"))
        }
        Ok(_) => String::from_utf8(bytes).map_err(|e| {
            fail(
                format!("not valid UTF-8 at byte {}", e.utf8_error().valid_up_to()),
                "convert the text to UTF-8",
            )
        }),
    }
}

fn no_source(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Source, format!("{what}: its bytes are not source text")).in_file(path).fix(
        "unpack it, or give the sources themselves; records are read by `longcode run`, with dataset = \"FILE\" in a \
         [[task]]",
    )
}

/// The error of a file that is not text, by its first bytes.
fn packed(path: &Path) -> Option<Error> {
    let bytes = crate::files::read_bytes(path, ErrorKind::Source).ok()?;
    let (_, what) = NO_TEXTS.iter().find(|(start, _)| bytes.starts_with(start))?;
    Some(no_source(path, what))
}

/// Whether a JSON text is a list of objects, or one object for each line.
fn holds_records(text: &str) -> bool {
    let start = text.trim_start();
    if let Some(list) = start.strip_prefix('[') {
        return list.trim_start().starts_with('{');
    }
    let mut lines = start.lines().map(str::trim);
    let is_object =
        |line: Option<&str>| line.is_some_and(|line| line.starts_with('{') && line.ends_with('}'));
    is_object(lines.next()) && is_object(lines.next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    #[test]
    fn what_cannot_be_used_is_left_out_with_its_reason() {
        let names: [(&str, &[u8]); 7] = [
            ("a.py", b"x = 1\n"),
            ("__init__.py", b""),
            ("latin.py", b"x = '\xe9'\n"),
            ("d.jsonl", b"{\"text\":\"x\"}\n"),
            ("e.json", b"[\n {\"text\":\"x\"}]"),
            ("f.py", b"PK\x03\x04\xff"),
            ("package.json", b"{\n  \"name\": \"x\"\n}\n"),
        ];
        let folder = folder(&names);
        let mut paths: Vec<PathBuf> = names.iter().map(|(name, _)| folder.path().join(name)).collect();
        paths.push(folder.path().to_path_buf());
        let sources = Sources::read(&paths).unwrap();
        let kept: Vec<_> = sources.files.iter().map(|file| file.path.file_name().unwrap()).collect();
        assert_eq!(kept, ["a.py", "package.json"]);
        let why: Vec<&str> = sources.left_out.iter().map(|(_, why)| &why.what[..]).collect();
        let expected = ["nothing", "UTF-8", "a .jsonl file", "records in JSON", "a zip file", "a folder"];
        assert!(why.len() == 6 && why.iter().zip(expected).all(|(why, what)| why.contains(what)), "{why:?}");
    }

    #[test]
    fn what_is_nowhere_and_nothing_at_all_are_refused() {
        let folder = folder(&[("a.py", b"x = 1"), ("b.py", b""), ("c.gz", b"")]);
        let refusal = |names: &[&str]| {
            let paths: Vec<PathBuf> = names.iter().map(|name| folder.path().join(name)).collect();
            Sources::read(&paths).err().map(|error| error.to_string())
        };
        assert!(refusal(&["a.py", "b.py"]).is_none());
        assert!(refusal(&["a.py", "no.py"]).unwrap().contains("no.py"));
        let one = refusal(&["b.py"]).unwrap();
        assert!(one.contains("nothing is in it") && one.contains("b.py") && one.contains("fix:"), "{one}");
        assert!(refusal(&["c.gz", "b.py"]).unwrap().contains("none of 2 files"));
        assert!(refusal(&["no.jsonl"]).unwrap().contains("cannot read"));
    }
}
