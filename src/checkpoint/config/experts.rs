//! Mixtures of experts: how many there are, which of them a row goes through, and in which layers.

use std::sync::Arc;

use super::raw::within_limits;
use super::{FeedForwardKind, NetworkConfig, RawConfig, field_error, unsupported};
use crate::error::Result;
use crate::limits;

/// A mixture of experts in the place of a feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExpertsConfig {
    /// How many there are.
    pub count: usize,
    /// Inner width of each.
    pub intermediate_size: usize,
    /// How they are chosen.
    pub router: RouterConfig,
    /// An expert that every row goes through.
    pub shared: Option<SharedExpertConfig>,
}

/// How a row's experts are chosen, and by how much each counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RouterConfig {
    /// By what they are chosen.
    pub scores: RouterScores,
    /// How many.
    pub chosen: usize,
    /// Whether the scores of the chosen ones are divided by their sum.
    pub normalised: bool,
    /// Factor on what they count by.
    pub scale: f64,
    /// Whether the checkpoint has numbers that are added to the scores where they choose, but not where they
    /// count (Wang et al. 2024).
    pub corrected: bool,
    /// Groups of experts, of which some are chosen first.
    pub groups: Option<ExpertGroups>,
}

/// Consecutive experts of the same number, chosen from together (DeepSeek-AI 2024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpertGroups {
    /// How many there are; divides the experts.
    pub count: usize,
    /// How many of them are chosen.
    pub chosen: usize,
    /// By how many of its largest scores, added up, a group is chosen.
    pub by: usize,
}

impl RouterConfig {
    /// Chooses so many, by the softmax over all experts.
    pub(in crate::checkpoint) fn softmax(chosen: usize, normalised: bool) -> RouterConfig {
        RouterConfig {
            scores: RouterScores::Softmax,
            chosen,
            normalised,
            scale: 1.0,
            corrected: false,
            groups: None,
        }
    }
}

/// What an expert is chosen by, and counts by, of a router's logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouterScores {
    /// The softmax over all experts.
    Softmax,
    /// Chosen by its logit, it counts by the softmax over the chosen ones.
    SoftmaxOfChosen,
    /// A sigmoid of each logit.
    Sigmoid,
}

/// An expert that every row goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedExpertConfig {
    /// Its inner width.
    pub intermediate_size: usize,
    /// Whether each row has a factor on its result, from a gate of its own.
    pub gated: bool,
}

impl NetworkConfig {
    /// Puts experts into the layers that are picked by number.
    pub(in crate::checkpoint) fn set_experts(
        &mut self,
        experts: ExpertsConfig,
        has_experts: impl Fn(usize) -> bool,
    ) {
        let experts = Arc::new(experts);
        let parts = self.feed_forward.iter_mut().enumerate().filter(|(number, _)| has_experts(*number));
        parts.for_each(|(_, part)| *part = FeedForwardKind::Experts(experts.clone()));
    }
}

impl RawConfig {
    /// How many experts there are, under either of two names. Which of them counts if they differ is up to the
    /// family's code in transformers, so that they may not.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn expert_count(&self, [name, other]: [&'static str; 2], default: usize) -> Result<usize> {
        let count = match (self.keys.given(name)?, self.keys.given(other)?) {
            (None, None) => self.of_shape(name, default)?,
            (Some(one), Some(two)) if one != two => {
                return Err(field_error(name, &format!("is {one}, and {other} is {two}")));
            }
            (one, two) => one.or(two).unwrap_or(default),
        };
        match count {
            0 => Err(field_error(name, "is 0")),
            count if count > limits::EXPERTS => {
                Err(field_error(name, &format!("is {count}, more than {}", limits::EXPERTS)))
            }
            count => Ok(count),
        }
    }

    /// How many experts work for a row, under the first of these names that is there.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn chosen_experts(
        &self,
        names: &[&'static str],
        count: usize,
        default: usize,
    ) -> Result<usize> {
        let name = names.iter().copied().find(|name| self.keys.has(name)).unwrap_or(names[0]);
        match self.of_shape(name, default)? {
            0 => Err(field_error(name, "is 0")),
            chosen if chosen > count => {
                Err(field_error(name, &format!("is {chosen}, and there are {count} experts")))
            }
            chosen => Ok(chosen),
        }
    }

    /// `routed_scaling_factor`, the factor on what experts count by.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn routed_scale(&self, default: f64) -> Result<f64> {
        let key = "routed_scaling_factor";
        match self.keys.or(key, default)? {
            0.0 => Err(field_error(key, "is 0")),
            scale => Ok(scale),
        }
    }

    /// Layers after the others that draft further tokens (`num_nextn_predict_layers`): they are not read.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn drafting_layers(&self) -> Result<usize> {
        let keys = ["num_nextn_predict_layers", "num_mtp_layers"].map(|key| (key, self.keys.optional(key)));
        let [(first, of_first), (second, of_second)] = keys;
        let layers = self.first_of((first, of_first?), (second, of_second?)).unwrap_or(1);
        within_limits(first, layers).map(|layers: usize| layers.min(limits::LAYERS))
    }

    /// How many groups of experts there are, and how many are chosen; none if all are.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn expert_groups(
        &self,
        experts: usize,
        [count, chosen]: [usize; 2],
        by: usize,
    ) -> Result<Option<ExpertGroups>> {
        let count: usize = self.keys.or("n_group", count)?;
        let chosen: usize = self.keys.or("topk_group", chosen)?;
        if count == 0 || !experts.is_multiple_of(count) {
            return Err(field_error(
                "n_group",
                &format!("is {count}, which does not divide {experts} experts"),
            ));
        }
        if chosen == 0 || chosen > count {
            return Err(field_error("topk_group", &format!("is {chosen}, and there are {count} groups")));
        }
        if by > experts / count {
            return Err(field_error("n_group", &format!("leaves fewer than {by} experts in a group")));
        }
        Ok((chosen < count).then_some(ExpertGroups { count, chosen, by }))
    }

    /// The experts that every row goes through, as one that is as wide as all of them; none for 0.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn shared_experts(
        &self,
        key: &'static str,
        default: usize,
        width: usize,
    ) -> Result<Option<SharedExpertConfig>> {
        let count = self.of_shape(key, default)?;
        let intermediate_size = within_limits(key, count.saturating_mul(width))?;
        Ok((count > 0).then_some(SharedExpertConfig { intermediate_size, gated: false }))
    }

    /// Puts experts into the layers that `decoder_sparse_step` and `mlp_only_layers` leave to them.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn experts_by_step(&self, config: &mut NetworkConfig, experts: ExpertsConfig) -> Result<()> {
        let step: usize = self.keys.or("decoder_sparse_step", 1)?;
        if step == 0 {
            return Err(field_error("decoder_sparse_step", "is 0"));
        }
        let dense: Vec<usize> = self.keys.optional("mlp_only_layers")?.unwrap_or_default();
        config.set_experts(experts, |number| !dense.contains(&number) && (number + 1).is_multiple_of(step));
        Ok(())
    }

    /// Refuses keys that describe a router of another family.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the field.
    pub(crate) fn refuse_other_router(&self) -> Result<()> {
        const OTHERS: [&str; 6] = [
            "n_group",
            "topk_group",
            "n_shared_experts",
            "n_routed_experts",
            "routed_scaling_factor",
            "topk_method",
        ];
        if let Some(key) = OTHERS.into_iter().find(|key| self.keys.says(key)) {
            let fix = "use a checkpoint of the family whose routers have it";
            return Err(unsupported(key, "in a model of this model_type", fix));
        }
        match self.keys.optional::<String>("scoring_func")? {
            Some(scores) if scores != "softmax" => {
                Err(unsupported("scoring_func", scores, "use a checkpoint whose routers have softmax"))
            }
            _ => Ok(()),
        }
    }
}
