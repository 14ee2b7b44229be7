//! Latent attention's maps (DeepSeek-AI 2024): queries, keys and values from narrow rows.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::linear::Linear;
use super::norm::Norm;
use crate::checkpoint::{LatentConfig, NetworkConfig, NormKind};
use crate::error::Result;
use crate::kernels::Softmax;
use crate::model::matrix::Rows;
use crate::model::network::AttendRows;
use crate::model::weights::{TensorRows, Weights};

/// Keys and values are made of a narrow row that all heads share; queries may be. A part of each key, which
/// turns, is the same for all heads. Here each head has its own keys and values, as attention and its cache
/// know them, with values as wide as keys: beyond their own width they are 0.
#[derive(Module, Debug)]
pub(in crate::model) struct Latent {
    /// To the narrow row of queries, if there is one.
    q_a: Option<Narrowing>,
    q_b: Linear,
    kv_a: Linear,
    kv_a_norm: Norm,
    /// To the part of the keys that turns.
    k_rope: Linear,
    kv_b: Linear,
    o_proj: Linear,
    #[module(skip)]
    widths: Widths,
}

#[derive(Module, Debug)]
struct Narrowing {
    map: Linear,
    norm: Norm,
}

/// Dimensions of a head.
#[derive(Debug, Clone, Copy)]
struct Widths {
    /// Those of keys that turn.
    turning: usize,
    /// Those of keys that do not.
    standing: usize,
    /// Those of values.
    values: usize,
}

/// Added to the variance in norms of narrow rows: transformers' own, whatever the config says of the others.
const EPSILON: f64 = 1e-6;

impl Latent {
    /// The maps of the attention with that name.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the tensor that is missing or has another shape.
    pub(in crate::model) fn load(
        path: &str,
        config: &NetworkConfig,
        latent: &LatentConfig,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Latent> {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        let (head_dim, turning) = (config.attention.head_dim, config.rope.head_dim);
        let (standing, neighbours) = (head_dim - turning, config.attention.neighbours);
        let widths = Widths { turning, standing, values: latent.value_dim };
        let mut linear = |name: &str, pieces: &[TensorRows], inner, bias| {
            Linear::load_fused(&format!("{path}.{name}"), pieces, inner, bias, weights, device)
        };
        let bias = config.biases.qkv;
        let queries = TensorRows::heads_turning_last(heads * head_dim, head_dim, turning, neighbours);
        let turning_rows = TensorRows::heads(turning, turning, turning, neighbours);
        let (q_a, q_b) = match latent.queries {
            None => (None, linear("q_proj", &[queries], hidden, false)?),
            Some(narrow) => (
                Some(linear("q_a_proj", &[TensorRows::rows(narrow)], hidden, bias)?),
                linear("q_b_proj", &[queries], narrow, false)?,
            ),
        };
        let narrow = latent.keys_values;
        let pieces = [TensorRows::rows(narrow), turning_rows];
        let kv_a = linear("kv_a_proj_with_mqa", &pieces, hidden, bias)?;
        let both = TensorRows::rows(heads * (standing + latent.value_dim));
        let kv_b = linear("kv_b_proj", &[both], narrow, false)?;
        let output = [TensorRows::rows(hidden)];
        let o_proj = linear("o_proj", &output, heads * latent.value_dim, config.biases.output)?;
        let mut norm = |name: &str, width| {
            let (path, rows) = (format!("{path}.{name}"), TensorRows::rows(width));
            Norm::load(&path, rows, NormKind::RootMeanSquare, EPSILON, weights, device)
        };
        let q_a = match (q_a, latent.queries) {
            (Some(map), Some(narrow)) => {
                Some(Narrowing { map: only(map), norm: norm("q_a_layernorm", narrow)? })
            }
            _ => None,
        };
        let kv_a_norm = norm("kv_a_layernorm", narrow)?;
        let [kv_a, k_rope] = kv_a.try_into().expect("one map a piece");
        Ok(Latent {
            q_a,
            q_b: only(q_b),
            kv_a,
            kv_a_norm,
            k_rope,
            kv_b: only(kv_b),
            o_proj: only(o_proj),
            widths,
        })
    }

    /// `x` and the result are `[rows, hidden]`.
    pub(in crate::model) fn forward(&self, x: Tensor<2>, attend: AttendRows) -> Tensor<2> {
        let rows = self.project(&Rows::new(x));
        let mixed = attend(rows, &Softmax::default());
        self.o_proj.forward(&Rows::new(self.values_of(mixed)))
    }

    /// Queries, keys and values of rows `[rows, hidden]`, `[rows, heads * head_dim]` each.
    fn project(&self, x: &Rows) -> [Tensor<2>; 3] {
        let query = match &self.q_a {
            None => self.q_b.forward(x),
            Some(Narrowing { map, norm }) => self.q_b.forward(&Rows::new(norm.forward(map.forward(x)))),
        };
        let narrow = self.kv_a_norm.forward(self.kv_a.forward(x));
        let [key, value] = self.expanded(self.kv_b.forward(&Rows::new(narrow)), self.k_rope.forward(x));
        [query, key, value]
    }

    /// Keys and values of all heads, of what the narrow row says, `[rows, heads * (standing + values)]`, and the part
    /// that turns, `[rows, turning]`. In a key the dimensions that turn come first in each half.
    fn expanded(&self, both: Tensor<2>, turning: Tensor<2>) -> [Tensor<2>; 2] {
        let Widths { turning: rope, standing, values } = self.widths;
        let ([rows, width], device) = (both.dims(), both.device());
        let (heads, head_dim) = (width / (standing + values), rope + standing);
        let both = both.reshape([rows, heads, standing + values]);
        let part = |from: usize, to: usize| both.clone().slice_dim(2, from..to);
        let half = |number: usize| {
            let turning = turning.clone().slice_dim(1, number * rope / 2..(number + 1) * rope / 2);
            turning.reshape([rows, 1, rope / 2]).repeat_dim(1, heads)
        };
        let key = vec![half(0), part(0, standing / 2), half(1), part(standing / 2, standing)];
        let mut value = vec![part(standing, standing + values)];
        if values < head_dim {
            value.push(Tensor::zeros([rows, heads, head_dim - values], &device));
        }
        [key, value].map(|parts| Tensor::cat(parts, 2).reshape([rows, heads * head_dim]))
    }

    /// What attention gives, `[rows, heads * head_dim]`, without what values do not have: `[rows, heads * value_dim]`.
    fn values_of(&self, mixed: Tensor<2>) -> Tensor<2> {
        let Widths { turning, standing, values } = self.widths;
        let ([rows, width], head_dim) = (mixed.dims(), turning + standing);
        if values == head_dim {
            return mixed;
        }
        let heads = width / head_dim;
        mixed.reshape([rows, heads, head_dim]).slice_dim(2, 0..values).reshape([rows, heads * values])
    }
}

/// The only map under a name.
fn only(mut maps: Vec<Linear>) -> Linear {
    maps.remove(0)
}
