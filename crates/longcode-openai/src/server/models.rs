//! What a server needs of whoever computes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::Refusal;

/// Models that are served. Calls may take a while: they run off the threads that read and write.
pub trait Models: Send + Sync + 'static {
    /// What is known of a prompt besides its tokens. The server keeps it and hands it back.
    type Layout: Clone + Send + Sync + 'static;

    /// Their names, in the order in which they are listed; the first is that of a request that names none.
    fn names(&self) -> &[String];

    /// Most tokens of a sequence, prompt and new ones.
    fn most_tokens(&self) -> usize;

    /// Tokens that a model was trained at.
    fn trained_length(&self, model: usize) -> usize;

    /// A text as a prompt.
    ///
    /// # Errors
    /// [`Refusal`] for what the tokenizer refuses.
    fn text(&self, model: usize, text: &str) -> Result<Prepared<Self::Layout>, Refusal>;

    /// Ids as a prompt.
    ///
    /// # Errors
    /// [`Refusal`] for ids that the model does not have.
    fn ids(&self, model: usize, ids: Vec<u32>) -> Result<Prepared<Self::Layout>, Refusal>;

    /// A conversation as a prompt.
    ///
    /// # Errors
    /// [`Refusal`] for a model without a template, or what the template refuses.
    fn chat(&self, model: usize, messages: &[Message]) -> Result<Prepared<Self::Layout>, Refusal>;

    /// Ids of a text, with or without what the tokenizer puts around it.
    ///
    /// # Errors
    /// [`Refusal`] for what the tokenizer refuses.
    fn tokenize(&self, model: usize, text: &str, special: bool) -> Result<Vec<u32>, Refusal>;

    /// The text of ids, special tokens included.
    ///
    /// # Errors
    /// [`Refusal`] for ids that have none.
    fn detokenize(&self, model: usize, ids: &[u32]) -> Result<String, Refusal>;

    /// The text of new ids after those of a prompt, special tokens left out.
    ///
    /// # Errors
    /// [`Refusal`] for ids that have none.
    fn after(&self, model: usize, prompt: &[u32], ids: &[u32]) -> Result<String, Refusal>;

    /// What each token is called in lists of log-probabilities: its text if it has one, else its name.
    fn token_names(&self, model: usize, ids: &[u32]) -> Vec<String>;

    /// What clients ask of a tokenizer: `eos_token`, `bos_token`, `pad_token`, `chat_template`.
    fn tokenizer_info(&self, model: usize) -> Value;

    /// Takes on a job; its events say what becomes of it.
    ///
    /// # Errors
    /// [`Refusal`] when the server ends.
    fn begin(&self, job: Job<Self::Layout>) -> Result<(), Refusal>;
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`, or what else a template knows.
    pub role: String,
    /// Texts, one after another: a client may send several files as parts of one message.
    pub parts: Vec<String>,
}

impl Message {
    /// All of it.
    pub fn text(&self) -> String {
        self.parts.concat()
    }
}

/// A prompt in a model's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared<L> {
    /// Ids of its tokens.
    pub ids: Vec<u32>,
    /// Its text.
    pub text: String,
    /// Where each token begins in it, bytes.
    pub starts: Vec<usize>,
    /// What else is known of it.
    pub layout: L,
}

/// Something to compute.
pub struct Job<L> {
    /// Number of the model.
    pub model: usize,
    /// The prompt.
    pub prompt: Arc<Prepared<L>>,
    /// Whether the log-probabilities of its tokens are requested.
    pub score: bool,
    /// Whether the log-probabilities of new tokens are.
    pub score_new: bool,
    /// How many of the most likely tokens are requested with each score.
    pub top: usize,
    /// Most new tokens.
    pub new_tokens: usize,
    /// How new tokens are chosen.
    pub sampling: Sampling,
    /// Which choice of the request it is.
    pub choice: usize,
    /// Where its events go.
    pub events: UnboundedSender<(usize, Event)>,
    /// Whether nobody needs more of it, though somebody still listens to the rest of its request.
    pub enough: Arc<AtomicBool>,
}

impl<L> Job<L> {
    /// Whether nobody waits for more of it.
    pub fn is_given_up(&self) -> bool {
        self.events.is_closed() || self.enough.load(Ordering::Relaxed)
    }
}

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 for the most likely token.
    pub temperature: f64,
    /// Only the most likely tokens whose probabilities sum to this.
    pub top_p: f64,
    /// Of the draws.
    pub seed: u64,
}

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Scores of the prompt's tokens but the first.
    Prompt(Vec<TokenScore>),
    /// A new token.
    Token(TokenScore),
    /// The token by which the model ends the text, of which it is no part.
    EndOfText(TokenScore),
    /// The end.
    End(Ended),
    /// It cannot be done.
    Failed(Refusal),
}

/// A token and how likely it was.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenScore {
    /// Its id.
    pub id: u32,
    /// Its log-probability, nats; NaN where it was not requested.
    pub logprob: f32,
    /// The most likely tokens and theirs.
    pub top: Vec<(u32, f32)>,
}

/// Why new tokens ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// There are as many as were requested.
    Length,
    /// The model ended the text, or a stop string did.
    Stop,
}

impl Ended {
    pub(super) fn name(self) -> &'static str {
        match self {
            Ended::Length => "length",
            Ended::Stop => "stop",
        }
    }
}
