//! What a server needs of whoever computes.

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use super::Refusal;

/// Models that are served. Calls may take a while: they run off the threads that read and write.
pub trait Models: Send + Sync + 'static {
    /// Their names, in the order in which they are listed; the first is that of a request that names none.
    fn names(&self) -> &[String];

    /// Most tokens of a sequence, prompt and new ones.
    fn most_tokens(&self) -> usize;

    /// A text as a prompt.
    ///
    /// # Errors
    /// [`Refusal`] for what the tokenizer refuses.
    fn text(&self, model: usize, text: &str) -> Result<Prepared, Refusal>;

    /// Ids as a prompt.
    ///
    /// # Errors
    /// [`Refusal`] for ids that the model does not have.
    fn ids(&self, model: usize, ids: Vec<u32>) -> Result<Prepared, Refusal>;

    /// A conversation as a prompt: roles and texts.
    ///
    /// # Errors
    /// [`Refusal`] for a model without a template, or what the template refuses.
    fn chat(&self, model: usize, messages: &[(String, String)]) -> Result<Prepared, Refusal>;

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
    fn begin(&self, job: Job) -> Result<(), Refusal>;
}

/// A prompt in a model's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Ids of its tokens.
    pub ids: Vec<u32>,
    /// Its text.
    pub text: String,
    /// The segment of each token, for each unit of the model's encoding.
    pub levels: Vec<Vec<u32>>,
}

/// Something to compute.
pub struct Job {
    /// Number of the model.
    pub model: usize,
    /// The prompt.
    pub prompt: Prepared,
    /// Whether the log-probabilities of its tokens are requested.
    pub score: bool,
    /// How many of the most likely tokens are requested with each score.
    pub top: usize,
    /// Most new tokens.
    pub new_tokens: usize,
    /// How new tokens are chosen.
    pub sampling: Sampling,
    /// Which choice of the request it is.
    pub choice: usize,
    /// Where its events go. When nobody receives them any more, the job is given up.
    pub events: UnboundedSender<(usize, Event)>,
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
    /// Its log-probability, nats.
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
