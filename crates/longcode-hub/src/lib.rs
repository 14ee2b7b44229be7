//! Models and data sets by their name on the Hugging Face hub: looked up in the local cache, which other
//! programs share, and fetched into it ([`download`]) only on request.
//!
//! The cache is `HF_HUB_CACHE`, otherwise `HF_HOME/hub`, otherwise `~/.cache/huggingface/hub`; it holds
//! `models--ORG--NAME` or `datasets--ORG--NAME`, where `refs/REVISION` holds a commit and `snapshots/COMMIT`
//! its files ([`layout`]).
//!
//! ```
//! use longcode_hub::Name;
//!
//! let name = Name::model("org/model@v1").expect("a name of the hub");
//! assert_eq!((name.repository.as_str(), name.revision.as_str()), ("org/model", "v1"));
//! assert!(Name::model("models/nano/config.json/and/more").is_none());
//! ```
//!
//! [`Name`], [`fetch`], [`models`] and [`cache`] are the stable face of this crate.

mod client;
mod content;
pub mod contents;
mod download;
mod layout;
mod name;
mod remote;
mod weight_files;

pub use download::{fetch, fetch_text_side};
use name::is_plain_path;
pub use name::{Name, RepositoryKind};
pub use weight_files::weight_files;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use layout::is_good;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::read_text;
use name::MAIN;

impl Name {
    /// The repository's directory in the cache.
    fn directory(&self) -> PathBuf {
        cache().join(self.folder())
    }

    fn folder(&self) -> String {
        let kind = match self.kind {
            RepositoryKind::Model => "models",
            RepositoryKind::Dataset => "datasets",
        };
        format!("{kind}--{}", self.repository.replace('/', "--"))
    }

    /// The directory of its files in the cache; none if it does not exist.
    fn snapshot(&self) -> Option<PathBuf> {
        let directory = self.directory();
        let commit = commit_of(&directory.join("refs").join(&self.revision));
        let commit = commit.unwrap_or_else(|| self.revision.clone());
        let snapshot = directory.join("snapshots").join(&commit);
        (is_plain_name(&commit) && snapshot.is_dir()).then_some(snapshot)
    }

    /// Its path in the cache: the directory, or the file if it names one.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] or [`ErrorKind::Dataset`] when it is missing, with how to get it.
    pub fn cached(&self) -> Result<PathBuf> {
        let snapshot = self.snapshot().ok_or_else(|| self.not_cached())?;
        let path = self.file.as_ref().map_or(snapshot.clone(), |file| snapshot.join(file));
        if path.exists() { Ok(path) } else { Err(self.not_cached()) }
    }

    /// Whether all files that it needs are in the cache.
    fn is_whole(&self) -> bool {
        let Some(snapshot) = self.snapshot() else { return false };
        match &self.file {
            Some(file) => is_good(&snapshot.join(file)),
            None => contents::is_whole(&snapshot, is_good),
        }
    }

    fn not_cached(&self) -> Error {
        let what = match self.kind {
            RepositoryKind::Model => {
                format!("`{self}` is neither an existing path nor a model in the local cache")
            }
            RepositoryKind::Dataset => format!("`{self}` is not in the local cache"),
        };
        Error::new(self.error_kind(), what)
            .in_file(&cache())
            .fix("add --download to fetch it from the hub, or see `longcode models` for what is there")
    }
}

/// A model in the cache.
#[derive(Debug, Clone)]
pub struct Cached {
    /// Its name, with the revision.
    pub name: Name,
    /// Its directory or its GGUF file.
    pub path: PathBuf,
}

/// Every model and revision in the cache, by name: the revisions that have a name, and the commits that have
/// none. In a repository with several GGUF files each is a model.
///
/// # Errors
/// [`ErrorKind::Model`] when the cache exists and cannot be read.
pub fn models() -> Result<Vec<Cached>> {
    let cache = cache();
    if !cache.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for directory in entries(&cache)? {
        let folder = file_name(&directory);
        if let Some((organisation, name)) =
            folder.strip_prefix("models--").and_then(|rest| rest.split_once("--"))
        {
            found.extend(of_repository(&directory, &format!("{organisation}/{name}"))?);
        }
    }
    Ok(found)
}

/// The models in a repository's directory.
fn of_repository(directory: &Path, repository: &str) -> Result<Vec<Cached>> {
    let snapshots = directory.join("snapshots");
    let is_there = |commit: &String| is_plain_name(commit) && snapshots.join(commit).is_dir();
    let mut revisions: Vec<(String, String)> = named_commits(directory)?;
    revisions.retain(|(_, commit)| is_there(commit));
    let named: BTreeSet<String> = revisions.iter().map(|(_, commit)| commit.clone()).collect();
    let commits = if snapshots.is_dir() { entries(&snapshots)? } else { Vec::new() };
    let commits = commits.iter().map(|path| file_name(path));
    let nameless = commits.filter(|commit| is_there(commit) && !named.contains(commit));
    revisions.extend(nameless.map(|commit| (commit.clone(), commit)));
    let mut found = Vec::new();
    for (revision, commit) in revisions {
        let name = Name { kind: RepositoryKind::Model, repository: repository.into(), revision, file: None };
        found.extend(of_snapshot(name, snapshots.join(commit)));
    }
    Ok(found)
}

fn of_snapshot(name: Name, path: PathBuf) -> Vec<Cached> {
    let files = contents::file_names(&path);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let gguf = contents::gguf_files(&files);
    if gguf.len() < 2 || files.iter().any(|file| file.ends_with(".safetensors")) {
        return vec![Cached { name, path }];
    }
    gguf.iter()
        .map(|file| Cached {
            name: Name { file: Some((*file).to_string()), ..name.clone() },
            path: path.join(file),
        })
        .collect()
}

/// The revisions of a repository's directory that have a name, each with its commit.
fn named_commits(directory: &Path) -> Result<Vec<(String, String)>> {
    let refs = directory.join("refs");
    let (mut found, mut folders) = (Vec::new(), vec![refs.clone()]);
    while let Some(folder) = folders.pop() {
        for path in if folder.is_dir() { entries(&folder)? } else { Vec::new() } {
            // A link may lead back up.
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                folders.push(path);
            } else if let (Some(commit), Ok(revision)) = (commit_of(&path), path.strip_prefix(&refs)) {
                let parts: Vec<_> = revision.iter().map(|part| part.to_string_lossy()).collect();
                found.push((parts.join("/"), commit));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The name of a model's directory or file in the cache; none for paths elsewhere.
pub(crate) fn name_of(path: &Path) -> Option<Name> {
    let inside = path.strip_prefix(cache()).ok()?;
    let mut parts = inside.iter().map(|part| part.to_str());
    let (folder, snapshots, commit) = (parts.next()??, parts.next()??, parts.next()??);
    let repository = folder.strip_prefix("models--")?.replacen("--", "/", 1);
    let named = named_commits(&cache().join(folder)).unwrap_or_default();
    let mut revisions = named.into_iter().filter(|(_, of)| of == commit).map(|(revision, _)| revision);
    let first = revisions.next();
    let main = first.iter().cloned().chain(revisions).find(|revision| revision == MAIN);
    let revision = main.or(first).unwrap_or_else(|| commit.into());
    (snapshots == "snapshots").then_some(Name {
        kind: RepositoryKind::Model,
        repository,
        revision,
        file: None,
    })
}

/// The commit in the file of a revision.
fn commit_of(path: &Path) -> Option<String> {
    // Other programs write it, so it may contain anything.
    if !path.is_file() {
        return None;
    }
    let commit = read_text(path, ErrorKind::Model).ok()?;
    Some(commit.trim().to_string())
}

/// Where the cache is.
pub fn cache() -> PathBuf {
    path_variable("HF_HUB_CACHE").unwrap_or_else(|| home().join("hub"))
}

/// Where other programs keep files of the hub.
fn home() -> PathBuf {
    let user = || path_variable("HOME").or_else(|| path_variable("USERPROFILE")).unwrap_or_default();
    let shared = || path_variable("XDG_CACHE_HOME").unwrap_or_else(|| user().join(".cache"));
    path_variable("HF_HOME").unwrap_or_else(|| shared().join("huggingface"))
}

fn path_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_string()).filter(|value| !value.is_empty())
}

/// Whether a text is the name of something in a directory, and not hidden.
fn is_plain_name(text: &str) -> bool {
    !text.contains('/') && is_plain_path(text) && !text.starts_with('.')
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The entries of a directory, sorted.
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
