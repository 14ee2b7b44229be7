//! The LLaMA network: one file, in the order of the computation. Fields are named as in Hugging Face.

use burn::backend::Dispatch;
use burn::module::{Module, Param};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor};

use super::cache::{Cache, LayerCache};
use super::kernels::{TrainingKernels, is_cpu, on_cpu};
use super::matrix::{Matrix, Rows};
use super::weights::{Hold, Weights};
use super::{LlamaConfig, MAX_ELEMENTS, Precision, RotaryTables};
use crate::error::Result;

/// Most rows that go through a feed-forward layer together on the CPU: enough to pay for packing its weights.
const CPU_ROWS: usize = 2048;

/// A decoder-only transformer (Touvron et al. 2023).
#[derive(Module, Debug)]
pub struct Llama {
    /// `[vocab, hidden]`
    embed_tokens: Matrix,
    layers: Vec<Layer>,
    norm: RmsNorm,
    /// `[vocab, hidden]`; none where the head is the embedding.
    lm_head: Option<Matrix>,
    #[module(skip)]
    precision: Precision,
}

/// The rows of one sequence in a forward pass.
#[derive(Debug)]
pub struct Part<'a> {
    /// How they turn; one row a token.
    pub rotary: &'a RotaryTables,
    /// Where the sequence's earlier tokens are, and these are put; none where the rows are a whole
    /// sequence.
    pub cache: Option<&'a mut Cache>,
}

impl<'a> Part<'a> {
    /// A whole sequence.
    pub fn whole(rotary: &'a RotaryTables) -> Part<'a> {
        Part { rotary, cache: None }
    }

    fn layer_cache(&mut self, layer: usize) -> Option<&mut LayerCache> {
        self.cache.as_mut().map(|cache| cache.layer(layer))
    }
}

/// Attention of a layer: its number, and query, key and value of every row, to the rows of mixed values.
pub(super) type Attend<'a> = &'a mut dyn FnMut(usize, [Tensor<2>; 3]) -> Tensor<2>;

/// [`Attend`] of one layer.
type AttendRows<'a> = &'a mut dyn FnMut([Tensor<2>; 3]) -> Tensor<2>;

#[derive(Module, Debug)]
struct Layer {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: FeedForward,
}

#[derive(Module, Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
}

#[derive(Module, Debug)]
struct FeedForward {
    gate_proj: Linear,
    up_proj: Linear,
    down_proj: Linear,
}

/// `y = x W^T + b`, `W` as Hugging Face keeps it: `[out, in]`.
#[derive(Module, Debug)]
struct Linear {
    weight: Matrix,
    bias: Option<Param<Tensor<1>>>,
}

#[derive(Module, Debug)]
struct RmsNorm {
    weight: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl Llama {
    /// Takes the network's tensors from a checkpoint's weights.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the tensor that is missing or has another shape.
    pub fn load(config: &LlamaConfig, weights: &mut Weights, device: &Device) -> Result<Llama> {
        let embedding = [config.vocab_size, config.hidden_size];
        Ok(Llama {
            embed_tokens: weights.take_matrix("model.embed_tokens.weight", embedding, device)?,
            layers: (0..config.num_hidden_layers)
                .map(|n| Layer::load(&format!("model.layers.{n}"), config, weights, device))
                .collect::<Result<_>>()?,
            norm: RmsNorm::load("model.norm", config, weights, device)?,
            lm_head: match config.tie_word_embeddings {
                true => None,
                false => Some(weights.take_matrix("lm_head.weight", embedding, device)?),
            },
            precision: match weights.hold() {
                Hold::Stored(precision) => precision,
                Hold::Half => Precision::F16,
                Hold::Tensors | Hold::Headers => Precision::F32,
            },
        })
    }

    /// Final hidden states, normed, `[rows, hidden]`, of token ids `[rows]`: the rows of every part, one
    /// part after the other; each part attends to itself alone.
    pub fn forward(&self, ids: Tensor<1, Int>, parts: &mut [Part]) -> Tensor<2> {
        let precision = self.precision;
        self.forward_with(ids, &mut |layer, rows| attend_parts(parts, layer, rows, precision))
    }

    /// [`Llama::forward`] of any rows, with attention by `attend`.
    pub(super) fn forward_with(&self, ids: Tensor<1, Int>, attend: Attend) -> Tensor<2> {
        let mut x = self.embed_tokens.rows(ids);
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &mut |rows| attend(number, rows));
        }
        self.norm.forward(x)
    }

    /// An empty cache for a sequence.
    pub fn new_cache(&self) -> Cache {
        Cache::new(self.layers.len())
    }

    /// Logits `[tokens, vocab]` of hidden states `[tokens, hidden]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.head().multiply(&Rows::new(hidden))
    }

    /// The output head, `[vocab, hidden]`.
    pub(super) fn head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.embed_tokens)
    }

    /// Rows of the embedding and of the logits.
    pub fn vocab_size(&self) -> usize {
        self.embed_tokens.dims()[0]
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.norm.weight.val().device()
    }
}

impl Layer {
    fn load(path: &str, config: &LlamaConfig, weights: &mut Weights, device: &Device) -> Result<Layer> {
        let norm = |name: &str, weights: &mut Weights| {
            RmsNorm::load(&format!("{path}.{name}"), config, weights, device)
        };
        Ok(Layer {
            input_layernorm: norm("input_layernorm", weights)?,
            self_attn: Attention::load(&format!("{path}.self_attn"), config, weights, device)?,
            post_attention_layernorm: norm("post_attention_layernorm", weights)?,
            mlp: FeedForward::load(&format!("{path}.mlp"), config, weights, device)?,
        })
    }

    fn forward(&self, x: Tensor<2>, attend: AttendRows) -> Tensor<2> {
        let x = x.clone() + self.self_attn.forward(self.input_layernorm.forward(x), attend);
        let add_mlp = |x: Tensor<2>| x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x));
        let mut blocks = x.clone().split(self.mlp.rows_of_block(&x.device()), 0);
        match blocks.len() {
            1 => add_mlp(x),
            _ => {
                drop(x);
                blocks = blocks.into_iter().map(add_mlp).collect();
                Tensor::cat(blocks, 0)
            }
        }
    }
}

impl Attention {
    fn load(path: &str, config: &LlamaConfig, weights: &mut Weights, device: &Device) -> Result<Attention> {
        let hidden = config.hidden_size;
        let (heads, kv_heads, head_dim) =
            (config.num_attention_heads, config.num_key_value_heads, config.head_dim);
        let mut linear =
            |name: &str, shape, bias| Linear::load(&format!("{path}.{name}"), shape, bias, weights, device);
        Ok(Attention {
            q_proj: linear("q_proj", [heads * head_dim, hidden], config.qkv_bias)?,
            k_proj: linear("k_proj", [kv_heads * head_dim, hidden], config.qkv_bias)?,
            v_proj: linear("v_proj", [kv_heads * head_dim, hidden], config.qkv_bias)?,
            o_proj: linear("o_proj", [hidden, heads * head_dim], config.output_bias)?,
        })
    }

    /// `x` and the result are `[rows, hidden]`.
    fn forward(&self, x: Tensor<2>, attend: AttendRows) -> Tensor<2> {
        let projected = |x: Rows| [&self.q_proj, &self.k_proj, &self.v_proj].map(|part| part.forward(&x));
        // What the projections share is let go before attention needs room.
        let rows = projected(Rows::new(x));
        self.o_proj.forward(&Rows::new(attend(rows)))
    }
}

/// Attention of each part over itself and what its cache holds.
fn attend_parts(parts: &mut [Part], layer: usize, rows: [Tensor<2>; 3], precision: Precision) -> Tensor<2> {
    let attend =
        |part: &mut Part, rows| part.rotary.rotated(layer, rows, part.layer_cache(layer)).compute(precision);
    if let [part] = parts {
        return attend(part, rows);
    }
    let mut start = 0;
    let attend_own = |part: &mut Part| {
        let own = start..start + part.rotary.rows();
        start = own.end;
        let rows = rows.each_ref().map(|x| x.clone().slice_dim(0, own.clone()));
        attend(part, rows)
    };
    Tensor::cat(parts.iter_mut().map(attend_own).collect(), 0)
}

impl FeedForward {
    fn load(path: &str, config: &LlamaConfig, weights: &mut Weights, device: &Device) -> Result<FeedForward> {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let mut linear =
            |name: &str, shape| Linear::load(&format!("{path}.{name}"), shape, false, weights, device);
        Ok(FeedForward {
            gate_proj: linear("gate_proj", [inner, hidden])?,
            up_proj: linear("up_proj", [inner, hidden])?,
            down_proj: linear("down_proj", [hidden, inner])?,
        })
    }

    /// `x` and the result are `[rows, hidden]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = Rows::new(x);
        let inner = silu_product(self.gate_proj.forward(&x), self.up_proj.forward(&x));
        self.down_proj.forward(&Rows::new(inner))
    }

    /// Rows that go through it together: the inner width is the widest tensor of a layer.
    fn rows_of_block(&self, device: &Device) -> usize {
        let most = if on_cpu(device) { CPU_ROWS } else { usize::MAX };
        (MAX_ELEMENTS / self.gate_proj.weight.dims()[0]).clamp(1, most)
    }
}

fn silu_product(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    match is_cpu(&gate.device()) {
        true => Tensor::from_dispatch(Dispatch::silu_product(gate.into_dispatch(), up.into_dispatch())),
        false => silu(gate) * up,
    }
}

/// `x` in blocks of rows, so that a tensor of `width` columns a row stays within [`MAX_ELEMENTS`].
pub(super) fn row_blocks(x: Tensor<2>, width: usize) -> Vec<Tensor<2>> {
    x.split((MAX_ELEMENTS / width).max(1), 0)
}

impl Linear {
    fn load(
        path: &str,
        shape: [usize; 2],
        bias: bool,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Linear> {
        Ok(Linear {
            weight: weights.take_matrix(&format!("{path}.weight"), shape, device)?,
            bias: match bias {
                true => Some(weights.take_vector(&format!("{path}.bias"), shape[0], device)?),
                false => None,
            },
        })
    }

    fn forward(&self, x: &Rows) -> Tensor<2> {
        let y = self.weight.multiply(x);
        match &self.bias {
            Some(bias) => y + bias.val().unsqueeze(),
            None => y,
        }
    }
}

impl RmsNorm {
    fn load(path: &str, config: &LlamaConfig, weights: &mut Weights, device: &Device) -> Result<RmsNorm> {
        let weight = weights.take_vector(&format!("{path}.weight"), config.hidden_size, device)?;
        Ok(RmsNorm { weight, epsilon: config.rms_norm_eps })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        if is_cpu(&x.device()) {
            let (x, weight) = (x.into_dispatch(), self.weight.val().into_dispatch());
            return Tensor::from_dispatch(Dispatch::rms_norm(x, weight, self.epsilon));
        }
        let variance = x.clone().square().mean_dim(1);
        x * variance.add_scalar(self.epsilon).sqrt().recip() * self.weight.val().unsqueeze()
    }
}
