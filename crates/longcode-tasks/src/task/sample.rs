//! Samples: what a model is asked, and what it answers.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Span;
use longcode_base::error::{Error, Result};
use longcode_structure::Language;
use longcode_text::{Generation, Limits, Prompt, TokenScores, Tokens};

/// The samples of a task, and the records that could not become one.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Samples in the order in which they run.
    pub samples: Vec<Sample>,
    /// Records that should have become samples but cannot; they are named and counted.
    pub left_out: Vec<LeftOut>,
    /// What a reader of the figures must know about the samples; shown on stderr and in the report.
    pub notes: Vec<String>,
}

impl Selection {
    /// Adds a note on how many prompts were cut, if any were. `what` says what is left out of them.
    pub(super) fn noting_cuts<R: DeserializeOwned>(
        mut self,
        limit: usize,
        what: &str,
        is_cut: fn(&R) -> bool,
    ) -> Selection {
        let cut = self.samples.iter().filter(|sample| is_cut(&sample.reference())).count();
        if cut > 0 {
            let all = self.samples.len();
            self.notes.push(format!("{cut} of {all} prompts are longer than {limit} tokens: {what}"));
        }
        self
    }
}

/// A record that cannot become a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its id, or its file and line.
    pub record: String,
    /// What is wrong with it.
    pub why: String,
}

impl From<Error> for LeftOut {
    /// An error of a record, which names its file and line.
    fn from(error: Error) -> LeftOut {
        LeftOut { record: error.place.unwrap_or_default(), why: error.what }
    }
}

/// What could be made from records; the errors of the others are added to those left out.
pub(super) fn keep_ok<T>(made: impl IntoIterator<Item = Result<T>>, left_out: &mut Vec<LeftOut>) -> Vec<T> {
    made.into_iter().filter_map(|one| one.map_err(|error| left_out.push(error.into())).ok()).collect()
}

/// Adds to an error message that records were left out, and why the first of them was.
pub(super) fn with_left_out(what: String, left_out: &[LeftOut]) -> String {
    match left_out.first() {
        None => what,
        Some(LeftOut { record, why }) => {
            format!("{what}; {} left out, the first at {record}: {why}", left_out.len())
        }
    }
}

/// A note on a group of samples that is smaller than requested.
pub(super) fn fewer_than_asked(group: &str, found: usize, asked: usize, of_what: &str) -> Option<String> {
    (found < asked).then(|| format!("{group}: {found} of {asked} {of_what} asked for"))
}

/// An error message about empty buckets: all of them, and how long the existing records are.
pub(super) fn empty_buckets(what: &str, empty: &[Span], mut lengths: Vec<usize>, unit: &str) -> String {
    lengths.sort_unstable();
    let missing = empty
        .iter()
        .map(|span| match span.to {
            Span::OPEN => format!("of {} {unit} and more", span.from),
            to => format!("of {} to {to} {unit}", span.from),
        })
        .collect::<Vec<_>>()
        .join(", nor ");
    let there_are = match lengths[..] {
        [] => String::new(),
        [only] => format!("; the only one there is has {only}"),
        [shortest, .., longest] => format!(
            "; the {} there are have {shortest} to {longest}, half of them up to {}",
            lengths.len(),
            lengths[(lengths.len() - 1) / 2]
        ),
    };
    format!("no {what} {missing}{there_are}")
}

/// What a task asks of a model about each of its samples.
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    /// The loss of each of the sample's tokens.
    Score,
    /// A greedy continuation of the sample's tokens within these limits, the likelihood of its
    /// [`Sample::candidates`], and the same of each of [`Sample::others`].
    Generate(Limits),
}

impl Ask {
    /// Tokens that need room after a sample's prompt; none if the sample is scored.
    pub fn room(self, sample: &Sample) -> Option<usize> {
        match self {
            Ask::Score => None,
            Ask::Generate(limits) => Some(sample.room(limits)),
        }
    }
}

/// What a model answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The answer to [`Ask::Score`].
    Scored(Scored),
    /// The answer to [`Ask::Generate`].
    Generated(Generated),
}

impl Answer {
    /// The requested losses.
    ///
    /// # Panics
    /// When the answer is a text.
    pub(super) fn scored(self) -> Scored {
        match self {
            Answer::Scored(scored) => scored,
            Answer::Generated(_) => panic!("losses were asked for, and the answer is a text"),
        }
    }

    /// The requested continuation.
    ///
    /// # Panics
    /// When the answer is losses.
    pub(super) fn generated(self) -> Generated {
        match self {
            Answer::Generated(generated) => generated,
            Answer::Scored(_) => panic!("a text was asked for, and the answer is losses"),
        }
    }
}

/// The answer to [`Ask::Score`].
#[derive(Debug, Clone)]
pub struct Scored {
    /// Per-token losses.
    pub scores: TokenScores,
    /// Whether the encoding of early tokens depends on the length of the whole sequence, so that one pass
    /// does not give the loss at shorter contexts.
    pub follows_length: bool,
}

/// The answer to [`Ask::Generate`].
#[derive(Debug, Clone)]
pub struct Generated {
    /// The model's continuation.
    pub generation: Generation,
    /// Negative log-likelihood of the tokens of each of [`Sample::candidates`], nats.
    pub candidates: Vec<Vec<f64>>,
    /// The answers to each of [`Sample::others`].
    pub others: Vec<Generated>,
}

/// One unit of work: a text in the model's tokens.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The record's id.
    pub id: String,
    /// The task's bucket that it belongs to.
    pub bucket: Span,
    /// The text.
    pub text: String,
    /// Its programming language, if supported.
    pub language: Option<Language>,
    /// The byte offsets at which its files begin; empty for one file.
    pub file_starts: Vec<usize>,
    /// Ids and byte offsets of the text.
    pub tokens: Tokens,
    /// Continuations of the prompt whose likelihood is requested, in tokens.
    pub candidates: Vec<Vec<u32>>,
    /// The expected answer, in the task's own form.
    pub reference: Value,
    /// Tokens that end its continuation, besides the model's own end of a sequence.
    pub ends: Vec<u32>,
    /// The same question asked otherwise, such as without its context, for a task that measures what that is worth: text,
    /// files, tokens, candidates and ends.
    pub others: Vec<Sample>,
}

impl From<Prompt> for Sample {
    fn from(prompt: Prompt) -> Sample {
        let Prompt { text, tokens, file_starts, .. } = prompt;
        Sample { text, tokens, file_starts, ..Sample::default() }
    }
}

impl Sample {
    /// Adds the expected answer.
    pub(super) fn held_to(self, reference: &impl Serialize) -> Sample {
        Sample { reference: serde_json::to_value(reference).expect("plain data"), ..self }
    }

    /// The expected answer that [`Sample::held_to`] was given.
    ///
    /// # Panics
    /// When it was of another type: the sample belongs to another task.
    pub(super) fn reference<R: DeserializeOwned>(&self) -> R {
        R::deserialize(&self.reference).expect("a sample of this task")
    }

    /// How many tokens a model reads for it.
    pub fn prompt_tokens(&self) -> usize {
        self.asked().map(|sample| sample.tokens.ids.len()).sum()
    }

    /// Itself, and the same question asked otherwise.
    pub fn asked(&self) -> impl Iterator<Item = &Sample> {
        [self].into_iter().chain(&self.others)
    }

    /// Tokens that need room after each of its prompts: as many as may be generated, or as the longest candidate has.
    pub fn room(&self, limits: Limits) -> usize {
        let candidates = self.asked().flat_map(|sample| &sample.candidates);
        candidates.map(Vec::len).fold(limits.max_new_tokens, usize::max)
    }
}

/// The first sample of every bucket, then the second of every bucket, and so on: a run that is cut short
/// has seen all lengths.
pub(crate) fn by_rank(buckets: Vec<Vec<Sample>>) -> Vec<Sample> {
    let longest = buckets.iter().map(Vec::len).max().unwrap_or(0);
    let mut queues: Vec<_> = buckets.into_iter().map(Vec::into_iter).collect();
    (0..longest).flat_map(|_| queues.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_empty_buckets_are_named_with_the_lengths_there_are() {
        let spans = [Span { from: 4, to: 8 }, Span { from: 8, to: Span::OPEN }];
        let message = |lengths| empty_buckets("document", &spans, lengths, "tokens");
        let empty = "no document of 4 to 8 tokens, nor of 8 tokens and more";
        assert_eq!(message(vec![]), empty);
        assert_eq!(message(vec![3]), format!("{empty}; the only one there is has 3"));
        assert_eq!(
            message(vec![3, 1, 2, 900]),
            format!("{empty}; the 4 there are have 1 to 900, half of them up to 2")
        );
    }

    #[test]
    fn ranks_interleave_buckets() {
        let named = |id: &str| Sample { id: id.into(), ..Sample::default() };
        let order = by_rank(vec![vec![named("a1"), named("a2")], vec![named("b1")]]);
        assert_eq!(order.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["a1", "b1", "a2"]);
    }
}
