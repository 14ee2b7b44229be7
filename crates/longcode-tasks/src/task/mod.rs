//! Tasks: records become samples, samples become outcomes, outcomes become figures.
//!
//! **Adding a task**: write `src/task/NAME.rs` with a serde struct whose fields are the task's keys, its
//! `ENTRY`, and an `impl Prompts` if its samples are prompts, or an `impl Task`; and add the entry to
//! [`TASKS`].

mod buckets;
mod code_run;
mod completion;
mod draw;
mod evaluator;
mod fill_in;
mod group;
mod keys;
mod language_modeling;
mod line;
mod lookup;
mod measure;
mod middle_cut;
mod multiple_choice;
mod project_completion;
mod prompts;
mod python;
mod repobench;
mod repoqa;
mod sample;
mod similarity;
mod span;
mod symbols;
#[cfg(test)]
mod testing;

pub use evaluator::{Contexts, Evaluator, TwoContexts, Window};
pub use group::{Axis, Back, By, Group, Ruler};
pub(crate) use language_modeling::sources;
use measure::percent;
pub use measure::{Better, Measure, Metric, Parts, Range};
use prompts::Prompts;
pub(crate) use sample::by_rank;
pub use sample::{Answer, Ask, Generated, LeftOut, Sample, Scored, Selection};
use sample::{empty_buckets, fewer_than_asked, keep_ok, with_left_out};
pub use span::Span;

use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::dataset::Dataset;
use crate::per_token::PerToken;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::registry::{self, Kind};
use longcode_text::TextSide;

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
    fn samples(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection>;

    /// The model that must read every text before the samples are asked; none of most tasks.
    fn evaluator(&self) -> Option<Evaluator<'_>> {
        None
    }

    /// A sample with what the evaluator said of its text.
    fn evaluated(&self, sample: Sample, _losses: &TwoContexts) -> Sample {
        sample
    }

    /// What is asked of the model about every sample.
    fn ask(&self) -> Ask;

    /// Turns the answer about a sample into an outcome: it is stored, and is all that [`Task::measures`]
    /// sees. `trained_length` is the model's, in tokens.
    ///
    /// # Panics
    /// When the answer does not belong to [`Task::ask`], or the sample to this task.
    fn outcome(&self, sample: &Sample, answer: Answer, trained_length: usize) -> Value;

    /// The figures of this task, the main one first.
    fn metrics(&self) -> &'static [Metric];

    /// What a stored outcome contributes to which figure.
    ///
    /// # Errors
    /// When [`Task::outcome`] did not make the outcome.
    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error>;

    /// The right answer to a sample, for people to read beside what a model answered; none of a task without one.
    fn expected(&self, _outcome: &Value) -> Option<String> {
        None
    }

    /// Whether [`Ask::Score`] asks for ranks and entropies too.
    fn wants_details(&self) -> bool {
        false
    }

    /// The scores of single tokens that an outcome keeps; none unless the task's keys ask for them.
    ///
    /// # Errors
    /// When [`Task::outcome`] did not make the outcome.
    fn per_token(&self, _outcome: &Value) -> std::result::Result<Option<PerToken>, serde_json::Error> {
        Ok(None)
    }

    /// The first position in a sample, at or beyond one, from which on every stored outcome has sums of the metric that
    /// the main one is made of; none of a task whose figures are of whole samples.
    fn border(&self, _position: usize) -> Option<usize> {
        None
    }

    /// What a stored outcome contributes to that metric over the positions from a [`Task::border`] on; none of a sample
    /// that ends before it.
    ///
    /// # Errors
    /// When the outcome is not one that [`Task::outcome`] made, or has no sums from there on.
    fn measure_from(
        &self,
        _outcome: &Value,
        _from: usize,
    ) -> std::result::Result<Option<Measure>, serde_json::Error> {
        Ok(None)
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
    fill_in::ENTRY,
    project_completion::ENTRY,
];

/// The kind made from a type whose fields are the keys.
const fn kind_of<T: Task + Serialize + DeserializeOwned + 'static>(
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

/// Reads the keys of a task of a kind, and returns them with the defaults filled in.
///
/// # Errors
/// [`ErrorKind::Config`] for an unknown key, a value of the wrong type or one that makes no sense.
pub fn parse(kind: &TaskKind, keys: toml::Table) -> Result<(Arc<dyn Task>, toml::Table)> {
    let (task, keys) = (kind.read)(keys.clone()).map_err(|e| {
        let message = e.message().trim().replace('\n', " ");
        let error = Error::new(ErrorKind::Config, format!("task kind `{}`: {message}", kind.name))
            .fix("add, fix or remove the key");
        match registry::wrong_key(&keys, kind.read, &e) {
            Some(key) => error.at_key(key),
            None => error,
        }
    })?;
    task.check()?;
    Ok((task, keys))
}

/// The kind with this name.
///
/// # Errors
/// [`ErrorKind::Config`], listing the kinds.
pub fn find_kind(name: &str) -> Result<&'static TaskKind> {
    registry::find(TASKS, name, "task", ErrorKind::Config).map_err(|e| e.at_key("kind"))
}
