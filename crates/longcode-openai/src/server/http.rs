//! Connections, bodies, limits, and the end.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use longcode_base::limits;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;
use super::answer::{self, Head};
use super::models::{Event, Job, Models, Prepared, Sampling};
use super::output::Output;
use super::request::{Fields, Prompts, Request};

/// How a server behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// The key that every request must have, if any.
    pub key: Option<String>,
    /// Requests that are computed or wait at once.
    pub requests: usize,
}

/// A server whose address is taken.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

struct Shared {
    models: Arc<dyn Models>,
    options: Options,
    places: Arc<Semaphore>,
    /// Requests so far, for their ids.
    count: AtomicU64,
    started: u64,
}

type Body = Either<Full<Bytes>, Events>;

/// The body of a stream: what a task sends.
pub(super) struct Events(UnboundedReceiver<Bytes>);

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

impl Server {
    /// Takes an address.
    ///
    /// # Errors
    /// When it is taken, or not this machine's.
    pub fn bind(address: SocketAddr, models: Arc<dyn Models>, options: Options) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let places = Arc::new(Semaphore::new(options.requests));
        let shared = Shared { models, options, places, count: AtomicU64::new(0), started: now() };
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
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let graceful = GracefulShutdown::new();
        let mut look = tokio::time::interval(Duration::from_millis(50));
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // Too many open files pass.
                    Err(_) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                _ = look.tick() => {
                    if ended() { break } else { continue }
                }
            };
            let shared = self.shared.clone();
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(shared.answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(limits::SERVE_HEADER_SECONDS))
                .serve_connection(TokioIo::new(stream), service);
            let watched = graceful.watch(connection);
            // A client that breaks off does not matter to the server.
            tokio::spawn(async move { drop(watched.await) });
        }
        drop(listener);
        let patience = Duration::from_secs(limits::SERVE_END_SECONDS);
        // What takes longer is cut.
        let _ = tokio::time::timeout(patience, graceful.shutdown()).await;
        Ok(())
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl Shared {
    async fn answer(self: Arc<Self>, request: hyper::Request<Incoming>) -> Response<Body> {
        self.routed(request).await.unwrap_or_else(|refusal| refused(&refusal))
    }

    async fn routed(self: Arc<Self>, request: hyper::Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let path = request.uri().path().to_string();
        if path == "/health" {
            return Ok(json_answer(200, &json!({"status": "ok"})));
        }
        self.admit(&request)?;
        let method = request.method().clone();
        match (&method, &path[..]) {
            (&Method::GET, "/v1/models") => Ok(json_answer(200, &self.models())),
            (&Method::GET, "/tokenizer_info") => Ok(json_answer(200, &self.models.tokenizer_info(0))),
            (&Method::GET, "/version") => {
                Ok(json_answer(200, &json!({"version": env!("CARGO_PKG_VERSION")})))
            }
            (&Method::POST, "/v1/completions") => {
                let body = body(request).await?;
                self.complete(Request::completion(body)?).await
            }
            (&Method::POST, "/v1/chat/completions") => {
                let body = body(request).await?;
                self.complete(Request::chat(body)?).await
            }
            (&Method::POST, "/tokenize") => self.tokenize(body(request).await?).await,
            (&Method::POST, "/detokenize") => self.detokenize(body(request).await?).await,
            (
                _,
                "/v1/models"
                | "/tokenizer_info"
                | "/version"
                | "/v1/completions"
                | "/v1/chat/completions"
                | "/tokenize"
                | "/detokenize",
            ) => Err(Refusal::status(405, format!("{path} is not asked by {method}"))),
            _ => Err(Refusal::status(
                404,
                "no such path: there are /v1/models, /v1/completions, /v1/chat/completions, /tokenize, \
                 /detokenize, /tokenizer_info and /health",
            )),
        }
    }

    /// Refuses whoever has no key.
    fn admit(&self, request: &hyper::Request<Incoming>) -> Result<(), Refusal> {
        let Some(key) = &self.options.key else { return Ok(()) };
        let given =
            request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
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

    fn models(&self) -> Value {
        let most = self.models.most_tokens();
        let model = |name: &String| json!({"id": name, "object": "model", "created": self.started, "owned_by": "longcode", "max_model_len": most});
        json!({"object": "list", "data": self.models.names().iter().map(model).collect::<Vec<_>>()})
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

    async fn tokenize(self: Arc<Self>, body: Value) -> Result<Response<Body>, Refusal> {
        let mut fields = Fields::of(body)?;
        let prompt = fields.text("prompt")?.ok_or_else(|| Refusal::field("prompt", "no `prompt`"))?;
        let special = fields.flag_or("add_special_tokens", true)?;
        let model = self.model(fields.text("model")?.as_deref())?;
        fields.none_left()?;
        let most = self.models.most_tokens();
        let models = self.models.clone();
        let tokens = off_thread(move || models.tokenize(model, &prompt, special)).await?;
        Ok(json_answer(200, &json!({"count": tokens.len(), "max_model_len": most, "tokens": tokens})))
    }

    async fn detokenize(self: Arc<Self>, body: Value) -> Result<Response<Body>, Refusal> {
        let mut fields = Fields::of(body)?;
        let wrong = || Refusal::field("tokens", "tokens is not a list of ids");
        let tokens = fields.take("tokens").ok_or_else(wrong)?;
        let ids = tokens
            .as_array()
            .and_then(|list| list.iter().map(|id| Some(id.as_u64()? as u32)).collect::<Option<Vec<_>>>());
        let ids = ids.ok_or_else(wrong)?;
        let model = self.model(fields.text("model")?.as_deref())?;
        fields.none_left()?;
        let models = self.models.clone();
        let text = off_thread(move || models.detokenize(model, &ids)).await?;
        Ok(json_answer(200, &json!({"prompt": text})))
    }

    async fn complete(self: Arc<Self>, request: Request) -> Result<Response<Body>, Refusal> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Refusal::status(429, format!("{} requests are under way: try again later", self.options.requests))
        })?;
        let model = self.model(request.model.as_deref())?;
        let (models, asked) = (self.models.clone(), request.prompts.clone());
        let prompts = off_thread(move || prepared(&*models, model, asked)).await?;
        self.check_lengths(&prompts, &request)?;
        let (sender, events) = unbounded_channel();
        let mut outputs = Vec::new();
        for prompt in &prompts {
            for _ in 0..request.n {
                outputs.push(Output::new(model, prompt.ids.clone(), request.stop.clone()));
                self.models.begin(job(&request, model, prompt, outputs.len() - 1, sender.clone()))?;
            }
        }
        drop(sender);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let kind = if request.prompts.is_chat() { "chatcmpl" } else { "cmpl" };
        let name = self.models.names()[model].clone();
        let head = Head { id: format!("{kind}-{:x}-{number}", self.started), created: now(), model, name };
        let work =
            Work { request, head, prompts, outputs, events, models: self.models.clone(), _place: place };
        if work.request.stream { Ok(work.stream()) } else { work.whole().await }
    }

    fn check_lengths(&self, prompts: &[Prepared], request: &Request) -> Result<(), Refusal> {
        let most = self.models.most_tokens();
        for prompt in prompts {
            if prompt.ids.is_empty() {
                return Err(Refusal::field("prompt", "a prompt has no token"));
            }
            let length = prompt.ids.len().saturating_add(request.max_tokens);
            if length > most {
                let what = format!(
                    "the prompt has {} tokens, {} more are asked for, and {most} are the most of a sequence here",
                    prompt.ids.len(),
                    request.max_tokens
                );
                return Err(Refusal::field("max_tokens", what));
            }
        }
        Ok(())
    }
}

fn job(
    request: &Request,
    model: usize,
    prompt: &Prepared,
    choice: usize,
    events: UnboundedSender<(usize, Event)>,
) -> Job {
    // Without a seed, draws differ from request to request.
    let seed = request.seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
    });
    Job {
        model,
        prompt: prompt.clone(),
        score: request.echo && request.logprobs.is_some(),
        top: request.logprobs.unwrap_or(0),
        new_tokens: request.max_tokens,
        sampling: Sampling {
            temperature: request.temperature,
            top_p: request.top_p,
            seed: seed.wrapping_add(choice as u64),
        },
        choice,
        events,
    }
}

fn prepared(models: &dyn Models, model: usize, prompts: Prompts) -> Result<Vec<Prepared>, Refusal> {
    match prompts {
        Prompts::Texts(texts) => texts.iter().map(|text| models.text(model, text)).collect(),
        Prompts::Ids(lists) => lists.into_iter().map(|ids| models.ids(model, ids)).collect(),
        Prompts::Chat(messages) => Ok(vec![models.chat(model, &messages)?]),
    }
}

/// A request that is computed.
struct Work {
    request: Request,
    head: Head,
    prompts: Vec<Prepared>,
    outputs: Vec<Output>,
    events: UnboundedReceiver<(usize, Event)>,
    models: Arc<dyn Models>,
    _place: OwnedSemaphorePermit,
}

impl Work {
    fn prompt_tokens(&self) -> usize {
        self.prompts.iter().map(|prompt| prompt.ids.len()).sum()
    }

    fn is_done(&self) -> bool {
        self.outputs.iter().all(|output| output.ended.is_some())
    }

    /// Takes the next event; gives which choice it is of.
    ///
    /// # Errors
    /// [`Refusal`] of a choice that failed.
    async fn next(&mut self) -> Result<usize, Refusal> {
        loop {
            let Some((choice, event)) = self.events.recv().await else {
                return Err(Refusal::status(503, "the server ends"));
            };
            // A choice that a stop string ended may still get a token.
            if self.outputs[choice].ended.is_none() {
                self.outputs[choice].take(event, &*self.models)?;
                return Ok(choice);
            }
        }
    }

    /// The answer in one. Whoever goes away drops this, and with it the receiver that the work is for.
    async fn whole(mut self) -> Result<Response<Body>, Refusal> {
        while !self.is_done() {
            self.next().await?;
        }
        let prompts: Vec<(&str, &[u32])> = self
            .prompts
            .iter()
            .flat_map(|prompt| std::iter::repeat_n((&prompt.text[..], &prompt.ids[..]), self.request.n))
            .collect();
        let answer = answer::whole(&self.head, &self.request, &prompts, &self.outputs, &*self.models);
        Ok(json_answer(200, &answer))
    }

    /// The answer as server-sent events.
    fn stream(mut self) -> Response<Body> {
        let (sender, receiver) = unbounded_channel();
        tokio::spawn(async move {
            // Nobody listens: the work is dropped.
            tokio::select! {
                () = sender.closed() => {}
                () = self.send(&sender) => {}
            }
        });
        let mut response = Response::new(Either::Right(Events(receiver)));
        response.headers_mut().insert(CONTENT_TYPE, "text/event-stream".parse().expect("a plain value"));
        response
    }

    async fn send(&mut self, sender: &UnboundedSender<Bytes>) {
        let event = |value: &Value| {
            let _ = sender.send(Bytes::from(format!("data: {value}\n\n")));
        };
        let chat = self.request.prompts.is_chat();
        if chat {
            (0..self.outputs.len()).for_each(|index| event(&answer::role(&self.head, index)));
        }
        let mut shown = vec![0; self.outputs.len()];
        while !self.is_done() {
            let index = match self.next().await {
                Ok(index) => index,
                Err(refusal) => {
                    event(&refusal.body());
                    break;
                }
            };
            let text = self.outputs[index].next_piece();
            let output = &self.outputs[index];
            if !text.is_empty() || output.ended.is_some() {
                let scores = &output.of_new[shown[index]..];
                event(&answer::piece(
                    &self.head,
                    &self.request,
                    index,
                    (output, &text, scores),
                    &*self.models,
                ));
                shown[index] = output.of_new.len();
            }
        }
        if self.request.include_usage {
            event(&answer::last(&self.head, chat, self.prompt_tokens(), &self.outputs));
        }
        let _ = sender.send(Bytes::from_static(b"data: [DONE]\n\n"));
    }
}

async fn off_thread<T: Send + 'static>(
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

fn json_answer(status: u16, value: &Value) -> Response<Body> {
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
