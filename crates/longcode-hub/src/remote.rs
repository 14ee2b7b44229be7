//! A repository on the hub: where its files are, and what goes wrong, in words.

use std::path::PathBuf;

use serde::Deserialize;

use super::client::{Client, Failure, Patience};
use super::layout::unwritable;
use super::name::is_commit;
use super::{Name, RepositoryKind, cache, home, variable};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::read_text;
use longcode_base::limits;

/// A repository on the hub.
pub(super) struct Hub<'a> {
    pub name: &'a Name,
    pub client: Client,
}

/// A repository at a revision. Nothing else of the hub's answer is read.
#[derive(Debug, Deserialize)]
pub(super) struct Listing {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Debug, Deserialize)]
struct Sibling {
    rfilename: String,
}

impl Listing {
    /// The commit, and the names of its files.
    pub(crate) fn into_parts(self) -> (String, impl Iterator<Item = String>) {
        (self.sha.to_ascii_lowercase(), self.siblings.into_iter().map(|file| file.rfilename))
    }
}

impl<'a> Hub<'a> {
    /// As configured in the environment.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] or [`ErrorKind::Config`] if the environment makes no sense.
    pub(crate) fn of_environment(name: &'a Name) -> Result<Hub<'a>> {
        let client = Client::new(&endpoint(), token()?, Patience::default());
        let client = client.map_err(|e| {
            Error::new(ErrorKind::Usage, e.to_string())
                .at("environment")
                .fix("correct HF_ENDPOINT, HF_TOKEN or the token that `hf auth login` keeps, or unset them")
        })?;
        Ok(Hub { name, client })
    }

    /// The repository at the name's revision.
    ///
    /// # Errors
    /// [`Failure`].
    pub(crate) fn listing(&self) -> std::result::Result<Listing, Failure> {
        let kind = match self.name.kind {
            RepositoryKind::Model => "models",
            RepositoryKind::Dataset => "datasets",
        };
        let path =
            format!("/api/{kind}/{}/revision/{}", self.name.repository, encoded(&self.name.revision, ""));
        let text = self.client.text(&path, limits::LISTING_BYTES)?;
        let listing: Listing = serde_json::from_slice(&text)
            .map_err(|e| Failure::Nonsense(format!("the list of files cannot be read: {e}")))?;
        if is_commit(&listing.sha) {
            Ok(listing)
        } else {
            Err(Failure::Nonsense("the list of files names no commit".into()))
        }
    }

    /// The path of a file on the hub.
    pub(crate) fn path(&self, file: &str) -> String {
        let kind = match self.name.kind {
            RepositoryKind::Model => "",
            RepositoryKind::Dataset => "datasets/",
        };
        let (repository, revision) = (&self.name.repository, encoded(&self.name.revision, ""));
        format!("/{kind}{repository}/resolve/{revision}/{}", encoded(file, "/"))
    }

    /// A failure in words.
    pub(crate) fn error(&self, failure: Failure) -> Error {
        let name = self.name;
        let refused = |what: &str, fix: &str| {
            Error::new(name.error_kind(), format!("{name}: {what}")).at(shown_endpoint()).fix(fix)
        };
        match failure {
            Failure::Status(401 | 403) => refused(
                "the hub refuses it: it is gated, private, or not there",
                &format!(
                    "open {}/{}, accept its licence, make a token there and set HF_TOKEN",
                    shown_endpoint(),
                    name.repository
                ),
            ),
            Failure::Status(404) => refused(
                "the hub has no such repository, revision or file",
                "check the name, and the revision behind @",
            ),
            Failure::Status(_) => refused(&failure.to_string(), "try again later: what came whole is kept"),
            Failure::Nonsense(what) => refused(
                &format!("the hub's answer is refused: {what}"),
                "check HF_ENDPOINT and the name; if both are right, the hub is not what it should be",
            ),
            Failure::Connection(what) => refused(
                &format!("the connection to the hub failed: {what}"),
                "check the network and HF_ENDPOINT, then run the same command again: it resumes where it stopped; without \
                 --download only the local cache is read",
            ),
            Failure::Disk(e) => unwritable(&e, &cache()),
        }
    }
}

impl Failure {
    /// Whether the hub could not be reached.
    pub(crate) fn is_of_network(&self) -> bool {
        matches!(self, Failure::Connection(_) | Failure::Status(429 | 500..))
    }
}

/// The hub's address.
fn endpoint() -> String {
    let given = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
    given.trim_end_matches('/').into()
}

/// The hub's address, without a password that it may contain.
pub(super) fn shown_endpoint() -> String {
    let endpoint = endpoint();
    match (endpoint.split_once("://"), endpoint.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => endpoint,
    }
}

/// The user's token.
fn token() -> Result<Option<String>> {
    if let Some(token) = variable("HF_TOKEN") {
        return Ok(Some(token));
    }
    let path = variable("HF_TOKEN_PATH").map_or_else(|| home().join("token"), PathBuf::from);
    if !path.exists() {
        return Ok(None);
    }
    let token = read_text(&path, ErrorKind::Config)?.trim().to_string();
    Ok(Some(token).filter(|token| !token.is_empty()))
}

/// A text for an address: characters that are neither plain nor in `also` become `%XX`.
fn encoded(text: &str, also: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || also.contains(c) {
            encoded.push(c);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
