//! Tasks: records become samples, samples become outcomes, outcomes become figures.
//!
//! **Adding a task**: write `src/task/NAME.rs` with a serde struct whose fields are the task's keys, an `impl Task`
//! and its `ENTRY`, and add the entry to [`TASKS`].

mod buckets;
mod code_run;
mod completion;
mod draw;
pub(crate) mod language_modeling;
mod lookup;
mod middle_cut;
mod multiple_choice;
mod project_completion;
mod python;
mod repobench;
mod repoqa;
mod similarity;
mod symbols;

use std::fmt::Debug;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::dataset::Dataset;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Checkpoint, Generation, Limits, TokenScores, Tokens};
use crate::registry::{self, Kind};
use crate::structure::Language;

/// Something that a model is asked to do with the records of a data set.
pub trait Task: Debug + Send + Sync {
    /// Refuses keys that make no sense.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], naming the key.
    fn check(&self) -> Result<()>;

    /// Makes samples in a model's tokens, chosen by `seed`; the same for every encoding.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] when the data set cannot be read or a bucket stays empty,
    /// [`ErrorKind::Config`] when a key cannot be met in the model's tokens.
    fn samples(&self, dataset: &Dataset, model: &Checkpoint, seed: u64) -> Result<Selection>;

    /// What is asked of the model for a sample, and what becomes of the answer: the outcome, which is
    /// stored and is all that [`Task::measures`] sees.
    /// `trained_length` is the model's, in tokens.
    fn request<'a>(&'a self, sample: &'a Sample, trained_length: usize) -> Request<'a>;

    /// The figures of this task, the main one first.
    fn metrics(&self) -> &'static [Metric];

    /// What a stored outcome contributes to which figure.
    ///
    /// # Errors
    /// When the outcome is not one that [`Task::request`] made.
    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error>;
}

/// The samples of a task, and what could not be one.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// In the order in which they run.
    pub samples: Vec<Sample>,
    /// Records that should have become samples and cannot; they are named and counted.
    pub left_out: Vec<LeftOut>,
    /// What a reader of the figures must know of the samples; told on stderr and in the report.
    pub notes: Vec<String>,
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

/// What could be made of records; the errors of the others join what is left out.
fn sift<T>(made: impl IntoIterator<Item = Result<T>>, left_out: &mut Vec<LeftOut>) -> Vec<T> {
    made.into_iter().filter_map(|one| one.map_err(|error| left_out.push(error.into())).ok()).collect()
}

/// Appends to what went wrong that records were left out, and why the first of them was.
fn with_left_out(what: String, left_out: &[LeftOut]) -> String {
    match left_out.first() {
        None => what,
        Some(LeftOut { record, why }) => {
            format!("{what}; {} left out, the first at {record}: {why}", left_out.len())
        }
    }
}

/// What to say of a group of samples that is smaller than asked for.
fn fewer_than_asked(group: &str, found: usize, asked: usize, of_what: &str) -> Option<String> {
    (found < asked).then(|| format!("{group}: {found} of {asked} {of_what} asked for"))
}

/// What a task asks of a model under one encoding, and what it makes of the answer.
pub enum Request<'a> {
    /// Per-token losses of the sample's tokens.
    Score {
        /// Makes the outcome.
        outcome: Box<dyn FnOnce(Scored) -> Value + 'a>,
    },
    /// The sample's tokens are a prompt, to go on from greedily.
    Generate {
        /// When to end.
        limits: Limits,
        /// Continuations of the prompt whose likelihood is wanted, in tokens.
        candidates: &'a [Vec<u32>],
        /// Makes the outcome.
        outcome: Box<dyn FnOnce(Generated) -> Value + 'a>,
    },
}

/// The answer to [`Request::Score`].
pub struct Scored {
    /// Per-token losses.
    pub scores: TokenScores,
    /// Whether early tokens were encoded by the length of the whole sequence, so that one pass does not
    /// give the loss at shorter contexts.
    pub follows_length: bool,
}

/// The answer to [`Request::Generate`].
pub struct Generated {
    /// What the model went on with.
    pub generation: Generation,
    /// Negative log-likelihood of each candidate's tokens, nats.
    pub candidates: Vec<Vec<f64>>,
    /// What it went on with after [`Sample::alone`].
    pub alone: Option<Generation>,
}

/// One unit of work: a text in the model's tokens.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// The record's id.
    pub id: String,
    /// Which bucket of the task it falls in.
    pub bucket: Span,
    /// The text.
    pub text: String,
    /// What it is written in, if that can be parsed.
    pub language: Option<Language>,
    /// The byte offsets at which its files begin; empty: one file.
    pub file_starts: Vec<usize>,
    /// Ids and byte offsets of the text.
    pub tokens: Tokens,
    /// Continuations whose likelihood is wanted, in tokens.
    pub candidates: Vec<Vec<u32>>,
    /// What the task holds the model's answer to, in the task's own form.
    pub reference: Value,
    /// The same question without its context, for a task that asks what the context is worth: its text, files and tokens.
    pub alone: Option<Box<Sample>>,
}

impl Sample {
    /// Tokens that a model reads for it.
    pub fn prompt_tokens(&self) -> usize {
        self.tokens.ids.len() + self.alone.as_ref().map_or(0, |alone| alone.tokens.ids.len())
    }
}

/// A half-open range of lengths or positions. Stored as its ends; that of an open one is null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(usize, Option<usize>)", into = "(usize, Option<usize>)")]
pub struct Span {
    /// First included.
    pub from: usize,
    /// First excluded; [`Span::OPEN`]: none is.
    pub to: usize,
}

impl Span {
    /// The end of a range that has none.
    pub const OPEN: usize = usize::MAX;
}

impl From<(usize, Option<usize>)> for Span {
    fn from((from, to): (usize, Option<usize>)) -> Span {
        Span { from, to: to.unwrap_or(Span::OPEN) }
    }
}

impl From<Span> for (usize, Option<usize>) {
    fn from(span: Span) -> (usize, Option<usize>) {
        (span.from, Some(span.to).filter(|&to| to != Span::OPEN))
    }
}

impl std::fmt::Display for Span {
    /// As in summary.csv: `0-4000`, `8000+`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.to {
            Span::OPEN => write!(f, "{}+", self.from),
            to => write!(f, "{}-{to}", self.from),
        }
    }
}

/// A figure that a task gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As in summary.csv.
    pub name: &'static str,
    /// The metric whose measures it is made of; its own name unless it transforms another's.
    pub of: &'static str,
    /// exp() of the mean, as perplexity is of the loss.
    pub exponential: bool,
    /// Which direction is better.
    pub better: Better,
    /// What titles call it; its name where empty.
    title: &'static str,
    /// Over what it is taken: what follows in the title of its table.
    pub over: &'static str,
    /// The title of its table by position; without one there is no such table.
    pub by_position: Option<&'static str>,
    /// Whether tables show it; summary.csv has every metric that is not a part of others.
    pub in_tables: bool,
    /// Whether it is only what others are made of, and no figure of its own.
    pub part: bool,
}

impl Metric {
    /// A mean, shown in a table by bucket under its name.
    pub const fn mean(name: &'static str, better: Better) -> Metric {
        Metric {
            name,
            of: name,
            exponential: false,
            better,
            title: "",
            over: " by bucket",
            by_position: None,
            in_tables: true,
            part: false,
        }
    }

    /// exp() of the mean of another metric's measures; lower is better.
    pub const fn exp_of(name: &'static str, of: &'static str) -> Metric {
        Metric { of, exponential: true, ..Metric::mean(name, Better::Lower) }
    }

    /// The mean loss in nats, which a difference's parts are taken from.
    pub const fn loss() -> Metric {
        Metric::mean("loss", Better::Lower)
    }

    /// With a title of its own, and over what it is taken.
    pub const fn titled(self, title: &'static str, over: &'static str) -> Metric {
        Metric { title, over, ..self }
    }

    /// With a table by position.
    pub const fn by_position(self, title: &'static str) -> Metric {
        Metric { by_position: Some(title), ..self }
    }

    /// In summary.csv alone, where others show the same in another weighting or form.
    pub const fn not_in_tables(self) -> Metric {
        Metric { in_tables: false, ..self }
    }

    /// In no listing: what others are made of.
    pub const fn part_of_others(self) -> Metric {
        Metric { in_tables: false, part: true, ..self }
    }

    /// What titles call it.
    pub fn title(&self) -> String {
        match self.title {
            "" => capitalised(&self.name.replace('_', " ")),
            title => title.into(),
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// Which direction of a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Losses.
    Lower,
    /// Shares of something right.
    Higher,
}

/// One sample's part in a figure, which is the sum of numerators over the sum of denominators.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Over which samples or positions.
    pub group: Group,
    /// The metric.
    pub metric: &'static str,
    /// Summed over samples.
    pub numerator: f64,
    /// Summed over samples; the sample's weight.
    pub denominator: f64,
}

impl Measure {
    /// A sample's figures by metric, over each of the groups that it is in; every sample weighs the same.
    fn of_sample(groups: &[Group], figures: &[(&'static str, f64)]) -> Vec<Measure> {
        let of = |&group: &Group| {
            let measure = move |&(metric, numerator)| Measure { group, metric, numerator, denominator: 1.0 };
            figures.iter().map(measure)
        };
        groups.iter().flat_map(of).collect()
    }
}

/// The samples or positions that a figure is taken over: a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Samples of a bucket.
    Bucket(Span),
    /// Samples of a bucket by the length that their records state, in words.
    Words(Span),
    /// Samples that were made as long as this, in tokens.
    Length(usize),
    /// Samples of a part of a benchmark: a language, a class of lines.
    Part(&'static str),
    /// All samples of the task.
    All,
    /// Tokens at these positions, of all samples that reach them.
    Position(Span),
    /// Tokens from this position on, of all samples that reach it.
    From(usize),
    /// Those of them by how far back stands what they could be known from.
    Distance(By, Back),
    /// Samples of one length with what is asked for at one depth: a field of a grid.
    Cell {
        /// Tokens.
        length: usize,
        /// Percent of the length.
        depth: u8,
    },
    /// All samples, by a bar in tenths that an answer must come up to.
    Bar(u8),
}

impl std::fmt::Display for Group {
    /// As in summary.csv.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Group::Bucket(span) | Group::Words(span) => write!(f, "{span}"),
            Group::Length(length) => write!(f, "{length}"),
            Group::All => f.write_str("all"),
            Group::Position(span) => write!(f, "position {span}"),
            Group::From(position) => write!(f, "from {position}"),
            Group::Part(part) => f.write_str(part),
            Group::Bar(tenths) => write!(f, "at {}.{}", tenths / 10, tenths % 10),
            Group::Distance(by, back) => write!(f, "{by} {back}"),
            Group::Cell { length, depth } => write!(f, "length {length} depth {depth}"),
        }
    }
}

/// What a token could be known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// The same pair of tokens.
    Copy,
    /// The last use of the same identifier.
    Reference,
    /// The definition of the function, method or class of that name.
    Definition,
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            By::Copy => "copy",
            By::Reference => "reference",
            By::Definition => "definition",
        })
    }
}

/// How far back it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Back {
    /// Nowhere: this is the first.
    New,
    /// Tokens.
    At(Span),
    /// There is nothing that the token could be known from in this way, as it is no identifier.
    Other,
}

impl std::fmt::Display for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Back::New => f.write_str("new"),
            Back::At(span) => write!(f, "{span}"),
            Back::Other => f.write_str("other"),
        }
    }
}

/// An entry of the registry of tasks: a kind's file has one.
pub type TaskKind = Kind<dyn Task>;

/// Every kind of task.
pub const TASKS: &[TaskKind] = &[
    language_modeling::ENTRY,
    lookup::ENTRY,
    completion::ENTRY,
    symbols::ENTRY,
    multiple_choice::ENTRY,
    code_run::ENTRY,
    repoqa::ENTRY,
    repobench::ENTRY,
    project_completion::ENTRY,
];

impl TaskKind {
    /// The kind that a type is, whose fields are the keys.
    const fn of<T: Task + Serialize + DeserializeOwned + 'static>(
        name: &'static str,
        about: &'static str,
        keys: &'static str,
    ) -> TaskKind {
        let read = |keys| {
            let (task, keys) = registry::read::<T>(keys)?;
            Ok((Arc::new(task) as Arc<dyn Task>, keys))
        };
        Kind { name, about, keys, lists: &[], read }
    }

    /// Reads a task's keys, and gives them back with the defaults filled in.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an unknown key, a value of the wrong type or one that makes no sense.
    pub fn parse(&self, keys: toml::Table) -> Result<(Arc<dyn Task>, toml::Table)> {
        let (task, keys) = (self.read)(keys).map_err(|e| {
            let message = e.message().trim().replace('\n', " ");
            Error::new(ErrorKind::Config, format!("task kind `{}`: {message}", self.name))
                .fix("add, mend or remove the key")
        })?;
        task.check()?;
        Ok((task, keys))
    }
}

/// The kind of that name.
///
/// # Errors
/// [`ErrorKind::Config`], listing the kinds.
pub fn find_kind(name: &str) -> Result<&'static TaskKind> {
    registry::find(TASKS, name, "task", ErrorKind::Config).map_err(|e| e.at("key `kind`"))
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
    fn ranks_interleave_buckets() {
        let named = |id: &str| Sample { id: id.into(), ..Sample::default() };
        let order = by_rank(vec![vec![named("a1"), named("a2")], vec![named("b1")]]);
        assert_eq!(order.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["a1", "b1", "a2"]);
    }
}
