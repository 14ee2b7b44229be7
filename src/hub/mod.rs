//! Models and data sets by the name that they have on the Hugging Face hub: looked up in the local cache, which other
//! programs share, and fetched into it ([`download`]) only when that is asked for.
//!
//! The cache is `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`; in it `models--ORG--NAME` or
//! `datasets--ORG--NAME`, where `refs/REVISION` holds a commit and `snapshots/COMMIT` its files.

mod download;

pub use download::fetch;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// What a data set of the hub begins with in a config.
const DATASET_PREFIX: &str = "hf:";

/// The revision of a name that has none.
const MAIN: &str = "main";

/// What a repository of the hub holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryKind {
    /// A checkpoint.
    Model,
    /// Files of data.
    Dataset,
}

/// A repository of the hub at a revision, and a file of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// What it holds.
    pub kind: RepositoryKind,
    /// `org/name`.
    pub repository: String,
    /// A branch, tag or commit.
    pub revision: String,
    /// The file, of a data set.
    pub file: Option<String>,
}

impl Name {
    /// `org/name` or `org/name@revision`; none for what is no such name.
    pub fn model(text: &str) -> Option<Name> {
        let (repository, revision) = with_revision(text)?;
        Some(Name { kind: RepositoryKind::Model, repository, revision, file: None })
    }

    /// `hf:org/name/path/of/the.file` or `hf:org/name@revision/path/of/the.file`; none for what does not begin so.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] when the rest is no such name.
    pub fn dataset(text: &str) -> Result<Option<Name>> {
        let Some(rest) = text.strip_prefix(DATASET_PREFIX) else { return Ok(None) };
        let parsed = || {
            let (organisation, rest) = rest.split_once('/')?;
            let (name, file) = rest.split_once('/')?;
            let (repository, revision) = with_revision(&format!("{organisation}/{name}"))?;
            let inside = !file.is_empty() && file.split('/').all(|part| !matches!(part, "" | "." | ".."));
            inside.then(|| Name {
                kind: RepositoryKind::Dataset,
                repository,
                revision,
                file: Some(file.into()),
            })
        };
        parsed().map(Some).ok_or_else(|| {
            Error::new(ErrorKind::Dataset, format!("`{text}` names no file of a data set on the hub"))
                .fix("write hf:org/name/path/of/the.file, with @revision after the name where it is not main")
        })
    }

    /// The directory of the repository in the cache.
    fn directory(&self) -> PathBuf {
        let kind = match self.kind {
            RepositoryKind::Model => "models",
            RepositoryKind::Dataset => "datasets",
        };
        cache().join(format!("{kind}--{}", self.repository.replace('/', "--")))
    }

    /// The directory of its files in the cache; none where it is not there.
    fn snapshot(&self) -> Option<PathBuf> {
        let directory = self.directory();
        let snapshots = directory.join("snapshots");
        let commit = fs::read_to_string(directory.join("refs").join(&self.revision)).ok();
        let commit = commit.map_or_else(|| self.revision.clone(), |commit| commit.trim().to_string());
        let plain = !commit.is_empty() && !commit.contains(['/', '\\']) && !commit.starts_with('.');
        Some(snapshots.join(commit)).filter(|snapshot| plain && snapshot.is_dir())
    }

    /// Where its model or file lies in the cache: a directory, or the only GGUF file of one that is no Hugging Face
    /// checkpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] or [`ErrorKind::Dataset`] when it is not there, with how to get it.
    pub fn cached(&self) -> Result<PathBuf> {
        let snapshot = self.snapshot().ok_or_else(|| self.not_cached())?;
        match &self.file {
            Some(file) => {
                Some(snapshot.join(file)).filter(|path| path.exists()).ok_or_else(|| self.not_cached())
            }
            None if snapshot.join("config.json").exists() => Ok(snapshot),
            None => match &gguf_files(&snapshot)[..] {
                [one] => Ok(one.clone()),
                _ => Ok(snapshot),
            },
        }
    }

    fn error_kind(&self) -> ErrorKind {
        match self.kind {
            RepositoryKind::Model => ErrorKind::Model,
            RepositoryKind::Dataset => ErrorKind::Dataset,
        }
    }

    fn not_cached(&self) -> Error {
        let what = match self.kind {
            RepositoryKind::Model => {
                format!("`{self}` is no path that exists, and no model in the local cache")
            }
            RepositoryKind::Dataset => format!("`{self}` is not in the local cache"),
        };
        Error::new(self.error_kind(), what)
            .in_file(&cache())
            .fix("add --download to fetch it from the hub, or see `longcode models` for what is there")
    }
}

impl fmt::Display for Name {
    /// As it is typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == RepositoryKind::Dataset {
            f.write_str(DATASET_PREFIX)?;
        }
        f.write_str(&self.repository)?;
        if self.revision != MAIN {
            write!(f, "@{}", self.revision)?;
        }
        self.file.iter().try_for_each(|file| write!(f, "/{file}"))
    }
}

/// A model of the cache.
#[derive(Debug, Clone)]
pub struct Cached {
    /// Its name, with the revision.
    pub name: Name,
    /// Its files.
    pub path: PathBuf,
}

/// Every model and revision of the cache, by name.
///
/// # Errors
/// [`ErrorKind::Model`] when the cache is there and cannot be read.
pub fn models() -> Result<Vec<Cached>> {
    let cache = cache();
    if !cache.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for directory in entries(&cache)? {
        let folder = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some((organisation, name)) =
            folder.strip_prefix("models--").and_then(|rest| rest.split_once("--"))
        else {
            continue;
        };
        let refs = directory.join("refs");
        let revisions = if refs.is_dir() { entries(&refs)? } else { Vec::new() };
        for revision in revisions.iter().filter(|path| path.is_file()) {
            let revision = revision.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let repository = format!("{organisation}/{name}");
            let name = Name { kind: RepositoryKind::Model, repository, revision, file: None };
            found.extend(name.cached().ok().map(|path| Cached { name, path }));
        }
    }
    Ok(found)
}

/// Where the cache is.
pub fn cache() -> PathBuf {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || variable("HOME").or_else(|| variable("USERPROFILE")).unwrap_or_default();
    let hub = || {
        let shared = || variable("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache"));
        variable("HF_HOME").unwrap_or_else(|| shared().join("huggingface"))
    };
    variable("HF_HUB_CACHE").unwrap_or_else(|| hub().join("hub"))
}

/// `org/name` and the revision of `org/name@revision`.
fn with_revision(text: &str) -> Option<(String, String)> {
    let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
    let plain = |part: &str| {
        let letters = part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        letters && !part.is_empty() && !part.starts_with(['.', '-']) && !part.contains("..")
    };
    let (organisation, name) = repository.split_once('/')?;
    let good = plain(organisation) && plain(name) && revision.split('/').all(plain);
    good.then(|| (repository.into(), revision.into()))
}

fn gguf_files(directory: &Path) -> Vec<PathBuf> {
    let is_gguf = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "gguf");
    entries(directory).unwrap_or_default().into_iter().filter(is_gguf).collect()
}

/// What a directory holds, sorted.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut entries = read().map_err(|e| {
        Error::new(ErrorKind::Model, format!("cannot read the directory: {e}"))
            .in_file(directory)
            .fix("check its permissions, or set HF_HUB_CACHE")
    })?;
    entries.sort();
    Ok(entries)
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
        for wrong in
            ["a", "a/b/c", "/a/b", "a/", "./a", "../a", "a/..", "a/b@", "a/b@../c", "a b/c", "a/b@x@y"]
        {
            assert_eq!(Name::model(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_of_files() {
        let name = Name::dataset("hf:THUDM/LongBench@v1/data/lcc.jsonl").unwrap().unwrap();
        assert_eq!(name.repository, "THUDM/LongBench");
        assert_eq!((name.revision.as_str(), name.file.as_deref()), ("v1", Some("data/lcc.jsonl")));
        assert_eq!(name.to_string(), "hf:THUDM/LongBench@v1/data/lcc.jsonl");
        assert_eq!(Name::dataset("code-python").unwrap(), None);
        for wrong in ["hf:a", "hf:a/b", "hf:a/b/", "hf:a/b/../c", "hf:/a/b/c"] {
            assert!(Name::dataset(wrong).unwrap_err().fix.unwrap().contains("hf:org/name"), "{wrong}");
        }
    }
}
