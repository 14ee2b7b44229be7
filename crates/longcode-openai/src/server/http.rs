//! Connections, paths, bodies, limits, and the end.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use longcode_base::limits;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;
use super::models::Models;
use super::request::{Fields, Request};
use super::work::Work;

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The key that every request must have, if any.
    pub key: Option<String>,
    /// Requests that are computed or wait at once.
    pub requests: usize,
}

/// A server whose address is taken.
pub struct Server<M: Models> {
    listener: TcpListener,
    shared: Arc<Shared<M>>,
}

struct Shared<M: Models> {
    models: Arc<M>,
    options: Options,
    /// Whether only programs of this machine are meant to reach it, and need no key.
    is_private: bool,
    places: Arc<Semaphore>,
    /// Requests so far, for their ids.
    count: AtomicU64,
    started: u64,
}

pub(super) type Body = Either<Full<Bytes>, Events>;

/// The body of a stream: what a task sends.
pub(super) struct Events(pub(super) UnboundedReceiver<Bytes>);

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl<M: Models> Server<M> {
    /// Takes an address.
    ///
    /// # Errors
    /// When it is taken, or not this machine's.
    pub fn bind(address: SocketAddr, models: Arc<M>, options: Options) -> io::Result<Server<M>> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let places = Arc::new(Semaphore::new(options.requests));
        let is_private = address.ip().is_loopback() && options.key.is_none();
        let shared = Shared { models, options, is_private, places, count: AtomicU64::new(0), started: now() };
        Ok(Server { listener, shared: Arc::new(shared) })
    }

    /// The address.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `ended` says so, then finishes what is under way, for a bounded time.
    ///
    /// # Errors
    /// When the system gives no event loop.
    pub fn run(self, ended: impl Fn() -> bool) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.accept(ended))?;
        runtime.shutdown_timeout(Duration::from_secs(1));
        Ok(())
    }

    async fn accept(self, ended: impl Fn() -> bool) -> io::Result<()> {
        let Server { listener, shared } = self;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connections = Arc::new(Semaphore::new(limits::SERVE_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut look = tokio::time::interval(Duration::from_millis(50));
        while !ended() {
            tokio::select! {
                next = next_connection(&listener, &connections) => match next {
                    Ok((stream, place)) => shared.clone().serve(stream, place, &graceful),
                    // Too many open files pass.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                _ = look.tick() => {}
            }
        }
        drop(listener);
        let patience = Duration::from_secs(limits::SERVE_END_SECONDS);
        // What takes longer is cut.
        let _ = tokio::time::timeout(patience, graceful.shutdown()).await;
        Ok(())
    }
}

/// The next connection, as soon as one more is allowed.
async fn next_connection(
    listener: &tokio::net::TcpListener,
    connections: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = connections.clone().acquire_owned().await.map_err(io::Error::other)?;
    Ok((listener.accept().await?.0, place))
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

const PATHS: [&str; 8] = [
    "/health",
    "/version",
    "/v1/models",
    "/v1/completions",
    "/v1/chat/completions",
    "/tokenize",
    "/detokenize",
    "/tokenizer_info",
];

impl<M: Models> Shared<M> {
    /// Answers the requests of a connection.
    fn serve(self: Arc<Self>, stream: TcpStream, place: OwnedSemaphorePermit, graceful: &GracefulShutdown) {
        let service = service_fn(move |request| {
            let shared = self.clone();
            async move { Ok::<_, Infallible>(shared.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(limits::SERVE_HEADER_SECONDS))
            .serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off does not matter to the server.
            drop(watched.await);
            drop(place);
        });
    }

    async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>) -> Response<Body> {
        self.routed(request).await.unwrap_or_else(|refusal| refused(&refusal))
    }

    async fn routed(self: Arc<Self>, request: hyper::Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let path = request.uri().path().to_string();
        self.refuse_misled(request.headers())?;
        if path == "/health" {
            return Ok(json_answer(200, &json!({"status": "ok"})));
        }
        self.admit(request.headers())?;
        let method = request.method().clone();
        match (&method, &path[..]) {
            (&Method::GET, "/v1/models") => Ok(json_answer(200, &self.models())),
            (&Method::GET, "/tokenizer_info") => Ok(json_answer(200, &self.models.tokenizer_info(0))),
            (&Method::GET, "/version") => {
                Ok(json_answer(200, &json!({"version": env!("CARGO_PKG_VERSION")})))
            }
            (&Method::POST, "/v1/completions") => self.complete(request, Request::completion).await,
            (&Method::POST, "/v1/chat/completions") => self.complete(request, Request::chat).await,
            (&Method::POST, "/tokenize") => self.tokenize(request).await,
            (&Method::POST, "/detokenize") => self.detokenize(request).await,
            (_, known) if PATHS.contains(&known) => {
                Err(Refusal::status(405, format!("{path} is not asked by {method}")))
            }
            _ => Err(Refusal::status(404, format!("no such path: there are {}", PATHS.join(", ")))),
        }
    }

    /// Refuses a page in a browser that took a name of its own for this machine's address, to read what only this
    /// machine's programs may.
    fn refuse_misled(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let is_here =
            name.is_empty() || name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok();
        if self.is_private && !is_here {
            let what = "a server without a key answers to localhost or an address as its name alone";
            return Err(Refusal::status(403, what));
        }
        Ok(())
    }

    /// Refuses whoever has no key.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(key) = &self.options.key else { return Ok(()) };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let given = given.strip_prefix("Bearer ").unwrap_or_default();
        // In a time that does not depend on where they differ.
        let differs = given.len() != key.len()
            || given.bytes().zip(key.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) != 0;
        if differs {
            Err(Refusal::status(401, "no such key: send the server's as Authorization: Bearer KEY"))
        } else {
            Ok(())
        }
    }

    /// A place among the requests under way; it is taken before a body is read.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        self.places.clone().try_acquire_owned().map_err(|_| {
            Refusal::status(429, format!("{} requests are under way: try again later", self.options.requests))
        })
    }

    fn models(&self) -> Value {
        let most = self.models.most_tokens();
        let model = |(number, name): (usize, &String)| {
            json!({
                "id": name,
                "object": "model",
                "created": self.started,
                "owned_by": "longcode",
                "max_model_len": most,
                "trained_length": self.models.trained_length(number),
            })
        };
        json!({"object": "list", "data": self.models.names().iter().enumerate().map(model).collect::<Vec<_>>()})
    }

    fn model(&self, name: Option<&str>) -> Result<usize, Refusal> {
        let Some(name) = name else { return Ok(0) };
        let found = self.models.names().iter().position(|known| known == name);
        found.ok_or_else(|| {
            let known = self.models.names().join(", ");
            let name: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
            Refusal {
                status: 404,
                ..Refusal::field("model", format!("no model `{name}`: there are {known}"))
            }
        })
    }

    async fn tokenize(&self, request: hyper::Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let _place = self.place()?;
        let mut fields = Fields::of(body(request).await?)?;
        let prompt = fields.text("prompt")?.ok_or_else(|| Refusal::field("prompt", "no `prompt`"))?;
        let special = fields.flag_or("add_special_tokens", true)?;
        let model = self.model(fields.text("model")?.as_deref())?;
        fields.none_left()?;
        let models = self.models.clone();
        let tokens = off_thread(move || models.tokenize(model, &prompt, special)).await?;
        let most = self.models.most_tokens();
        Ok(json_answer(200, &json!({"count": tokens.len(), "max_model_len": most, "tokens": tokens})))
    }

    async fn detokenize(&self, request: hyper::Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let _place = self.place()?;
        let mut fields = Fields::of(body(request).await?)?;
        let ids = fields.ids("tokens")?;
        let model = self.model(fields.text("model")?.as_deref())?;
        fields.none_left()?;
        let models = self.models.clone();
        let text = off_thread(move || models.detokenize(model, &ids)).await?;
        Ok(json_answer(200, &json!({"prompt": text})))
    }

    /// Continues prompts or a chat.
    async fn complete(
        &self,
        request: hyper::Request<Incoming>,
        read: impl FnOnce(Value) -> Result<Request, Refusal>,
    ) -> Result<Response<Body>, Refusal> {
        let place = self.place()?;
        let request = read(body(request).await?)?;
        let model = self.model(request.model.as_deref())?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let kind = if request.prompts.is_chat() { "chatcmpl" } else { "cmpl" };
        let id = format!("{kind}-{:x}-{number}", self.started);
        let work = Work::begin(self.models.clone(), model, request, id, place).await?;
        work.answer().await
    }
}

/// Does what takes a while where it stops nobody else.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Refusal::status(500, "the server failed at this request")))
}

/// The body of a request as JSON.
async fn body(request: hyper::Request<Incoming>) -> Result<Value, Refusal> {
    let most = limits::SERVE_BODY_BYTES;
    let read = Limited::new(request.into_body(), most).collect();
    let patience = Duration::from_secs(limits::SERVE_BODY_SECONDS);
    let read = tokio::time::timeout(patience, read).await;
    let read = read.map_err(|_| {
        Refusal::status(408, format!("the body did not come within {} s", patience.as_secs()))
    })?;
    let bytes = read.map_err(|e| match e.downcast_ref::<LengthLimitError>() {
        Some(_) => Refusal::status(413, format!("the body has more than {most} bytes")),
        None => Refusal::bad("the body broke off"),
    })?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|e| Refusal::bad(format!("the body is not JSON: {e}")))
}

pub(super) fn json_answer(status: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(value.to_string()))));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a plain value"));
    response
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = json_answer(refusal.status, &refusal.body());
    if refusal.status == 429 {
        response.headers_mut().insert(RETRY_AFTER, "1".parse().expect("a plain value"));
    }
    response
}
