//! Requests to the hub. Redirects are followed by hand, so that the token goes only to the hub's own host;
//! every answer has a limit in bytes, and one in time without progress. Nothing is decompressed.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Uri};
use ureq::{Agent, BodyReader};

use longcode_base::{limits, web};

/// How long to wait for the hub.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Longest time without a byte, and the time over which `least_bytes` are counted.
    pub silence: Duration,
    /// Bytes that must arrive in that time.
    pub least_bytes: u64,
}

impl Default for Patience {
    fn default() -> Self {
        let silence = Duration::from_secs(limits::HUB_SILENCE_SECONDS);
        Patience { silence, least_bytes: limits::HUB_LEAST_BYTES }
    }
}

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// An answer with an error status.
    #[error("the hub answers with status {0}")]
    Status(u16),
    /// The connection was not made, or broke.
    #[error("{0}")]
    Connection(String),
    /// An answer that a hub would never give.
    #[error("{0}")]
    Nonsense(String),
    /// What arrived cannot be stored.
    #[error("{0}")]
    Disk(io::Error),
}

/// A client for one endpoint, with the user's token.
pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    token: Option<String>,
    patience: Patience,
}

/// What the hub says about a file besides its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileInfo {
    /// Its ETag, as in the header.
    etag: Option<String>,
    /// The ETag of a file stored elsewhere, which takes precedence.
    linked_etag: Option<String>,
    /// The commit of the revision.
    pub commit: Option<String>,
    /// Size of the whole file, if stated.
    pub bytes: Option<u64>,
}

/// An answer with a body.
pub(super) struct Answer {
    pub info: FileInfo,
    /// The first byte's place in the file.
    pub start: u64,
    pub body: Body,
}

/// A body that fails if it stalls or trickles.
pub(super) struct Body {
    inner: BodyReader<'static>,
    patience: Patience,
    since: Instant,
    bytes: u64,
}

impl Client {
    /// # Errors
    /// [`Failure::Nonsense`] if the endpoint is not the address of a server, or the token is not valid.
    pub(crate) fn new(endpoint: &str, token: Option<String>, patience: Patience) -> Result<Client, Failure> {
        let parsed = endpoint.parse().ok().filter(|uri| origin(uri).is_some());
        let parsed =
            parsed.ok_or_else(|| Failure::Nonsense("HF_ENDPOINT is not an https:// address".into()))?;
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Failure::Nonsense("the token has characters that no token has".into()));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("longcode/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_resolve(Some(2 * patience.silence))
            .timeout_connect(Some(2 * patience.silence))
            .timeout_recv_response(Some(2 * patience.silence))
            .timeout_per_read(Some(patience.silence))
            .timeout_per_write(Some(patience.silence))
            .build()
            .into();
        Ok(Client { agent, endpoint: parsed, token, patience })
    }

    /// The body at a path of the hub, whole.
    ///
    /// # Errors
    /// [`Failure`]; more than `most` bytes are nonsense.
    pub(crate) fn text(&self, path: &str, most: u64) -> Result<Vec<u8>, Failure> {
        let too_long = || Failure::Nonsense(format!("the answer is longer than {most} bytes"));
        let answer = self.get(path, None)?;
        if answer.info.bytes.is_some_and(|bytes| bytes > most) {
            return Err(too_long());
        }
        let mut bytes = Vec::new();
        let read = answer.body.take(most + 1).read_to_end(&mut bytes).map_err(|e| broken(&e))?;
        if read as u64 > most { Err(too_long()) } else { Ok(bytes) }
    }

    /// What the hub says about the file at a path.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn ask(&self, path: &str) -> Result<FileInfo, Failure> {
        Ok(self.get(path, Some("bytes=0-0"))?.info)
    }

    /// The file at a path, from a byte on; the answer may begin earlier.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) fn from(&self, path: &str, start: u64) -> Result<Answer, Failure> {
        self.get(path, Some(&format!("bytes={start}-")))
    }

    /// Asks for a path of the hub, and follows where it leads.
    ///
    /// # Errors
    /// [`Failure`].
    fn get(&self, path: &str, range: Option<&str>) -> Result<Answer, Failure> {
        let url = format!("{}{path}", self.endpoint.to_string().trim_end_matches('/'));
        let mut url: Uri =
            url.parse().map_err(|_| Failure::Nonsense(format!("`{url}` is not an address")))?;
        let mut info = FileInfo::default();
        for _ in 0..=limits::REDIRECTS {
            let is_own = origin(&url) == origin(&self.endpoint);
            let response = self.request(&url, range, is_own)?;
            let (head, body) = response.into_parts();
            if is_own {
                info.note(&head.headers);
            }
            let status = head.status.as_u16();
            if matches!(status, 301 | 302 | 303 | 307 | 308) {
                let location = header(&head.headers, "location");
                let location =
                    location.ok_or_else(|| Failure::Nonsense("a redirect does not say where to".into()))?;
                url = follow(&url, location)?;
                continue;
            }
            return Answer::new(status, &head.headers, body, info, self.patience);
        }
        Err(Failure::Nonsense(format!("more than {} redirects", limits::REDIRECTS)))
    }

    fn request(
        &self,
        url: &Uri,
        range: Option<&str>,
        is_own: bool,
    ) -> Result<ureq::http::Response<ureq::Body>, Failure> {
        let mut request = self.agent.get(url.clone());
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        // Only to the endpoint's own host.
        if let Some(token) = self.token.as_ref().filter(|_| is_own) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|e| match e {
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
                Failure::Nonsense(e.to_string())
            }
            _ => Failure::Connection(e.to_string()),
        })
    }
}

impl FileInfo {
    /// The name of the file's content on the hub.
    pub(crate) fn etag(&self) -> Option<&str> {
        self.linked_etag.as_deref().or(self.etag.as_deref())
    }

    /// Takes what the endpoint's own host says: for a file stored elsewhere it gives the hash and the size
    /// beforehand.
    fn note(&mut self, headers: &HeaderMap) {
        let value = |name: &str| header(headers, name).map(str::to_string);
        self.etag = value("etag").or(self.etag.take());
        self.linked_etag = value("x-linked-etag").or(self.linked_etag.take());
        self.commit = value("x-repo-commit").or(self.commit.take());
        self.bytes = value("x-linked-size").and_then(|size| size.parse().ok()).or(self.bytes);
    }
}

impl Answer {
    fn new(
        status: u16,
        headers: &HeaderMap,
        body: ureq::Body,
        mut info: FileInfo,
        patience: Patience,
    ) -> Result<Answer, Failure> {
        if let Some(encoding) = header(headers, "content-encoding").filter(|name| *name != "identity") {
            return Err(Failure::Nonsense(format!(
                "the answer is compressed ({encoding}), which was not asked for"
            )));
        }
        let range = header(headers, "content-range").and_then(|range| range.strip_prefix("bytes "));
        let (place, whole) = range.and_then(|range| range.split_once('/')).unzip();
        let whole = whole.and_then(|whole| whole.parse().ok());
        let start = match status {
            200 => Some(0),
            206 => place.and_then(|place| place.split('-').next()?.parse().ok()),
            // The file has nothing from this byte on.
            416 => whole,
            _ => return Err(Failure::Status(status)),
        };
        let start = start.ok_or_else(|| Failure::Nonsense("a part of a file does not say which".into()))?;
        let whole = if status == 200 { body.content_length() } else { whole };
        if let (Some(size), Some(before)) = (whole, info.bytes)
            && size != before
        {
            return Err(Failure::Nonsense(format!("the file has {size} bytes, the hub says {before}")));
        }
        info.bytes = whole.or(info.bytes);
        let body = Body { inner: body.into_reader(), patience, since: Instant::now(), bytes: 0 };
        Ok(Answer { info, start, body })
    }
}

impl Read for Body {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(piece)?;
        self.bytes += read as u64;
        if read > 0 && self.since.elapsed() >= self.patience.silence {
            if self.bytes < self.patience.least_bytes {
                let what = format!("{} bytes came in {:.0?}", self.bytes, self.since.elapsed());
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            (self.since, self.bytes) = (Instant::now(), 0);
        }
        Ok(read)
    }
}

/// The error of a body that ended early.
pub(super) fn broken(error: &io::Error) -> Failure {
    Failure::Connection(error.to_string())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn origin(uri: &Uri) -> Option<(&str, String, u16)> {
    web::origin(uri.scheme_str(), uri.host(), uri.port_u16())
}

/// Where a redirect leads.
fn follow(from: &Uri, location: &str) -> Result<Uri, Failure> {
    let refused = || Failure::Nonsense(format!("a redirect leads to {location:?}"));
    let place = location.split('#').next().unwrap_or_default();
    let (scheme, host) = (from.scheme_str().unwrap_or_default(), from.authority().ok_or_else(refused)?);
    let is_address = place.split(['/', '?']).next().is_some_and(|start| start.contains(':'));
    let absolute = match () {
        () if is_address => place.to_string(),
        () if place.starts_with("//") => format!("{scheme}:{place}"),
        () if place.starts_with('/') => format!("{scheme}://{host}{place}"),
        () => {
            let (directory, _) = from.path().rsplit_once('/').unwrap_or_default();
            format!("{scheme}://{host}{directory}/{place}")
        }
    };
    let to: Uri = absolute.parse().map_err(|_| refused())?;
    let (to_scheme, ..) = origin(&to).ok_or_else(refused)?;
    if scheme == "https" && to_scheme == "http" {
        return Err(refused());
    }
    Ok(to)
}

#[cfg(test)]
mod tests;
