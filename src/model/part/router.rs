//! The router of a layer with experts: which of them work for a row, and how much each counts.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::checkpoint::{ExpertGroups, RouterConfig, RouterScores};
use crate::error::Result;
use crate::kernels::{Assigned, Precision};
use crate::model::matrix::{Matrix, Rows};
use crate::model::weights::Weights;

/// A linear map to a number for each expert, whose largest numbers choose. It is computed in f32 in every
/// precision: a rounding that changes the choice changes the result by as much as an expert adds.
#[derive(Module, Debug)]
pub(super) struct Router {
    /// `[experts, hidden]`
    weight: Matrix,
    #[module(skip)]
    config: RouterConfig,
    /// Added to each expert's logit; empty if nothing is.
    #[module(skip)]
    bias: Arc<[f32]>,
    /// Added to each expert's score where it is chosen by it; empty if nothing is.
    #[module(skip)]
    correction: Arc<[f32]>,
}

/// Names of the corrections, in the part of a layer, and how many dimensions they have.
const CORRECTIONS: [(&str, usize); 2] =
    [("gate.e_score_correction_bias", 1), ("moe_statics.e_score_correction_bias", 2)];

impl Router {
    /// The router with that name in the part of a layer, and its bias if it has one.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the tensor that is missing or has another shape.
    pub(super) fn load(
        part: &str,
        name: &str,
        shape: [usize; 2],
        config: RouterConfig,
        bias: bool,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Router> {
        let weight = weights
            .take_matrix(&format!("{part}.{name}.weight"), shape, device)?
            .in_precision(Precision::F32);
        let bias = if bias {
            weights.take_numbers(&format!("{part}.{name}.bias"), &shape[..1])?
        } else {
            Vec::new()
        };
        let correction = if config.corrected {
            let names = CORRECTIONS.map(|(name, dims)| (format!("{part}.{name}"), dims));
            let (name, dims) = names.iter().find(|(name, _)| weights.has(name)).unwrap_or(&names[0]);
            let shape = [1, shape[0]];
            weights.take_numbers(name, &shape[2 - dims..])?
        } else {
            Vec::new()
        };
        Ok(Router { weight, config, bias: bias.into(), correction: correction.into() })
    }

    /// The experts of each row of `x [rows, hidden]`, and their weights.
    pub(super) fn assign(&self, x: Tensor<2>) -> Vec<Assigned> {
        let [experts, _] = self.weight.dims();
        let logits = self.weight.multiply(&Rows::new(x)).try_into_data();
        // A device that failed says so when the result is read.
        let mut logits: Vec<f32> = logits.ok().and_then(|data| data.try_into_vec().ok()).unwrap_or_default();
        if !self.bias.is_empty() {
            for row in logits.chunks_exact_mut(experts) {
                row.iter_mut().zip(self.bias.iter()).for_each(|(logit, bias)| *logit += bias);
            }
        }
        let chosen: Vec<Vec<(usize, f32)>> = logits
            .par_chunks_exact(experts)
            .with_min_len(64)
            .map(|logits| self.config.choose(logits, &self.correction))
            .collect();
        by_expert(&chosen, experts)
    }
}

impl RouterConfig {
    /// The chosen experts and their weights, by a row's logits; of equal ones those that come first.
    fn choose(&self, logits: &[f32], correction: &[f32]) -> Vec<(usize, f32)> {
        let scores = match self.scores {
            RouterScores::Softmax => softmax(logits),
            RouterScores::SoftmaxOfChosen => logits.to_vec(),
            RouterScores::Sigmoid => logits.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect(),
        };
        let mut by = scores.clone();
        by.iter_mut().zip(correction).for_each(|(score, correction)| *score += correction);
        if let Some(groups) = self.groups {
            leave_out_groups(&mut by, groups);
        }
        let chosen = largest(&by, self.chosen);
        let mut weights: Vec<f32> = chosen.iter().map(|(expert, _)| scores[*expert]).collect();
        if self.scores == RouterScores::SoftmaxOfChosen {
            weights = softmax(&weights);
        }
        if self.normalised {
            // Below this a sum of sigmoids is none.
            let sum = weights.iter().sum::<f32>().max(1e-20);
            weights.iter_mut().for_each(|weight| *weight /= sum);
        }
        let scale = self.scale as f32;
        chosen.iter().zip(weights).map(|((expert, _), weight)| (*expert, weight * scale)).collect()
    }
}

/// Sets the scores of all groups but the chosen ones to minus infinity.
fn leave_out_groups(scores: &mut [f32], groups: ExpertGroups) {
    let size = scores.len() / groups.count;
    let of_group = |scores: &[f32]| largest(scores, groups.by).iter().map(|(_, score)| score).sum();
    let sums: Vec<f32> = scores.chunks_exact(size).map(of_group).collect();
    let chosen = largest(&sums, groups.chosen);
    for (number, scores) in scores.chunks_exact_mut(size).enumerate() {
        if chosen.iter().all(|(group, _)| *group != number) {
            scores.fill(f32::NEG_INFINITY);
        }
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut scores: Vec<f32> = logits.iter().map(|logit| (logit - max).exp()).collect();
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
    scores
}

/// The `count` largest numbers with their places, the largest first; of equal ones those that come first.
fn largest(numbers: &[f32], count: usize) -> Vec<(usize, f32)> {
    let mut found: Vec<(usize, f32)> = Vec::with_capacity(count + 1);
    for (place, &number) in numbers.iter().enumerate() {
        let before = found.iter().take_while(|(_, other)| other.total_cmp(&number).is_ge()).count();
        if before < count {
            found.insert(before, (place, number));
            found.truncate(count);
        }
    }
    found
}

/// The rows of each expert that has some.
fn by_expert(chosen: &[Vec<(usize, f32)>], experts: usize) -> Vec<Assigned> {
    let none = |expert| Assigned { expert, rows: Vec::new(), weights: Vec::new() };
    let mut assigned: Vec<Assigned> = (0..experts).map(none).collect();
    for (row, chosen) in chosen.iter().enumerate() {
        for &(expert, weight) in chosen {
            assigned[expert].rows.push(row);
            assigned[expert].weights.push(weight);
        }
    }
    assigned.retain(|assigned| !assigned.rows.is_empty());
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(scores: RouterScores, normalised: bool, logits: &[f32]) -> Vec<(usize, f32)> {
        router(scores, normalised).choose(logits, &[])
    }

    fn router(scores: RouterScores, normalised: bool) -> RouterConfig {
        RouterConfig { scores, normalised, chosen: 2, scale: 1.0, corrected: false, groups: None }
    }

    fn is_near(ours: &[(usize, f32)], expected: &[(usize, f64)]) -> bool {
        ours.len() == expected.len()
            && ours.iter().zip(expected).all(|(a, b)| a.0 == b.0 && (f64::from(a.1) - b.1).abs() < 1e-6)
    }

    #[test]
    fn the_largest_are_chosen_and_of_equal_ones_the_first() {
        let logits = [1.0f32, 3.0, 2.0, 3.0, 3.0];
        let all: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        let score = 3f64.exp() / all;
        let plain = choose(RouterScores::Softmax, false, &logits);
        assert!(is_near(&plain, &[(1, score), (3, score)]), "{plain:?}");
        for ours in [
            choose(RouterScores::Softmax, true, &logits),
            choose(RouterScores::SoftmaxOfChosen, false, &logits),
        ] {
            assert!(is_near(&ours, &[(1, 0.5), (3, 0.5)]), "{ours:?}");
        }
        let ours = choose(RouterScores::SoftmaxOfChosen, false, &[0.0, -1.0, 1.0]);
        let first = 1.0 / (1.0 + (-1f64).exp());
        assert!(is_near(&ours, &[(2, first), (0, 1.0 - first)]), "{ours:?}");
    }

    /// A correction chooses, and does not count; of the groups, whose two largest scores are added up, two are
    /// chosen.
    #[test]
    fn corrections_and_groups_choose() {
        let logits = [0.0f32, 1.0, 2.0, -1.0, 0.5, 0.5];
        let sigmoid = |n: usize| 1.0 / (1.0 + (-f64::from(logits[n])).exp());
        let sigmoids = RouterConfig { scale: 2.5, ..router(RouterScores::Sigmoid, true) };
        let sum = sigmoid(2) + sigmoid(1);
        let ours = sigmoids.choose(&logits, &[]);
        assert!(is_near(&ours, &[(2, 2.5 * sigmoid(2) / sum), (1, 2.5 * sigmoid(1) / sum)]), "{ours:?}");
        let sum = sigmoid(3) + sigmoid(2);
        let ours = sigmoids.choose(&logits, &[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert!(is_near(&ours, &[(3, 2.5 * sigmoid(3) / sum), (2, 2.5 * sigmoid(2) / sum)]), "{ours:?}");
        // Sums of sigmoids: 1.23, 1.15, 1.24.
        let groups = |count, chosen, by| Some(ExpertGroups { count, chosen, by });
        let grouped = RouterConfig { groups: groups(3, 1, 2), ..router(RouterScores::Sigmoid, false) };
        let ours = grouped.choose(&logits, &[]);
        assert!(is_near(&ours, &[(4, sigmoid(4)), (5, sigmoid(5))]), "{ours:?}");
        let grouped = RouterConfig { groups: groups(3, 1, 1), ..grouped };
        let ours = grouped.choose(&logits, &[]);
        assert!(is_near(&ours, &[(2, sigmoid(2)), (3, sigmoid(3))]), "{ours:?}");
    }

    /// Weights that are not numbers reach the loss, which names them.
    #[test]
    fn logits_that_are_no_numbers_choose_all_the_same() {
        assert_eq!(choose(RouterScores::Softmax, true, &[f32::NAN, 1.0, 2.0]).len(), 2);
        assert_eq!(choose(RouterScores::SoftmaxOfChosen, true, &[f32::NAN; 3]).len(), 2);
    }

    #[test]
    fn rows_are_grouped_and_experts_without_rows_left_out() {
        let grouped = by_expert(&[vec![(3, 0.5), (0, 0.25)], vec![(3, 1.0)]], 4);
        let found: Vec<_> = grouped.iter().map(|one| (one.expert, &one.rows[..], &one.weights[..])).collect();
        assert_eq!(found, [(0, &[0][..], &[0.25][..]), (3, &[0, 1][..], &[0.5, 1.0][..])]);
    }
}
