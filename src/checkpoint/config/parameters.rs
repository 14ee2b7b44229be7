//! How large a network is: its matrices, and which of them work for a token.

use super::{FeedForwardKind, NetworkConfig, field_error};
use crate::error::Result;
use crate::limits;

/// How many numbers the matrices of a network have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// All of them.
    pub total: u128,
    /// Those that work for a token.
    pub active: u128,
}

/// Matrices of one shape. With numbers within the limits no product of these overflows.
struct Matrices {
    /// The key that gives their size.
    key: &'static str,
    rows: usize,
    columns: usize,
    /// How many there are.
    count: usize,
    /// How many of them a token is multiplied with.
    active: usize,
}

impl Matrices {
    /// Matrices that are all multiplied with every token.
    fn dense(key: &'static str, [rows, columns]: [usize; 2], count: usize) -> Matrices {
        Matrices { key, rows, columns, count, active: count }
    }

    fn is_like(&self, other: &Matrices) -> bool {
        (self.key, self.rows, self.columns) == (other.key, other.rows, other.columns)
    }

    fn parameters(&self) -> Parameters {
        let numbers = |count: usize| self.rows as u128 * self.columns as u128 * count as u128;
        Parameters { total: numbers(self.count), active: numbers(self.active) }
    }
}

impl FeedForwardKind {
    /// Its matrices, between rows of `hidden` numbers.
    fn matrices(&self, config: &NetworkConfig) -> Vec<Matrices> {
        let count = match self {
            FeedForwardKind::Gated => 3,
            FeedForwardKind::Plain => 2,
        };
        vec![Matrices::dense("intermediate_size", [config.intermediate_size, config.hidden_size], count)]
    }
}

impl NetworkConfig {
    /// How many numbers all weights have, without the norms and biases.
    pub fn parameters(&self) -> Parameters {
        let embeddings = self.embeddings();
        let parameters = |matrices: &Matrices| matrices.parameters();
        sum(self.layer_matrices().iter().chain([&embeddings]).map(parameters))
    }

    /// Products of all layers' linear maps for a token.
    pub(crate) fn layer_products(&self) -> f64 {
        sum(self.layer_matrices().iter().map(Matrices::parameters)).active as f64
    }

    fn embeddings(&self) -> Matrices {
        let count = if self.tie_word_embeddings { 1 } else { 2 };
        Matrices::dense("vocab_size", [self.vocab_size, self.hidden_size], count)
    }

    /// Those of all layers.
    fn layer_matrices(&self) -> Vec<Matrices> {
        let heads = 2 * (self.num_attention_heads + self.num_key_value_heads) * self.num_hidden_layers;
        let attention =
            Matrices::dense("num_attention_heads", [self.attention.head_dim, self.hidden_size], heads);
        let mut all = vec![attention];
        for matrices in self.feed_forward.iter().flat_map(|part| part.matrices(self)) {
            match all.iter_mut().find(|other| other.is_like(&matrices)) {
                Some(other) => {
                    other.count += matrices.count;
                    other.active += matrices.active;
                }
                None => all.push(matrices),
            }
        }
        all
    }

    /// Refuses weights larger than any model's, so that no later product of these numbers overflows.
    pub(super) fn check_size(&self) -> Result<()> {
        let total = self.parameters().total;
        if total <= limits::WEIGHTS {
            return Ok(());
        }
        let matrices = self.layer_matrices().into_iter().chain([self.embeddings()]);
        let largest = matrices.max_by_key(|matrices| matrices.parameters().total);
        let what =
            format!("and hidden_size, num_hidden_layers make {total} weights, more than {}", limits::WEIGHTS);
        Err(field_error(largest.map_or("hidden_size", |matrices| matrices.key), &what))
    }
}

fn sum(parameters: impl Iterator<Item = Parameters>) -> Parameters {
    parameters.fold(Parameters { total: 0, active: 0 }, |sum, other| Parameters {
        total: sum.total + other.total,
        active: sum.active + other.active,
    })
}
