//! Fetching from the hub: only the files that are needed, continued from where an earlier fetch stopped, each
//! up to its limit and checked against the hub's hash.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::client::Failure;
use super::content::Content;
use super::layout::{Hash, Layout, Place, is_good, unwritable};
use super::name::{is_commit, is_plain_path};
use super::remote::{Hub, Listing, shown_endpoint};
use super::{Name, cache, variable};
use crate::contents;
use crate::weight_files::{INDEX, WEIGHTS, shard_names};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::largest_of_model;
use longcode_base::limits;
use longcode_base::{note, status};

/// Files besides the weights that a model may have.
const BESIDE: [&str; 7] = [
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "chat_template.jinja",
];

/// Fetches a model's files, or the file of a name that has one, into the cache; existing ones stay. If all
/// are there and the revision is a commit, or the hub cannot be reached, or `HF_HUB_OFFLINE` or
/// `TRANSFORMERS_OFFLINE` is set, the hub is not asked.
///
/// `HF_ENDPOINT` is the hub's address, `HF_TOKEN`, or the token that `hf auth login` keeps, identifies the
/// user.
///
/// # Errors
/// [`ErrorKind::Model`] or [`ErrorKind::Dataset`]: no connection, a name that does not exist or is gated,
/// files that are not a model, or a file that differs from the hub's. Complete files are kept.
pub fn fetch(name: &Name) -> Result<()> {
    if let Some(variable) = offline() {
        if name.is_whole() {
            return Ok(());
        }
        let what = format!("{name} is not whole in the cache, and {variable} is set");
        let fix = format!("unset {variable} to fetch it, or fetch it where there is a network");
        return Err(Error::new(name.error_kind(), what).in_file(&cache()).fix(fix));
    }
    if is_commit(&name.revision) && name.is_whole() {
        return Ok(());
    }
    let hub = Hub::of_environment(name)?;
    let listing = match hub.listing() {
        Ok(listing) => listing,
        Err(failure) if failure.is_of_network() && name.is_whole() => {
            note!("the hub cannot be asked ({failure}): {name} is taken as it is in the cache");
            return Ok(());
        }
        Err(failure) => return Err(hub.error(failure)),
    };
    Fetch::new(&hub, listing)?.all()
}

/// Fetches a model's files besides its weights, for a tokenizer whose model is elsewhere.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_text_side(name: &Name) -> Result<()> {
    if name.cached().is_ok_and(|path| path.join("tokenizer.json").exists()) {
        return Ok(());
    }
    if let Some(variable) = offline() {
        let what = format!("the tokenizer of {name} is not in the cache, and {variable} is set");
        let fix = format!("unset {variable} to fetch it, or fetch it where there is a network");
        return Err(Error::new(name.error_kind(), what).in_file(&cache()).fix(fix));
    }
    let hub = Hub::of_environment(name)?;
    let listing = hub.listing().map_err(|failure| hub.error(failure))?;
    Fetch::new(&hub, listing)?.beside_weights()
}

/// The variable that says there is no network.
fn offline() -> Option<&'static str> {
    let is_set = |name: &&str| {
        variable(name)
            .is_some_and(|value| matches!(&*value.to_ascii_lowercase(), "1" | "on" | "yes" | "true"))
    };
    ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"].into_iter().find(is_set)
}

struct Fetch<'a> {
    hub: &'a Hub<'a>,
    layout: Layout,
    commit: String,
    /// The files in the repository.
    there: BTreeSet<String>,
    snapshot: PathBuf,
}

impl<'a> Fetch<'a> {
    fn new(hub: &'a Hub<'a>, listing: Listing) -> Result<Fetch<'a>> {
        let layout = Layout::new(hub.name)?;
        let (commit, names) = listing.into_parts();
        // If every file is there already, none is requested, and the revision may have moved.
        if hub.name.revision != commit {
            layout.set_revision(&hub.name.revision, &commit)?;
        }
        let (there, odd): (BTreeSet<String>, BTreeSet<String>) = names.partition(|file| is_plain_path(file));
        if let Some(first) = odd.first() {
            note!("{}: {} file(s) whose names are not paths are skipped, as {first:?}", hub.name, odd.len());
        }
        let snapshot = hub.name.directory().join("snapshots").join(&commit);
        Ok(Fetch { hub, layout, commit, there, snapshot })
    }

    fn all(&self) -> Result<()> {
        match &self.hub.name.file {
            Some(file) => self.named(file),
            None => self.model(),
        }
    }

    fn named(&self, file: &str) -> Result<()> {
        let name = self.hub.name;
        if !self.there.contains(file) {
            let what = format!("{} has no file `{file}`", name.repository);
            let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
            let alike: Vec<&String> = self.there.iter().filter(|name| name.ends_with(ending)).collect();
            let files =
                if alike.is_empty() { some_of(self.there.iter()) } else { some_of(alike.into_iter()) };
            return Err(Error::new(name.error_kind(), what)
                .at(shown_endpoint())
                .fix(format!("use one of: {files}")));
        }
        self.file(file)
    }

    fn model(&self) -> Result<()> {
        let weights = [WEIGHTS, INDEX].into_iter().find(|file| self.there.contains(*file));
        let Some(weights) = weights else { return self.gguf() };
        self.beside_weights()?;
        self.file(weights)?;
        if weights == WEIGHTS {
            return Ok(());
        }
        shard_names(&self.snapshot.join(INDEX))?.iter().try_for_each(|shard| self.file(shard))
    }

    fn beside_weights(&self) -> Result<()> {
        BESIDE.iter().filter(|file| self.there.contains(**file)).try_for_each(|file| self.file(file))
    }

    /// The only GGUF file of a repository without safetensors.
    fn gguf(&self) -> Result<()> {
        let names: Vec<&str> = self.there.iter().map(String::as_str).collect();
        match &contents::gguf_files(&names)[..] {
            [one] => self.file(one),
            several => {
                let name = self.hub.name;
                let named = |file: &&str| Name { file: Some(file.to_string()), ..name.clone() }.to_string();
                let named = several.first().map(named);
                let (what, fix) = contents::instead(&names, named.as_deref()).unwrap_or_else(|| {
                    let fix = "use a revision or another repository that has model.safetensors";
                    ("it has no safetensors weights".into(), fix.into())
                });
                Err(Error::new(ErrorKind::Model, format!("{name}: {what}")).at(shown_endpoint()).fix(fix))
            }
        }
    }

    /// Fetches a file, unless it is there and matches its name in the cache.
    fn file(&self, file: &str) -> Result<()> {
        let path = self.snapshot.join(file);
        if is_good(&path) {
            return Ok(());
        }
        if path.exists() {
            note!("{}: {file} in the cache is not what the hub has, and is fetched again", self.hub.name);
        }
        let in_words = |e: Failure| self.hub.error(e).at(file);
        let place_of = self.hub.path(file);
        let about = self.hub.client.ask(&place_of).map_err(in_words)?;
        if about.commit.as_ref().is_some_and(|commit| !commit.eq_ignore_ascii_case(&self.commit)) {
            let what = format!("{} was changed on the hub while it was fetched", self.hub.name);
            return Err(Error::new(self.hub.name.error_kind(), what)
                .at(file)
                .fix("run the same command again"));
        }
        let bytes =
            about.bytes.ok_or_else(|| Failure::Nonsense("it does not say how large the file is".into()));
        let bytes = bytes.and_then(|bytes| refuse_too_large(file, bytes)).map_err(in_words)?;
        let hash = Hash::of(about.etag(), &format!("{}/{file}", self.commit));
        if let Hash::Unknown(_) = hash {
            note!("{}: the hub has no hash of {file} to check it against", self.hub.name);
        }
        let place = self.layout.place(&hash).map_err(|e| e.at(file))?;
        let blob = match place.there() {
            Some(blob) => blob.to_path_buf(),
            None => {
                status!("fetching {} {file}", self.hub.name.repository);
                Content { hub: self.hub, path: &place_of, bytes, place: &place }
                    .fetch()
                    .map_err(|e| e.at(file))?;
                self.check(&place, &hash, file)?;
                place.finish(&hash)?
            }
        };
        self.layout.link(&self.commit, file, &blob)
    }

    /// Checks what arrived against its hash.
    fn check(&self, place: &Place, hash: &Hash, file: &str) -> Result<()> {
        let other = hash.other(&place.partial).map_err(|e| unwritable(&e, &place.partial))?;
        let Some(other) = other else { return Ok(()) };
        let _ = fs::remove_file(&place.partial);
        Err(Error::new(self.hub.name.error_kind(), format!("what came has the {other}"))
            .at(file)
            .at(&self.hub.name.repository)
            .fix("run the same command again: the file was removed"))
    }
}

/// Refuses a file that is too large for its name.
fn refuse_too_large(file: &str, bytes: u64) -> std::result::Result<u64, Failure> {
    let most = largest_of_model(file).unwrap_or(limits::HUB_FILE_BYTES);
    if bytes <= most {
        return Ok(bytes);
    }
    let what = format!("the file has {bytes} bytes, more than the {most} that one of its kind may have");
    Err(Failure::Nonsense(what))
}

/// The first few names.
fn some_of<'a>(names: impl Iterator<Item = &'a String>) -> String {
    const SHOWN: usize = 20;
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.len() > SHOWN { format!("{}, ...", names[..SHOWN].join(", ")) } else { names.join(", ") }
}
