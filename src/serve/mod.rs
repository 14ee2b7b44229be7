//! `longcode serve`: checkpoints under encodings, for every client that speaks OpenAI's API.
//!
//! | module | what |
//! |---|---|
//! | `engine` | what computes, on the thread that called |
//! | `sequences` | what was read, and what prompts share with it |
//! | `prompt` | where a prompt's tokens are in its text, and where the files of a chat begin |

mod engine;
mod prompt;
mod sequences;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use longcode_openai::server::{self, Models, Options, Prepared, Refusal, Server};
use serde_json::{Value, json};

use crate::checkpoint::Checkpoint;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::sha256;
use crate::interrupt::Deferred;
use crate::model::Network;
use crate::structure::{Draw, Language, Layout, Source, segments};
use crate::text::chat::Message;
use crate::text::{TextSide, Tokenizer};
use engine::Engine;
use prompt::{Placed, files_of_chat};

/// What is served, and how.
pub struct ServeOptions {
    /// Where clients reach the server.
    pub address: SocketAddr,
    /// The key that every request must have, if any.
    pub key: Option<String>,
    /// Requests that are computed or wait at once.
    pub requests: usize,
    /// Most tokens of a sequence, prompt and new ones.
    pub most_tokens: usize,
    /// The language that prompts are divided in.
    pub language: Option<Language>,
    /// Bytes that sequences may take which are done, but whose beginnings others may share.
    pub kept_bytes: usize,
}

/// What clients can name: each checkpoint under each encoding.
#[derive(Default)]
pub struct Catalogue {
    /// The checkpoints.
    pub checkpoints: Vec<Checkpoint>,
    entries: Vec<Entry>,
    names: Vec<String>,
}

/// A checkpoint under an encoding.
struct Entry {
    /// Its number.
    checkpoint: usize,
    encoding: EncodingSpec,
}

impl Catalogue {
    /// Adds a checkpoint by its name, under its own encoding and under each that is given, as it was typed; `fit` refuses
    /// one that does not fit it, and completes the others.
    ///
    /// # Errors
    /// Those of `fit`; [`ErrorKind::Usage`] for a name given twice.
    pub fn add(
        &mut self,
        name: &str,
        checkpoint: Checkpoint,
        encodings: &[String],
        fit: impl Fn(&str, &Checkpoint) -> Result<EncodingSpec>,
    ) -> Result<()> {
        let own = [(name.to_string(), "rope")].into_iter();
        let others = encodings.iter().map(|spec| (format!("{name}@{spec}"), &spec[..]));
        for (name, spec) in own.chain(others) {
            let encoding = fit(spec, &checkpoint).map_err(|e| e.at(format_args!("model `{name}`")))?;
            if self.names.contains(&name) {
                return Err(Error::new(ErrorKind::Usage, format!("two models are named \"{name}\""))
                    .at("command line")
                    .fix("give each --model and each --encoding once; the last part of a path is its name"));
            }
            self.entries.push(Entry { checkpoint: self.checkpoints.len(), encoding });
            self.names.push(name);
        }
        self.checkpoints.push(checkpoint);
        Ok(())
    }

    fn checkpoint(&self, model: usize) -> &Checkpoint {
        &self.checkpoints[self.entries[model].checkpoint]
    }
}

/// A request's choice, with what its encoding knows of the prompt.
type Job = server::Job<Layout>;

/// Serves until a signal ends it: requests under way are finished first. `listening` is told the address.
///
/// # Errors
/// [`ErrorKind::Usage`] for an address that cannot be had; [`ErrorKind::Compute`] when the device fails.
pub fn serve(
    catalogue: Catalogue,
    networks: &[Network],
    options: ServeOptions,
    listening: impl FnOnce(SocketAddr, &[String]),
) -> Result<()> {
    let (catalogue, (jobs, received)) = (Arc::new(catalogue), channel());
    let served = Arc::new(Served {
        catalogue: catalogue.clone(),
        jobs: Mutex::new(Some(jobs)),
        most_tokens: options.most_tokens,
        language: options.language,
    });
    let no_address = |e: std::io::Error| {
        Error::new(ErrorKind::Usage, format!("cannot listen at {}: {e}", options.address))
            .at("--host, --port")
            .fix("give another port, or end what is there")
    };
    let limits = Options { key: options.key, requests: options.requests };
    let server = Server::bind(options.address, served.clone(), limits).map_err(no_address)?;
    listening(server.address().map_err(no_address)?, &catalogue.names);
    let (deferred, broken) = (Deferred::start(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let accepting = scope.spawn(|| {
            let done = server.run(|| deferred.requested() || broken.load(Ordering::Relaxed));
            served.end();
            done
        });
        let computed = computing(Engine::new(&catalogue, networks, options.kept_bytes), received, &broken);
        let accepted = accepting.join().expect("the server does not panic");
        computed?;
        accepted.map_err(no_address)
    })
}

/// Computes until the server has ended. A failure, a library's panic too, ends the server, and with the jobs that are
/// dropped every request under way.
fn computing(engine: Engine, mut jobs: Receiver<Job>, broken: &AtomicBool) -> Result<()> {
    struct Break<'a>(&'a AtomicBool);
    impl Drop for Break<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let _break = Break(broken);
    engine.run(&mut jobs)
}

/// The catalogue as the server sees it.
struct Served {
    catalogue: Arc<Catalogue>,
    /// None when the server has ended.
    jobs: Mutex<Option<Sender<Job>>>,
    most_tokens: usize,
    language: Option<Language>,
}

/// What is said of a prompt, or why it cannot be one.
type Prompted<T> = std::result::Result<T, Refusal>;

impl Served {
    fn end(&self) {
        *self.jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }

    fn tokenizer(&self, model: usize) -> &Tokenizer {
        &self.catalogue.checkpoint(model).tokenizer
    }

    /// A prompt with what its model's encoding asks of a text.
    fn laid_out(&self, model: usize, prompt: Placed, file_starts: &[usize]) -> Prompted<Prepared<Layout>> {
        let Placed { ids, text, offsets } = prompt;
        let vocabulary = self.catalogue.checkpoint(model).config.vocab_size;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
            let what = format!("id {id} is beyond the model's {vocabulary} embeddings");
            return Err(Refusal::field("prompt", what));
        }
        let encoding = &self.catalogue.entries[model].encoding;
        let source = Source { text: &text, language: self.language, file_starts };
        let hash = sha256(text.as_bytes());
        let draw = Draw { seed: 0, hash: &hash };
        let levels =
            encoding.units().iter().map(|&unit| segments(&source, &offsets, unit, draw).index).collect();
        let layout = Layout::of(&source, &offsets, levels, encoding.wanted(), draw);
        let starts = offsets.iter().map(|(start, _)| *start).collect();
        Ok(Prepared { ids, text, starts, layout })
    }
}

fn refused(error: Error) -> Refusal {
    Refusal::bad(error.what)
}

impl Models for Served {
    type Layout = Layout;

    fn names(&self) -> &[String] {
        &self.catalogue.names
    }

    fn most_tokens(&self) -> usize {
        self.most_tokens
    }

    fn trained_length(&self, model: usize) -> usize {
        self.catalogue.checkpoint(model).config.trained_length()
    }

    fn text(&self, model: usize, text: &str) -> Prompted<Prepared<Layout>> {
        let tokens = self.tokenizer(model).encode(text).map_err(refused)?;
        let placed = Placed { ids: tokens.ids, text: text.into(), offsets: tokens.offsets };
        self.laid_out(model, placed, &[])
    }

    fn ids(&self, model: usize, ids: Vec<u32>) -> Prompted<Prepared<Layout>> {
        let placed = Placed::of_ids(self.tokenizer(model), ids).map_err(refused)?;
        self.laid_out(model, placed, &[])
    }

    fn chat(&self, model: usize, messages: &[server::Message]) -> Prompted<Prepared<Layout>> {
        let template = self.catalogue.checkpoint(model).chat_template().map_err(refused)?;
        let said: Vec<Message> = messages
            .iter()
            .map(|message| Message { role: message.role.clone(), content: message.text() })
            .collect();
        let text = template.render(&said).map_err(refused)?;
        let tokens = self.tokenizer(model).encode_as_it_stands(&text).map_err(refused)?;
        let parts = messages.iter().flat_map(|message| &message.parts);
        let starts = files_of_chat(&text, parts.map(|part| &part[..]));
        let placed = Placed { ids: tokens.ids, text, offsets: tokens.offsets };
        self.laid_out(model, placed, &starts)
    }

    fn tokenize(&self, model: usize, text: &str, special: bool) -> Prompted<Vec<u32>> {
        let tokenizer = self.tokenizer(model);
        let tokens = if special { tokenizer.encode(text) } else { tokenizer.encode_as_it_stands(text) };
        tokens.map(|tokens| tokens.ids).map_err(refused)
    }

    fn detokenize(&self, model: usize, ids: &[u32]) -> Prompted<String> {
        self.tokenizer(model).decode_all(ids).map_err(refused)
    }

    fn after(&self, model: usize, prompt: &[u32], ids: &[u32]) -> Prompted<String> {
        self.tokenizer(model).after(prompt).and_then(|after| after.decode(ids)).map_err(refused)
    }

    fn token_names(&self, model: usize, ids: &[u32]) -> Vec<String> {
        let tokenizer = self.tokenizer(model);
        let name = |id: &u32| match tokenizer.decode(&[*id]) {
            Ok(text) if !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER) => text,
            _ => tokenizer.token(*id).unwrap_or_else(|| format!("token_id:{id}")),
        };
        ids.iter().map(name).collect()
    }

    fn tokenizer_info(&self, model: usize) -> Value {
        let checkpoint = self.catalogue.checkpoint(model);
        let (tokenizer, template) = (&checkpoint.tokenizer, checkpoint.chat_template().ok());
        let name = |id: Option<u32>| id.and_then(|id| tokenizer.token(id));
        let eos = tokenizer.end_of_sequence().or_else(|| checkpoint.end_of_sequence.first().copied());
        json!({
            "eos_token": name(eos),
            "bos_token": name(tokenizer.bos().ok().flatten()),
            "pad_token": null,
            "chat_template": template.map(|template| template.source().to_string()),
        })
    }

    fn begin(&self, job: Job) -> Prompted<()> {
        let jobs = self.jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let sent = jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(Refusal::status(503, "the server ends")) }
    }
}
