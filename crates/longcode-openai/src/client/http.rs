//! Requests to one server. A redirect is followed only within it, so that neither prompts nor the key go elsewhere; each
//! request has a limit in time and its answer one in bytes; failures that pass are waited for, a bounded number of times.

use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use longcode_base::{limits, status, web};
use serde_json::Value;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

/// A key that opens a server to its user. It is sent, and never shown.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// A key, unless it has characters that no header may have.
    pub fn new(key: &str) -> Option<Key> {
        let key = key.trim();
        (!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Key(key.into()))
    }

    /// A text without the key: a server may quote what it was sent.
    fn hidden(&self, text: &str) -> String {
        text.replace(&self.0, "[key]")
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[key]")
    }
}

/// How long to wait for a server.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For one request's whole answer.
    pub answer: Duration,
    /// How often a request is made, at least once.
    pub tries: usize,
    /// Before the second try; doubled for each further one.
    pub first_wait: Duration,
    /// Longest wait, also where a server asks for more.
    pub longest_wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            answer: Duration::from_secs(limits::SERVED_ANSWER_SECONDS),
            tries: limits::SERVED_TRIES,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(limits::SERVED_WAIT_SECONDS),
        }
    }
}

/// Why a request gave nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// An answer with an error status, and what the server says.
    #[error("the server answers with status {0}{what}", what = said(.1))]
    Status(u16, String),
    /// The connection was not made, broke, or took too long.
    #[error("{0}")]
    Connection(String),
    /// An answer that cannot be used.
    #[error("{0}")]
    Nonsense(String),
    /// The server sends its clients to another one.
    #[error("the server redirects to {0}, and nothing is sent to any address but the one that was given")]
    Redirect(String),
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl Failure {
    /// Whether the same request may be answered later.
    fn passes(&self) -> bool {
        match self {
            Failure::Status(status, _) => matches!(status, 408 | 409 | 425 | 429 | 500..),
            Failure::Connection(_) => true,
            // A proxy's page, or an answer that was cut.
            Failure::Nonsense(_) => true,
            Failure::Redirect(_) => false,
        }
    }
}

/// One try's failure, and how long the server asks to wait.
struct Failed {
    failure: Failure,
    wait: Option<Duration>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed { failure, wait: None }
    }
}

/// An answer: its headers, and its body.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// A server and how it is asked.
#[derive(Debug)]
pub struct Http {
    agent: Agent,
    base: Uri,
    key: Option<Key>,
    patience: Patience,
}

impl Http {
    /// A server at a base address, such as `http://127.0.0.1:8000/v1`.
    ///
    /// # Errors
    /// [`Failure::Nonsense`] for what is no address of a server, or has a user's name or a query in it.
    pub fn new(base: &str, key: Option<Key>, patience: Patience) -> Result<Http, Failure> {
        let parsed: Option<Uri> = base.trim_end_matches('/').parse().ok();
        let plain = |uri: &Uri| {
            origin(uri).is_some()
                && uri.query().is_none()
                && !uri.authority().is_some_and(|a| a.as_str().contains('@'))
        };
        let base = parsed.filter(plain).ok_or_else(|| {
            Failure::Nonsense(
                "it is no address of a server: http://HOST:PORT/PATH or https://..., without a user's name or a query".into(),
            )
        })?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("longcode/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_global(Some(patience.answer));
        if is_loopback(&base) {
            config = config.proxy(None);
        }
        Ok(Http { agent: config.build().into(), base, key, patience })
    }

    /// Host and port of the server.
    pub fn host(&self) -> String {
        self.base.authority().map_or_else(String::new, ToString::to_string)
    }

    /// The answer to a request for `path`, below the base address, tried as often as patience allows.
    pub(super) fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.repeated(Failure::passes, || self.once(&self.below(path), None))
    }

    /// The same in a single try, for what a server may not have. `path` begins with a slash and is the server's own.
    pub(super) fn get_once(&self, path: &str) -> Result<Answer, Failure> {
        let url = format!("{}://{}{path}", self.base.scheme_str().unwrap_or_default(), self.host());
        self.once(&url, None).map_err(|failed| failed.failure)
    }

    /// The answer to a question that asks what a server can do: an error of the server is an answer too, as some give one
    /// for what they cannot.
    pub(super) fn ask(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let passes = |failure: &Failure| failure.passes() && !matches!(failure, Failure::Status(500.., _));
        self.repeated(passes, || self.once(&self.below(path), Some(body))).map(|answer| answer.body)
    }

    /// What `read` makes of the answer to a question. An answer that cannot be read is asked for again.
    pub(super) fn post_read<T>(
        &self,
        path: &str,
        body: &Value,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<T, Failure> {
        self.repeated(Failure::passes, || {
            let answer = self.once(&self.below(path), Some(body))?;
            read(&answer.body).map_err(|what| self.nonsense(&what).into())
        })
    }

    fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.base.to_string().trim_end_matches('/'))
    }

    /// Tries until it works, fails in a way that does not pass, or patience ends.
    fn repeated<T>(
        &self,
        passes: impl Fn(&Failure) -> bool,
        once: impl Fn() -> Result<T, Failed>,
    ) -> Result<T, Failure> {
        let mut backoff = self.patience.first_wait;
        for tried in 1.. {
            let Failed { failure, wait } = match once() {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            if tried >= self.patience.tries || !passes(&failure) {
                return Err(if tried > 1 { with_tries(failure, tried) } else { failure });
            }
            let wait = wait.unwrap_or(backoff).min(self.patience.longest_wait);
            status!("{}: {failure}; again in {:.1} s", self.host(), wait.as_secs_f64());
            sleep(wait);
            backoff = (2 * backoff).min(self.patience.longest_wait);
        }
        unreachable!("the last try ends the loop")
    }

    fn once(&self, url: &str, body: Option<&Value>) -> Result<Answer, Failed> {
        let mut url: Uri =
            url.parse().map_err(|_| Failure::Nonsense(format!("`{url}` is not an address")))?;
        for _ in 0..=limits::REDIRECTS {
            let response = self.send(&url, body)?;
            let status = response.status().as_u16();
            if !(300..400).contains(&status) {
                return self.read(response);
            }
            url = self.followed(&url, response.headers())?;
        }
        Err(Failure::Nonsense(format!("more than {} redirects", limits::REDIRECTS)).into())
    }

    fn send(&self, url: &Uri, body: Option<&Value>) -> Result<Response<Body>, Failure> {
        let authorization = self.key.as_ref().map(|key| format!("Bearer {}", key.0));
        let sent = match body {
            None => {
                let mut request = self.agent.get(url.clone());
                if let Some(value) = authorization {
                    request = request.header("Authorization", value);
                }
                request.call()
            }
            Some(body) => {
                let mut request = self.agent.post(url.clone()).header("Content-Type", "application/json");
                if let Some(value) = authorization {
                    request = request.header("Authorization", value);
                }
                request.send(body.to_string().as_bytes())
            }
        };
        sent.map_err(|e| match e {
            ureq::Error::Protocol(_) => self.nonsense(&e.to_string()),
            ureq::Error::Timeout(_) => {
                Failure::Connection(format!("no answer within {} s", self.patience.answer.as_secs_f64()))
            }
            _ => Failure::Connection(self.shown(&e.to_string())),
        })
    }

    /// Where a redirect within the server leads.
    fn followed(&self, from: &Uri, headers: &HeaderMap) -> Result<Uri, Failure> {
        let location = headers.get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let to = if location.starts_with('/') && !location.starts_with("//") {
            format!("{}://{}{location}", from.scheme_str().unwrap_or_default(), self.host())
        } else {
            location.to_string()
        };
        let uri: Option<Uri> = to.parse().ok();
        uri.filter(|to| origin(to) == origin(&self.base))
            .ok_or_else(|| Failure::Redirect(self.shown(location)))
    }

    fn read(&self, response: Response<Body>) -> Result<Answer, Failed> {
        let (head, body) = response.into_parts();
        let most = limits::SERVED_ANSWER_BYTES;
        let mut bytes = Vec::new();
        let read = body.into_reader().take(most + 1).read_to_end(&mut bytes);
        let read =
            read.map_err(|e| Failure::Connection(self.shown(&format!("the answer broke off: {e}"))))?;
        let status = head.status.as_u16();
        if status != 200 {
            return Err(Failed {
                failure: Failure::Status(status, self.message(&bytes)),
                wait: wait(&head.headers),
            });
        }
        if read as u64 > most {
            return Err(Failure::Nonsense(format!("the answer is longer than {most} bytes")).into());
        }
        let body = serde_json::from_slice(&bytes)
            .map_err(|e| self.nonsense(&format!("the answer is not JSON: {e}")))?;
        Ok(Answer { headers: head.headers, body })
    }

    /// What an error's body says: its message in OpenAI's form or its relatives', else its start.
    fn message(&self, bytes: &[u8]) -> String {
        const SHOWN: usize = 300;
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let said = ["/error/message", "/message", "/detail", "/error"].into_iter().find_map(|place| {
            let said = value.pointer(place)?;
            Some(said.as_str().map_or_else(|| said.to_string(), str::to_string))
        });
        let text = said.unwrap_or_else(|| String::from_utf8_lossy(bytes).trim().to_string());
        // The key goes first: a cut could leave a part of it.
        let text = self.shown(&text);
        text[..text.floor_char_boundary(SHOWN)].to_string()
    }

    fn nonsense(&self, what: &str) -> Failure {
        Failure::Nonsense(self.shown(what))
    }

    /// A text that the server had a part in, without the key.
    fn shown(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_string(), |key| key.hidden(text))
    }
}

fn with_tries(failure: Failure, tries: usize) -> Failure {
    let also = |what: String| format!("{what}, after {tries} tries");
    match failure {
        Failure::Status(status, what) => Failure::Status(status, also(what)),
        Failure::Connection(what) => Failure::Connection(also(what)),
        Failure::Nonsense(what) => Failure::Nonsense(also(what)),
        Failure::Redirect(to) => Failure::Redirect(to),
    }
}

/// Seconds that a server asks to wait.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn origin(uri: &Uri) -> Option<(&str, String, u16)> {
    web::origin(uri.scheme_str(), uri.host(), uri.port_u16())
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    host == "localhost" || host.starts_with("127.") || host == "[::1]"
}
