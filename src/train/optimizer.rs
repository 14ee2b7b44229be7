//! AdamW over all weights of a model, with the state that a checkpoint must keep.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer as _};
use burn::tensor::{Gradients, Tensor};

use super::config::OptimizerKeys;
use crate::model::Network;

/// The moments of a weight tensor, flat.
pub type Moments = AdaptiveMomentumState<1>;

/// Gradients of all weights, flat, in the order of the model's fields.
#[derive(Default)]
pub struct Accumulated(Vec<Tensor<1>>);

/// AdamW without decay of vectors: norms and biases.
pub struct Optimizer {
    decaying: AdamW,
    plain: AdamW,
    /// In the order of the model's fields; none before the first step.
    moments: Vec<Moments>,
}

impl Accumulated {
    /// Adds the gradients of a backward pass.
    pub fn add(&mut self, model: &Network, gradients: Gradients) {
        let mut visitor = Collect { gradients, flat: Vec::new() };
        model.visit(&mut visitor);
        let earlier = std::mem::take(&mut self.0);
        self.0 = if earlier.is_empty() {
            visitor.flat
        } else {
            earlier.into_iter().zip(visitor.flat).map(|(sum, new)| sum + new).collect()
        };
    }

    /// The norm of all gradients together, `[1]`.
    pub fn norm(&self) -> Tensor<1> {
        let squares = self.0.iter().map(|gradient| gradient.clone().square().sum()).collect();
        Tensor::cat(squares, 0).sum().sqrt()
    }
}

struct Collect {
    gradients: Gradients,
    flat: Vec<Tensor<1>>,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weight = param.val();
        let count = weight.shape().num_elements();
        let gradient = weight.grad_remove(&mut self.gradients).expect("every weight has a part in the loss");
        self.flat.push(gradient.reshape([count]));
    }
}

impl Optimizer {
    /// An optimizer with moments of earlier steps, in the order of the model's fields, or none.
    pub fn new(keys: &OptimizerKeys, moments: Vec<Moments>) -> Optimizer {
        let adamw = |decay: f64| {
            AdamWConfig::new()
                .with_beta_1(keys.beta_1 as f32)
                .with_beta_2(keys.beta_2 as f32)
                .with_epsilon(keys.epsilon as f32)
                .with_weight_decay(decay as f32)
                .build()
        };
        Optimizer { decaying: adamw(keys.weight_decay), plain: adamw(0.0), moments }
    }

    /// Moments after the steps so far, in the order of the model's fields.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    /// One step along `gradients * factor`.
    pub fn step(
        &mut self,
        model: Network,
        gradients: Accumulated,
        learning_rate: f64,
        factor: f32,
    ) -> Network {
        let mut moments = std::mem::take(&mut self.moments).into_iter();
        let mut update = Update {
            optimizer: self,
            gradients: gradients.0.into_iter(),
            moments: &mut moments,
            after: Vec::new(),
            learning_rate,
            factor,
        };
        let model = model.map(&mut update);
        self.moments = update.after;
        model
    }
}

struct Update<'a> {
    optimizer: &'a Optimizer,
    gradients: std::vec::IntoIter<Tensor<1>>,
    moments: &'a mut dyn Iterator<Item = Moments>,
    after: Vec<Moments>,
    learning_rate: f64,
    factor: f32,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let gradient = self.gradients.next().expect("a gradient for each weight").mul_scalar(self.factor);
        let state = self.moments.next().map(AdamWState::new);
        let adamw = if D >= 2 { &self.optimizer.decaying } else { &self.optimizer.plain };
        param.map(|weight| {
            let (shape, count) = (weight.dims(), weight.shape().num_elements());
            let flat = weight.inner().reshape([count]);
            let (flat, state) = adamw.step(self.learning_rate, flat, gradient, state);
            self.after.push(state.expect("AdamW keeps moments").momentum);
            Tensor::from_inner(flat.reshape(shape)).require_grad()
        })
    }
}
