//! Tasks whose samples are prompts that a model continues, as in nearly every benchmark.

use std::fmt::Debug;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Ask, Generated, Measure, Metric, Sample, Selection, Task};
use crate::dataset::Dataset;
use longcode_base::error::Result;
use longcode_text::{Limits, TextSide};

/// A task whose samples are prompts. Implementing it makes a [`Task`]: outcomes are written and read here.
pub(super) trait Prompts: Debug + Send + Sync {
    /// The expected answer, as kept in [`Sample::held_to`].
    type Reference: Serialize + DeserializeOwned;
    /// What is stored for an answer.
    type Outcome: Serialize + DeserializeOwned;

    /// The figures, the main one first.
    const METRICS: &'static [Metric];

    /// As [`Task::check`].
    fn check_keys(&self) -> Result<()>;

    /// As [`Task::samples`].
    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection>;

    /// When the continuation of a prompt ends.
    fn limits(&self) -> Limits;

    /// The outcome of a continuation.
    fn judge(&self, sample: &Sample, reference: Self::Reference, generated: Generated) -> Self::Outcome;

    /// What an outcome contributes to which figure.
    fn score(&self, outcome: &Self::Outcome) -> Vec<Measure>;

    /// As [`Task::metrics`], if they depend on the keys.
    fn metrics_of_keys(&self) -> &'static [Metric] {
        Self::METRICS
    }

    /// The right answer, for people to read.
    fn expected(_outcome: &Self::Outcome) -> Option<String> {
        None
    }

    /// Refuses an outcome that [`Prompts::judge`] did not make, if its type alone does not.
    ///
    /// # Errors
    /// What is wrong with it.
    fn check_outcome(_outcome: &Self::Outcome) -> std::result::Result<(), &'static str> {
        Ok(())
    }
}

impl<T: Prompts> Task for T {
    fn check(&self) -> Result<()> {
        self.check_keys()
    }

    fn samples(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        self.prompts(dataset, model, seed)
    }

    fn ask(&self) -> Ask {
        Ask::Generate(self.limits())
    }

    fn outcome(&self, sample: &Sample, answer: Answer, _trained_length: usize) -> Value {
        let outcome = self.judge(sample, sample.reference(), answer.generated());
        serde_json::to_value(outcome).expect("plain data")
    }

    fn metrics(&self) -> &'static [Metric] {
        self.metrics_of_keys()
    }

    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error> {
        let outcome = T::Outcome::deserialize(outcome)?;
        T::check_outcome(&outcome).map_err(serde_json::Error::custom)?;
        Ok(self.score(&outcome))
    }

    fn expected(&self, outcome: &Value) -> Option<String> {
        let outcome = T::Outcome::deserialize(outcome).ok()?;
        T::check_outcome(&outcome).ok()?;
        T::expected(&outcome)
    }
}
