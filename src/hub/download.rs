//! Fetching from the hub, with the `hf-hub` crate: only the files that are needed, on from where an earlier fetch
//! stopped, and held to the hash that the hub has of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use super::{Name, RepositoryKind, cache};
use crate::error::{Error, ErrorKind, Result};
use crate::hash::Hasher;
use crate::model::safetensors::shard_names;
use crate::progress::Progress;

/// Times that a file is asked for again after the connection broke.
const RETRIES: usize = 2;

/// Files beside the weights that a model may have.
const BESIDE: [&str; 5] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "chat_template.jinja",
];
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Fetches a model's files, or the file of a data set, into the cache; those that are there stay.
///
/// `HF_ENDPOINT` is where the hub is, `HF_TOKEN`, or the token that `hf auth login` keeps, who asks.
///
/// # Errors
/// [`ErrorKind::Model`] or [`ErrorKind::Dataset`]: no connection, a name that is not there or is gated, files that
/// make no model, or a file that is not what the hub has. What came whole is kept.
pub fn fetch(name: &Name) -> Result<()> {
    Fetch::new(name)?.all()
}

struct Fetch<'a> {
    name: &'a Name,
    repository: ApiRepo,
    /// The files of the repository.
    there: BTreeSet<String>,
    snapshot: PathBuf,
}

impl<'a> Fetch<'a> {
    fn new(name: &'a Name) -> Result<Fetch<'a>> {
        let kind = match name.kind {
            RepositoryKind::Model => RepoType::Model,
            RepositoryKind::Dataset => RepoType::Dataset,
        };
        let failed = |e: ApiError| failure(name, &e);
        let repo = Repo::with_revision(name.repository.clone(), kind, name.revision.clone());
        let repository = api().map_err(failed)?.repo(repo.clone());
        let info = repository.info().map_err(failed)?;
        let kept = Cache::new(cache()).repo(repo);
        let snapshot = kept.pointer_path(&info.sha);
        // Where every file is there already none is asked for, and the revision may have moved.
        fs::create_dir_all(&snapshot)
            .and_then(|()| kept.create_ref(&info.sha))
            .map_err(|e| unwritable(&e))?;
        let there = info.siblings.into_iter().map(|file| file.rfilename).collect();
        Ok(Fetch { name, repository, there, snapshot })
    }

    fn all(&self) -> Result<()> {
        match &self.name.file {
            Some(file) => self.named(file),
            None => self.model(),
        }
    }

    fn named(&self, file: &str) -> Result<()> {
        if !self.there.contains(file) {
            let error =
                Error::new(ErrorKind::Dataset, format!("{} has no file `{file}`", self.name.repository));
            let files = some_of(self.there.iter());
            return Err(error.at(endpoint()).fix(format!("use one of: {files}")));
        }
        self.file(file)
    }

    fn model(&self) -> Result<()> {
        for file in BESIDE.iter().filter(|file| self.there.contains(**file)) {
            self.file(file)?;
        }
        if self.there.contains(WEIGHTS) {
            return self.file(WEIGHTS);
        }
        if self.there.contains(INDEX) {
            self.file(INDEX)?;
            let shards = shard_names(&self.snapshot.join(INDEX))?;
            return shards.iter().try_for_each(|shard| self.file(shard));
        }
        let gguf: Vec<&String> = self.there.iter().filter(|file| file.ends_with(".gguf")).collect();
        match &gguf[..] {
            [one] => self.file(one),
            [] => Err(Error::new(ErrorKind::Model, format!("{} has no safetensors weights", self.name))
                .at(endpoint())
                .fix("use a revision or another repository that has model.safetensors")),
            several => {
                let what = format!("{} has {} GGUF files", self.name, several.len());
                let files = some_of(several.iter().copied());
                Err(Error::new(ErrorKind::Model, what)
                    .at(endpoint())
                    .fix(format!("fetch one of them, and give its path: {files}")))
            }
        }
    }

    /// Fetches a file, unless it is there.
    fn file(&self, file: &str) -> Result<()> {
        if self.snapshot.join(file).exists() {
            return Ok(());
        }
        tell!("fetching {} {file}", self.name.repository);
        let path = self
            .repository
            .download_with_progress(file, Shown(None))
            .map_err(|e| failure(self.name, &e).at(file))?;
        self.check(&path, file)
    }

    /// Holds a file to the name under which the hub keeps its content, where that is its sha256: large files.
    fn check(&self, path: &Path, file: &str) -> Result<()> {
        let Ok(blob) = fs::canonicalize(path) else { return Ok(()) };
        let expected = blob.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if expected.len() != 64 || !expected.chars().all(|c| c.is_ascii_hexdigit()) {
            return Ok(());
        }
        let mut hasher = Hasher::default();
        hasher.update_file(&blob).map_err(|e| unwritable(&e))?;
        let found = hasher.finish();
        if found == expected {
            return Ok(());
        }
        let _ = fs::remove_file(path).and_then(|()| fs::remove_file(&blob));
        let what = format!("what came has the sha256 {found}, the hub says {expected}");
        Err(Error::new(self.name.error_kind(), what)
            .at(file)
            .at(&self.name.repository)
            .fix("run the same command again: the file was removed"))
    }
}

/// The hub as the environment has it.
fn api() -> std::result::Result<Api, ApiError> {
    let builder = ApiBuilder::from_cache(Cache::new(cache())).with_progress(false).with_retries(RETRIES);
    let builder = builder.with_endpoint(endpoint());
    match variable("HF_TOKEN") {
        Some(token) => builder.with_token(Some(token)).build(),
        None => builder.build(),
    }
}

/// Where the hub is.
fn endpoint() -> String {
    let given = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
    given.trim_end_matches('/').into()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().map(|value| value.trim().to_string()).filter(|value| !value.is_empty())
}

/// The first few names.
fn some_of<'a>(names: impl Iterator<Item = &'a String>) -> String {
    const SHOWN: usize = 20;
    let names: Vec<&str> = names.map(String::as_str).collect();
    match names.len() > SHOWN {
        true => format!("{}, ...", names[..SHOWN].join(", ")),
        false => names.join(", "),
    }
}

fn unwritable(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Write, format!("the cache cannot be written: {error}"))
        .in_file(&cache())
        .fix("make room or change its permissions, or set HF_HUB_CACHE to another directory")
}

/// What went wrong, in words.
fn failure(name: &Name, error: &ApiError) -> Error {
    let refused = |what: &str, fix: String| {
        Error::new(name.error_kind(), format!("{name}: {what}")).at(endpoint()).fix(fix)
    };
    match error {
        ApiError::TooManyRetries(inner) => failure(name, inner),
        ApiError::RequestError(inner) => match **inner {
            ureq::Error::StatusCode(401 | 403) => refused(
                "the hub refuses it: it is gated, private, or not there",
                format!(
                    "open {}/{}, accept its licence, make a token there and set HF_TOKEN",
                    endpoint(),
                    name.repository
                ),
            ),
            ureq::Error::StatusCode(404) => refused(
                "the hub has no such repository, revision or file",
                "check the name, and the revision behind @".into(),
            ),
            ureq::Error::StatusCode(status) => refused(
                &format!("the hub answers with status {status}"),
                "try again later: what came whole is kept".into(),
            ),
            ref other => unreachable_hub(name, &other.to_string()),
        },
        ApiError::IoError(e) if e.kind() == std::io::ErrorKind::StorageFull => unwritable(e),
        ApiError::LockAcquisition(path) => refused(
            &format!("another program is fetching it ({} is locked)", path.display()),
            "wait for it, then run the same command again".into(),
        ),
        ApiError::InvalidResume => refused(
            "an earlier fetch left more than the file has",
            "remove the *.sync.part files of its blobs in the cache".into(),
        ),
        other => unreachable_hub(name, &other.to_string()),
    }
}

fn unreachable_hub(name: &Name, what: &str) -> Error {
    Error::new(name.error_kind(), format!("{name}: the connection to the hub failed: {what}")).at(endpoint()).fix(
        "check the network and HF_ENDPOINT, then run the same command again: it goes on where it stopped; without \
         --download only the local cache is read",
    )
}

/// A file's progress on stderr.
struct Shown(Option<Progress>);

impl hf_hub::api::Progress for Shown {
    fn init(&mut self, size: usize, _filename: &str) {
        self.0 = Some(Progress::new(size as u64, "B"));
    }

    fn update(&mut self, size: usize) {
        if let Some(progress) = &mut self.0 {
            progress.advance(size as u64);
        }
    }

    fn finish(&mut self) {
        self.0 = None;
    }
}
