//! What a run knows about a model, wherever it computes: its text side, its trained length, what pins it, and a reader.
//!
//! | module | what |
//! |---|---|
//! | `local` | a checkpoint on this machine: its network under an encoding |
//! | `served` | a model that somebody else serves |

mod local;
mod served;

pub(crate) use local::LocalModel;
pub(crate) use served::ServedModel;

use std::num::NonZeroUsize;

use crate::checkpoint::Checkpoint;
use crate::config::EncodingEntry;
use crate::device::OpenDevice;
use crate::encoding::EncodingSpec;
use crate::error::Result;
use crate::model::Seen;
use crate::provenance::ModelHash;
use crate::run::Account;
use crate::structure::Layout;
use crate::text::{Generation, Limits, TextSide, TokenScores};

/// A model of a config, found and checked; nothing is loaded.
pub(crate) trait Subject: Send + Sync {
    /// Its tokenizer and chat template.
    fn text(&self) -> &dyn TextSide;

    /// Its trained length, tokens.
    fn trained_length(&self) -> usize;

    /// What pins its numbers, under its name in a config.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn identity(&self, name: &str) -> Result<ModelHash>;

    /// What a user must know about it, besides errors.
    fn notes(&self) -> Vec<String>;

    /// Refuses keys of an encoding that make no sense for it; gives what is legal but unwise, in words.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Encoding`], naming the key.
    fn check(&self, encoding: &EncodingSpec) -> Result<Vec<String>>;

    /// Whether what is read of a text's start depends on the text's length, so that one pass does not give the loss at
    /// shorter contexts.
    fn follows_length(&self, encoding: &EncodingSpec) -> bool;

    /// Whether prompts that begin alike are read together, so that what they share costs once.
    fn shares_prefixes(&self, encoding: &EncodingSpec) -> bool;

    /// Why it cannot give what a task needs; none if it can.
    fn refusal(&self, need: Need) -> Option<String>;

    /// What samples of up to `longest` tokens cost under its rows.
    fn account(&self, rows: &[&EncodingEntry], longest: usize) -> Account;

    /// How many readers work at once where no device of this machine computes; none of a model that does compute on one.
    fn connections(&self) -> Option<NonZeroUsize>;

    /// The checkpoint on this machine, whose time and memory can be measured; none of a model that computes elsewhere.
    fn checkpoint(&self) -> Option<&Checkpoint>;

    /// Makes it ready to read.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`] or [`crate::error::ErrorKind::Device`] when its weights cannot be loaded.
    fn open<'a>(&'a self, device: &OpenDevice) -> Result<Box<dyn Reader + 'a>>;
}

/// The models of a config, in its order.
pub(crate) type Subjects = Vec<Box<dyn Subject>>;

/// What a task needs of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Losses of a text's tokens.
    Losses,
    /// Likelihoods of given continuations.
    Candidates,
    /// New text after a prompt.
    Text,
    /// New text after a user's message.
    Chat,
    /// Ranks and entropies beside the losses.
    Details,
}

/// Tokens that a model reads.
pub(crate) struct Passage<'a> {
    /// Ids of the text's tokens, at least one.
    pub(crate) ids: &'a [u32],
    /// The text.
    pub(crate) text: &'a str,
    /// What the user says in it, for a chat.
    pub(crate) message: Option<&'a str>,
    /// What the encoding knows of the text.
    pub(crate) layout: Layout,
}

/// A prompt to be continued.
pub(crate) struct Asked<'a> {
    /// What errors call it.
    pub(crate) name: String,
    /// The prompt.
    pub(crate) prompt: Passage<'a>,
    /// Continuations whose likelihood is requested, in tokens.
    pub(crate) candidates: &'a [Vec<u32>],
    /// When new text ends.
    pub(crate) limits: Limits,
    /// Tokens that end it, besides the model's own end of a sequence.
    pub(crate) ends: &'a [u32],
    /// Tokens that there must be room for after the prompt.
    pub(crate) room: usize,
    /// How many of its first tokens begin other prompts too, which are asked about before or after it.
    pub(crate) shared: usize,
}

/// The answer to an [`Asked`].
pub(crate) struct Reply {
    /// The model's continuation.
    pub(crate) generation: Generation,
    /// Negative log-likelihood of the tokens of each candidate, nats.
    pub(crate) candidates: Vec<Vec<f64>>,
    /// Keys that the prompt's tokens saw; none of a model that does not say.
    pub(crate) keys: Option<Seen>,
}

/// A model that reads and answers.
pub(crate) trait Reader {
    /// Scores each token of a text, with ranks and entropies if they are asked for, and says how many keys they saw, if
    /// the model does.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::is_of_sample`] for what says something about this text alone, else when the model
    /// fails.
    fn score(
        &self,
        encoding: &EncodingSpec,
        passage: &Passage,
        detailed: bool,
    ) -> Result<(TokenScores, Option<Seen>)>;

    /// Answers several prompts, each by itself; a prompt that fails on its own has that failure as its answer.
    ///
    /// # Errors
    /// When the model fails, naming the prompt.
    fn answer(&self, encoding: &EncodingSpec, asked: &[Asked]) -> Result<Vec<Result<Reply>>>;
}
