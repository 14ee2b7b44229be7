//! `longcode serve`: checkpoints under encodings, for every client that speaks OpenAI's API.
//!
//! | module | what |
//! |---|---|
//! | `engine` | what computes, on the thread that called |
//! | `segments` | the segments of prompts |

mod engine;
mod segments;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use longcode_openai::server::{Job, Models, Options, Prepared, Refusal, Server};
use serde_json::{Value, json};

use crate::checkpoint::Checkpoint;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt::Deferred;
use crate::model::Network;
use crate::structure::Language;
use crate::text::chat::Message;
use crate::text::{TextSide, Tokenizer};
use engine::Engine;

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
}

/// What clients can name: each checkpoint under each encoding.
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
    /// Every checkpoint by its name, under its own encoding and under each that is given, as it was typed.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`] for one that does not fit a checkpoint; [`ErrorKind::Usage`] for a name given twice.
    pub fn new(checkpoints: Vec<(String, Checkpoint)>, encodings: &[String]) -> Result<Catalogue> {
        let (mut entries, mut names) = (Vec::new(), Vec::new());
        for (number, (name, checkpoint)) in checkpoints.iter().enumerate() {
            let own = [(name.clone(), "rope".to_string())].into_iter();
            let others = encodings.iter().map(|spec| (format!("{name}@{spec}"), spec.clone()));
            for (name, spec) in own.chain(others) {
                let encoding = EncodingSpec::parse(&spec)?;
                encoding.check(&checkpoint.config.rope).map_err(|e| e.at(format_args!("model `{name}`")))?;
                encoding
                    .notes(&checkpoint.config.rope)
                    .iter()
                    .for_each(|what| note!("model \"{name}\": {what}"));
                if names.contains(&name) {
                    return Err(Error::new(ErrorKind::Usage, format!("two models are named \"{name}\""))
                        .at("command line")
                        .fix(
                            "give each --model and each --encoding once; the last part of a path is its name",
                        ));
                }
                entries.push(Entry { checkpoint: number, encoding });
                names.push(name);
            }
        }
        let checkpoints = checkpoints.into_iter().map(|(_, checkpoint)| checkpoint).collect();
        Ok(Catalogue { checkpoints, entries, names })
    }

    fn checkpoint(&self, model: usize) -> &Checkpoint {
        &self.checkpoints[self.entries[model].checkpoint]
    }
}

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
        let computed = computing(&catalogue, networks, &received, &broken);
        let accepted = accepting.join().expect("the server does not panic");
        computed?;
        accepted.map_err(no_address)
    })
}

/// Computes until the server has ended. A failure, a library's panic too, ends the server.
fn computing(
    catalogue: &Catalogue,
    networks: &[Network],
    jobs: &Receiver<Job>,
    broken: &AtomicBool,
) -> Result<()> {
    struct Break<'a>(&'a AtomicBool);
    impl Drop for Break<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let _break = Break(broken);
    Engine::new(catalogue, networks).run(jobs)
}

/// The catalogue as the server sees it.
struct Served {
    catalogue: Arc<Catalogue>,
    /// None when the server has ended.
    jobs: Mutex<Option<Sender<Job>>>,
    most_tokens: usize,
    language: Option<Language>,
}

impl Served {
    fn end(&self) {
        *self.jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
    }

    fn tokenizer(&self, model: usize) -> &Tokenizer {
        &self.catalogue.checkpoint(model).tokenizer
    }

    /// A prompt with the segments of its model's encoding.
    fn divided(
        &self,
        model: usize,
        ids: Vec<u32>,
        text: String,
        file_starts: &[usize],
    ) -> std::result::Result<Prepared, Refusal> {
        let vocabulary = self.catalogue.checkpoint(model).config.vocab_size;
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
            return Err(Refusal::field(
                "prompt",
                format!("id {id} is beyond the model's {vocabulary} embeddings"),
            ));
        }
        let units = self.catalogue.entries[model].encoding.units();
        let levels = if units.is_empty() {
            Vec::new()
        } else {
            segments::levels(self.tokenizer(model), &ids, &text, file_starts, self.language, units)
                .map_err(|e| Refusal::bad(e.what))?
        };
        Ok(Prepared { ids, text, levels })
    }
}

fn refused(error: Error) -> Refusal {
    Refusal::bad(error.what)
}

impl Models for Served {
    fn names(&self) -> &[String] {
        &self.catalogue.names
    }

    fn most_tokens(&self) -> usize {
        self.most_tokens
    }

    fn text(&self, model: usize, text: &str) -> std::result::Result<Prepared, Refusal> {
        let ids = self.tokenizer(model).encode(text).map_err(refused)?.ids;
        self.divided(model, ids, text.into(), &[])
    }

    fn ids(&self, model: usize, ids: Vec<u32>) -> std::result::Result<Prepared, Refusal> {
        let text = self.tokenizer(model).decode_all(&ids).map_err(refused)?;
        self.divided(model, ids, text, &[])
    }

    fn chat(&self, model: usize, messages: &[(String, String)]) -> std::result::Result<Prepared, Refusal> {
        let template = self.catalogue.checkpoint(model).chat_template().map_err(refused)?;
        let said: Vec<Message> = messages
            .iter()
            .map(|(role, content)| Message { role: role.clone(), content: content.clone() })
            .collect();
        let text = template.render(&said).map_err(refused)?;
        let ids = self.tokenizer(model).encode_as_it_stands(&text).map_err(refused)?.ids;
        let starts = segments::starts_of_chat(&text, messages.iter().map(|(_, content)| &content[..]));
        self.divided(model, ids, text, &starts)
    }

    fn tokenize(&self, model: usize, text: &str, special: bool) -> std::result::Result<Vec<u32>, Refusal> {
        let tokenizer = self.tokenizer(model);
        let tokens = if special { tokenizer.encode(text) } else { tokenizer.encode_as_it_stands(text) };
        tokens.map(|tokens| tokens.ids).map_err(refused)
    }

    fn detokenize(&self, model: usize, ids: &[u32]) -> std::result::Result<String, Refusal> {
        self.tokenizer(model).decode_all(ids).map_err(refused)
    }

    fn after(&self, model: usize, prompt: &[u32], ids: &[u32]) -> std::result::Result<String, Refusal> {
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

    fn begin(&self, job: Job) -> std::result::Result<(), Refusal> {
        let jobs = self.jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let sent = jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(Refusal::status(503, "the server ends")) }
    }
}
