//! Names on the hub, as they are typed.

use std::fmt;

use longcode_base::error::{Error, ErrorKind, Result};

/// How a data set of the hub begins in a config.
const DATASET_PREFIX: &str = "hf:";

/// The revision of a name that has none.
pub(super) const MAIN: &str = "main";

/// What a repository of the hub holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryKind {
    /// A checkpoint.
    Model,
    /// Files of data.
    Dataset,
}

/// A repository of the hub at a revision, and perhaps a file of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// What it holds.
    pub kind: RepositoryKind,
    /// `org/name`.
    pub repository: String,
    /// A branch, tag or commit.
    pub revision: String,
    /// The file of a data set, or the GGUF file of a model.
    pub file: Option<String>,
}

impl Name {
    /// `org/name`, `org/name/the.gguf`, or either with `@revision` after `org/name`; none if it is not such a
    /// name.
    pub fn model(text: &str) -> Option<Name> {
        let (repository, rest) = parts(text)?;
        let (revision, file) = match rest {
            Rest::Nothing => (MAIN.into(), None),
            Rest::File(file) => (MAIN.into(), Some(file)),
            Rest::Revision(rest) if !is_gguf(rest) => (revision(rest)?, None),
            Rest::Revision(rest) => with_file(rest)?,
        };
        let named = file.is_none_or(|file| is_gguf(file) && is_plain_path(file));
        let kind = RepositoryKind::Model;
        named.then(|| Name { kind, repository: repository.into(), revision, file: file.map(Into::into) })
    }

    /// `hf:org/name/path/of/the.file` or `hf:org/name@revision/path/of/the.file`; none without that prefix.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] when the rest is not such a name.
    pub fn dataset(text: &str) -> Result<Option<Name>> {
        let Some(rest) = text.strip_prefix(DATASET_PREFIX) else { return Ok(None) };
        let parsed = || {
            let (repository, rest) = parts(rest)?;
            let (revision, file) = match rest {
                Rest::Nothing => return None,
                Rest::File(file) => (MAIN.into(), Some(file)),
                Rest::Revision(rest) => with_file(rest)?,
            };
            let file = file.filter(|file| is_plain_path(file))?.into();
            let kind = RepositoryKind::Dataset;
            Some(Name { kind, repository: repository.into(), revision, file: Some(file) })
        };
        parsed().map(Some).ok_or_else(|| {
            Error::new(ErrorKind::Dataset, format!("`{text}` names no file of a data set on the hub")).fix(
                "write hf:org/name/path/of/the.file, with @revision after the name where it is not main, and %2F for a \
                 slash in a branch's name",
            )
        })
    }

    /// The kind of an error about this name.
    pub(super) fn error_kind(&self) -> ErrorKind {
        match self.kind {
            RepositoryKind::Model => ErrorKind::Model,
            RepositoryKind::Dataset => ErrorKind::Dataset,
        }
    }
}

impl fmt::Display for Name {
    /// The name as it is typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == RepositoryKind::Dataset {
            f.write_str(DATASET_PREFIX)?;
        }
        f.write_str(&self.repository)?;
        if self.revision != MAIN {
            let special = special(&self.revision).is_some_and(|length| length == self.revision.len());
            let ends_there = self.file.is_none() || special;
            let revision = if ends_there { self.revision.clone() } else { self.revision.replace('/', "%2F") };
            write!(f, "@{revision}")?;
        }
        self.file.iter().try_for_each(|file| write!(f, "/{file}"))
    }
}

/// What follows `org/name`.
enum Rest<'a> {
    Nothing,
    File(&'a str),
    /// A revision, perhaps followed by a file.
    Revision(&'a str),
}

/// `org/name`, and the rest.
fn parts(text: &str) -> Option<(&str, Rest<'_>)> {
    let (organisation, rest) = text.split_once('/')?;
    let end = rest.find(['/', '@']).unwrap_or(rest.len());
    let repository = &text[..organisation.len() + 1 + end];
    if !is_plain(organisation) || !is_plain(&rest[..end]) {
        return None;
    }
    let rest = match rest[end..].split_at_checked(1) {
        None => Rest::Nothing,
        Some(("@", rest)) => Rest::Revision(rest),
        Some((_, rest)) => Rest::File(rest),
    };
    Some((repository, rest))
}

/// The revision and the file of `revision/path/of/the.file`. A revision is one part, or one of the two kinds
/// that have slashes in their names; in others a slash is written `%2F`.
fn with_file(rest: &str) -> Option<(String, Option<&str>)> {
    let end = special(rest).unwrap_or_else(|| rest.find('/').unwrap_or(rest.len()));
    let (first, file) = rest.split_at(end);
    Some((revision(first)?, file.strip_prefix('/')))
}

/// Length of a revision that the hub itself makes: `refs/convert/NAME` or `refs/pr/NUMBER`.
fn special(text: &str) -> Option<usize> {
    let start = ["refs/convert/", "refs/pr/"].into_iter().find(|start| text.starts_with(start))?;
    let name = text[start.len()..].split('/').next().filter(|name| !name.is_empty())?;
    Some(start.len() + name.len())
}

fn revision(text: &str) -> Option<String> {
    let revision = text.replace("%2F", "/").replace("%2f", "/");
    revision.split('/').all(is_plain).then_some(revision)
}

fn is_plain(part: &str) -> bool {
    let letters = part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    letters && !part.is_empty() && !part.starts_with(['.', '-']) && !part.contains("..")
}

fn is_gguf(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".gguf")
}

/// Whether a name from outside is a path below a directory, on every system.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && part.len() < 256;
    let forbidden = |c: char| c == '\\' || c.is_control() || cfg!(windows) && c == ':';
    path.len() < 4096 && path.split('/').all(is_plain) && !path.contains(forbidden)
}

/// Whether a text is a commit's full name.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_models() {
        let name = Name::model("Qwen/Qwen3-0.6B").unwrap();
        assert_eq!((name.repository.as_str(), name.revision.as_str()), ("Qwen/Qwen3-0.6B", "main"));
        let name = Name::model("a/b.c@refs/pr/1").unwrap();
        assert_eq!((name.revision.as_str(), name.to_string().as_str()), ("refs/pr/1", "a/b.c@refs/pr/1"));
        let wrong = [
            "a",
            "a/b/c",
            "/a/b",
            "a/",
            "./a",
            "../a",
            "a/..",
            "a/b@",
            "a/b@../c",
            "a b/c",
            "a/b@x@y",
            "a/b/",
            "a/b/../c.gguf",
            "a/b//c.gguf",
            "a/b@v1//c.gguf",
            "a/b/c\\d.gguf",
            "a/b@%2F..%2Fc",
            "C:/b\\c",
        ];
        for wrong in wrong {
            assert_eq!(Name::model(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_with_files_and_revisions() {
        let cases = [
            ("a/b/c.gguf", "main", Some("c.gguf")),
            ("a/b/Q4/c.GGUF", "main", Some("Q4/c.GGUF")),
            ("a/b@v1.0/c.gguf", "v1.0", Some("c.gguf")),
            ("a/b@refs/pr/3/Q4/c.gguf", "refs/pr/3", Some("Q4/c.gguf")),
            ("a/b@long%2Fcode/c.gguf", "long/code", Some("c.gguf")),
            ("a/b@long/code", "long/code", None),
            ("a/b@c.gguf", "c.gguf", None),
        ];
        for (text, revision, file) in cases {
            let name = Name::model(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((name.revision.as_str(), name.file.as_deref()), (revision, file), "{text}");
            assert_eq!(name.to_string(), text);
        }
        assert_eq!(Name::model("a/b@long%2Fcode").unwrap().revision, "long/code");
    }

    #[test]
    fn names_of_files() {
        let cases = [
            ("hf:THUDM/LongBench@v1/data/lcc.jsonl", "v1", "data/lcc.jsonl"),
            (
                "hf:org/data@refs/convert/parquet/default/train/0000.parquet",
                "refs/convert/parquet",
                "default/train/0000.parquet",
            ),
            ("hf:org/data@refs/pr/12/a.jsonl", "refs/pr/12", "a.jsonl"),
            ("hf:org/data@my%2Fbranch/a b@c.jsonl", "my/branch", "a b@c.jsonl"),
            ("hf:org/data/refs/convert/a.jsonl", "main", "refs/convert/a.jsonl"),
        ];
        for (text, revision, file) in cases {
            let name = Name::dataset(text).unwrap().unwrap();
            assert_eq!((name.revision.as_str(), name.file.as_deref()), (revision, Some(file)), "{text}");
            assert_eq!(name.to_string(), text);
        }
        assert_eq!(Name::dataset("code-python").unwrap(), None);
        let wrong = [
            "hf:a",
            "hf:a/b",
            "hf:a/b/",
            "hf:a/b/../c",
            "hf:/a/b/c",
            "hf:a/b@refs/pr/1",
            "hf:a/b@v1",
            "hf:a/b@v1/",
            "hf:a/b@../c/d",
            "hf:a/b/c\\..\\d",
        ];
        for wrong in wrong {
            assert!(Name::dataset(wrong).unwrap_err().fix.unwrap().contains("hf:org/name"), "{wrong}");
        }
    }

    #[test]
    fn paths_from_outside() {
        for good in ["config.json", "a/b/c.gguf", ".gitattributes", "a..b", "ä b"] {
            assert!(is_plain_path(good), "{good}");
        }
        let long = "x".repeat(256);
        for bad in
            ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", "a\\b", "a\0b", "a\nb", ".", long.as_str()]
        {
            assert!(!is_plain_path(bad), "{bad}");
        }
    }
}
