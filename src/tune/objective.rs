//! What a search optimises.

use longcode_stats::{Pair, Scale};
use serde_json::Value;

use crate::config::{TaskEntry, TuneKeys};
use crate::draw::number::SMALLEST;
use crate::error::{Error, ErrorKind, Result};
use crate::task::{Better, Group};

/// Another name for the loss at positions from the task's `from` on, minus the baseline's and negated.
const CONTEXT_ADVANTAGE: &str = "context_advantage";

/// A figure over documents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Objective {
    /// The metric.
    metric: &'static str,
    scale: Scale,
    /// Whether it counts only positions from the task's `from` on.
    beyond: bool,
    better: Better,
    /// Whether it is in nats a token.
    nats: bool,
}

impl Objective {
    #[cfg(test)]
    pub(super) const OF_LOSSES: Objective =
        Objective { metric: "loss", scale: Scale::Plain, beyond: false, better: Better::Lower, nats: true };

    /// The objective that `[tune]` names, or the task's main figure.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is not one of the task's, or a context advantage without a baseline.
    pub(super) fn of(keys: &TuneKeys, task: &TaskEntry) -> Result<Objective> {
        let metrics = task.task.metrics();
        let means = || metrics.iter().filter(|metric| !metric.part && !metric.exponential);
        let refuse = |what: String, fix: String| {
            Err(Error::new(ErrorKind::Config, what).at_key("objective").at("[tune]").fix(fix))
        };
        let name = keys.objective.as_deref().unwrap_or(metrics[0].of);
        // The context advantage is a difference of the metric that is decomposed by distance.
        let decomposed = metrics.iter().find(|metric| metric.parts.is_some());
        let far = decomposed.filter(|_| name == CONTEXT_ADVANTAGE);
        if far.is_some() && keys.baseline.is_none() {
            return refuse(
                "a context advantage is over a baseline, and there is none".into(),
                "add baseline = \"rope:context=N\", N the model's trained length".into(),
            );
        }
        match far.or_else(|| means().find(|known| known.name == name)) {
            Some(found) => Ok(Objective {
                metric: found.name,
                scale: found.scale(),
                beyond: far.is_some(),
                better: found.better,
                nats: found.parts.is_some(),
            }),
            None => {
                let mut known: Vec<_> = means().map(|metric| metric.name).collect();
                known.extend(decomposed.map(|_| CONTEXT_ADVANTAGE));
                refuse(
                    format!("task kind `{}` has no objective `{name}`", task.kind),
                    format!("use one of: {}", known.join(", ")),
                )
            }
        }
    }

    /// A sample's part in it; nothing for a document that ends before `from`, and the worst possible for one
    /// that failed (no outcome): a row must not win by failing where it would do badly.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] if the outcome is not one of the task.
    pub(super) fn pair(&self, task: &TaskEntry, outcome: Option<&Value>) -> Result<Pair> {
        let Some(outcome) = outcome else { return Ok((self.worse(f64::INFINITY), 1.0)) };
        let measures = task.task.measures(outcome).map_err(|e| {
            Error::new(ErrorKind::Results, format!("not an outcome of its task: {e}"))
                .fix("start over with --fresh")
        })?;
        let found = measures.iter().find(|measure| {
            let counts =
                if self.beyond { measure.group.from().is_some() } else { measure.group == Group::All };
            counts && measure.metric == self.metric
        });
        Ok(found.map_or((0.0, 0.0), |measure| (measure.numerator, measure.denominator)))
    }

    /// A figure, or a difference of two, with its sign chosen so that less is better.
    pub(super) fn worse(&self, figure: f64) -> f64 {
        match self.better {
            Better::Lower => figure,
            Better::Higher => -figure,
        }
    }

    /// Whether a difference of its figures is too small to be worth naming: one of losses, in nats.
    pub(super) fn hardly_differs(&self, difference: f64) -> bool {
        self.nats && difference.abs() < SMALLEST
    }

    /// How its figure is made from a ratio of sums.
    pub(super) fn scale(&self) -> Scale {
        self.scale
    }

    /// Whether it counts only positions from the task's `from` on.
    pub(super) fn beyond(&self) -> bool {
        self.beyond
    }

    /// The objective in words.
    pub(super) fn words(&self, task: &TaskEntry) -> String {
        let name = self.short();
        match (self.beyond, task.keys.get("from")) {
            (true, Some(from)) => format!("{name} at positions from {from} on"),
            (true, None) => format!("{name} at positions beyond the training length"),
            (false, _) => name,
        }
    }

    /// The metric's name.
    pub(super) fn short(&self) -> String {
        self.metric.replace('_', " ")
    }
}
