//! A request that is computed: its choices under way, and its answer in one or as a stream.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http_body_util::Either;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use longcode_base::limits;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Refusal;
use super::answer::Head;
use super::http::{Body, Events, json_answer, now, off_thread};
use super::models::{Event, Job, Models, Prepared, Sampling};
use super::output::Output;
use super::request::{Prompts, Request};

/// A request under way.
pub(super) struct Work<M: Models> {
    head: Head<M>,
    prompts: Vec<Arc<Prepared<M::Layout>>>,
    /// Of each prompt its choices.
    outputs: Vec<Output>,
    events: UnboundedReceiver<(usize, Event)>,
    /// Its place among the requests under way.
    _place: OwnedSemaphorePermit,
}

impl<M: Models> Work<M> {
    /// Prepares the prompts, and has their choices begun.
    ///
    /// # Errors
    /// [`Refusal`] for prompts that cannot be, or are too long.
    pub(super) async fn begin(
        models: Arc<M>,
        model: usize,
        mut request: Request,
        id: String,
        place: OwnedSemaphorePermit,
    ) -> Result<Work<M>, Refusal> {
        let asked = request.prompts.take();
        let preparing = models.clone();
        let prompts = off_thread(move || prepared(&*preparing, model, asked)).await?;
        check_lengths(&prompts, &request, models.most_tokens())?;
        let (sender, events) = unbounded_channel();
        let mut outputs = Vec::new();
        for prompt in &prompts {
            for _ in 0..request.n {
                let output = Output::new(model, prompt.ids.clone(), request.stop.clone());
                models.begin(job(&request, model, prompt, (outputs.len(), &output), sender.clone()))?;
                outputs.push(output);
            }
        }
        let head = Head { id, created: now(), models, model, request };
        Ok(Work { head, prompts, outputs, events, _place: place })
    }

    /// The answer, in one or as a stream.
    ///
    /// # Errors
    /// [`Refusal`] of a choice that failed, if none of the answer is sent yet.
    pub(super) async fn answer(self) -> Result<Response<Body>, Refusal> {
        if self.head.request.stream { Ok(self.stream()) } else { self.whole().await }
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
                self.outputs[choice].take(event, &*self.head.models)?;
                return Ok(choice);
            }
        }
    }

    /// The answer in one. Whoever goes away drops this, and with it the receiver that the work is for.
    async fn whole(mut self) -> Result<Response<Body>, Refusal> {
        while !self.is_done() {
            self.next().await?;
        }
        Ok(json_answer(200, &self.head.whole(&self.prompts, &self.outputs)))
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
        if self.head.request.prompts.is_chat() {
            (0..self.outputs.len()).for_each(|index| event(&self.head.role(index)));
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
                let prompt = &self.prompts[index / self.head.request.n];
                event(&self.head.piece(index, (output, &text, shown[index]), prompt));
                shown[index] = output.of_new.len();
            }
        }
        if self.head.request.include_usage {
            event(&self.head.last(&self.prompts, &self.outputs));
        }
        let _ = sender.send(Bytes::from_static(b"data: [DONE]\n\n"));
    }
}

fn prepared<M: Models>(
    models: &M,
    model: usize,
    prompts: Prompts,
) -> Result<Vec<Arc<Prepared<M::Layout>>>, Refusal> {
    let prepared: Result<Vec<_>, Refusal> = match prompts {
        Prompts::Texts(texts) => texts.iter().map(|text| models.text(model, text)).collect(),
        Prompts::Ids(lists) => lists.into_iter().map(|ids| models.ids(model, ids)).collect(),
        Prompts::Chat(messages) => models.chat(model, &messages).map(|prompt| vec![prompt]),
    };
    Ok(prepared?.into_iter().map(Arc::new).collect())
}

/// Refuses sequences that are too long, each and together.
fn check_lengths<L>(prompts: &[Arc<Prepared<L>>], request: &Request, most: usize) -> Result<(), Refusal> {
    let mut all: usize = 0;
    for prompt in prompts {
        let (read, new) = (prompt.ids.len(), request.max_tokens);
        if read == 0 {
            return Err(Refusal::field("prompt", "a prompt has no token"));
        }
        let length = read.saturating_add(new);
        if length > most {
            let what = format!(
                "the prompt has {read} tokens, {new} more are asked for, and {most} are the most of a sequence here"
            );
            return Err(Refusal::field("max_tokens", what));
        }
        all = all.saturating_add(length.saturating_mul(request.n));
    }
    if all > limits::SERVE_REQUEST_TOKENS {
        let most = limits::SERVE_REQUEST_TOKENS;
        let what = format!(
            "prompts and new tokens of all choices are {all}, and {most} are the most of a request: send several"
        );
        return Err(Refusal::field("prompt", what));
    }
    Ok(())
}

fn job<L>(
    request: &Request,
    model: usize,
    prompt: &Arc<Prepared<L>>,
    (choice, output): (usize, &Output),
    events: UnboundedSender<(usize, Event)>,
) -> Job<L> {
    // Without a seed, draws differ from request to request.
    let seed = request.seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
    });
    Job {
        model,
        prompt: prompt.clone(),
        score: request.echo && request.logprobs.is_some(),
        score_new: request.logprobs.is_some(),
        top: request.logprobs.unwrap_or(0),
        new_tokens: request.max_tokens,
        sampling: Sampling {
            temperature: request.temperature,
            top_p: request.top_p,
            seed: seed.wrapping_add(choice as u64),
        },
        choice,
        events,
        enough: output.enough(),
    }
}
