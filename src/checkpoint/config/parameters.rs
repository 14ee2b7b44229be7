//! How large a network is: its matrices, and which of them work for a token.

use std::fmt;

use super::{ExpertsConfig, FeedForwardKind, NetworkConfig, field_error};
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

impl fmt::Display for Parameters {
    /// In words, as `30.5B parameters, 3.4B active`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters", short(self.total))?;
        if self.active < self.total { write!(f, ", {} active", short(self.active)) } else { Ok(()) }
    }
}

/// A count to a tenth of its thousands, millions or billions.
fn short(count: u128) -> String {
    let units = [(1e9, "B"), (1e6, "M"), (1e3, "K")];
    match units.into_iter().find(|(size, _)| count as f64 >= *size) {
        Some((size, unit)) => format!("{:.1}{unit}", count as f64 / size),
        None => count.to_string(),
    }
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
        let hidden = config.hidden_size;
        let dense =
            |count| vec![Matrices::dense("intermediate_size", [config.intermediate_size, hidden], count)];
        match self {
            FeedForwardKind::Gated => dense(3),
            FeedForwardKind::Plain => dense(2),
            FeedForwardKind::Experts(experts) => experts.matrices(hidden),
        }
    }
}

impl ExpertsConfig {
    fn matrices(&self, hidden: usize) -> Vec<Matrices> {
        let maps = |experts: usize| 3 * experts;
        let experts = Matrices {
            count: maps(self.count),
            active: maps(self.router.chosen),
            ..Matrices::dense("num_experts", [self.intermediate_size, hidden], 0)
        };
        let router = Matrices::dense("num_experts", [self.count, hidden], 1);
        let shared = self.shared.into_iter().flat_map(|shared| {
            let gate = Matrices::dense("num_experts", [1, hidden], usize::from(shared.gated));
            let part = Matrices::dense("num_experts", [shared.intermediate_size, hidden], maps(1));
            [gate, part]
        });
        [router, experts].into_iter().chain(shared).collect()
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

    /// Those of attention, in all layers.
    fn attention_matrices(&self) -> Vec<Matrices> {
        let (layers, hidden, heads) = (self.num_hidden_layers, self.hidden_size, self.num_attention_heads);
        let head_dim = self.attention.head_dim;
        let Some(latent) = self.latent else {
            let maps = 2 * (heads + self.num_key_value_heads) * layers;
            return vec![Matrices::dense("num_attention_heads", [head_dim, hidden], maps)];
        };
        let of_heads =
            |width, narrow| Matrices::dense("num_attention_heads", [width, narrow], heads * layers);
        let narrow = |key, width| Matrices::dense(key, [width, hidden], layers);
        let standing = head_dim - self.rope.head_dim;
        let mut all = vec![
            of_heads(head_dim, latent.queries.unwrap_or(hidden)),
            narrow("kv_lora_rank", latent.keys_values + self.rope.head_dim),
            of_heads(standing + latent.value_dim, latent.keys_values),
            of_heads(latent.value_dim, hidden),
        ];
        all.extend(latent.queries.map(|width| narrow("q_lora_rank", width)));
        all
    }

    /// Those of all layers.
    fn layer_matrices(&self) -> Vec<Matrices> {
        let mut all = self.attention_matrices();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Qwen3-Coder-30B-A3B's config; its model card says 30.5B in total and 3.3B activated. Mixtral-8x7B: 46.7B and 12.9B.
    #[test]
    fn parameters_are_those_of_the_model_cards() {
        let parameters = |config| NetworkConfig::from_json(config).unwrap().parameters();
        let qwen = parameters(json!({
            "model_type": "qwen3_moe", "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5472,
            "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
            "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "norm_topk_prob": true,
            "max_position_embeddings": 262144, "mlp_only_layers": [], "decoder_sparse_step": 1,
        }));
        assert_eq!(qwen.to_string(), "30.5B parameters, 3.4B active");
        assert!((qwen.active as f64 / 3.3e9 - 1.0).abs() < 0.02, "{}", qwen.active);
        let mixtral = parameters(json!({
            "model_type": "mixtral", "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 8,
            "num_experts_per_tok": 2, "max_position_embeddings": 32768,
        }));
        assert_eq!(mixtral.to_string(), "46.7B parameters, 12.9B active");
        // DeepSeek-Coder-V2-Lite: 15.7B in its paper, whose 2.4B activated leave the embeddings out.
        let lite = parameters(json!({
            "model_type": "deepseek_v2", "vocab_size": 102400, "hidden_size": 2048, "intermediate_size": 10944,
            "num_hidden_layers": 27, "num_attention_heads": 16, "num_key_value_heads": 16, "q_lora_rank": null,
            "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
            "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6, "moe_intermediate_size": 1408,
            "first_k_dense_replace": 1, "topk_method": "greedy", "max_position_embeddings": 163840,
        }));
        assert_eq!(lite.to_string(), "15.7B parameters, 2.7B active");
        let dense = Parameters { total: 1234, active: 1234 };
        assert_eq!(dense.to_string(), "1.2K parameters");
        assert_eq!(Parameters { total: 999, active: 999 }.to_string(), "999 parameters");
    }
}
