//! The network, in the order of the computation. Fields are named as in Hugging Face.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use rayon::prelude::*;

use super::cache::{Cache, LayerCache};
use super::matrix::{Matrix, Rows};
use super::part::{FeedForward, Latent, Linear, Norm};
use super::weights::{TensorRows, WeightStorage, Weights};
use super::{MAX_ELEMENTS, RotaryTables};
use crate::checkpoint::{AttentionConfig, EMBEDDING, HEAD, LayerNorms, NetworkConfig, QkNorm};
use crate::error::Result;
use crate::kernels::{InferenceKernels, Precision, Softmax, is_cpu, is_cpu_without_gradients};

/// A decoder-only transformer (Touvron et al. 2023), made of the parts that its config names.
#[derive(Module, Debug)]
pub struct Network {
    /// `[vocab, hidden]`
    embed_tokens: Matrix,
    layers: Vec<Layer>,
    norm: Norm,
    /// `[vocab, hidden]`; none if the head is the embedding.
    lm_head: Option<Matrix>,
    /// Factor on the embedding's rows.
    #[module(skip)]
    embedding: f64,
    /// Factor on the logits, applied to the final hidden states, which nothing else reads.
    #[module(skip)]
    logits: f64,
    /// A soft cap on the logits.
    #[module(skip)]
    pub(super) logit_cap: Option<f64>,
    #[module(skip)]
    precision: Precision,
}

/// The rows of one sequence in a forward pass.
#[derive(Debug)]
pub struct SequenceRows<'a> {
    /// How they turn; one row for each token.
    pub rotary: &'a RotaryTables,
    /// Where the sequence's earlier tokens are kept, and these are added; none if the rows are a whole
    /// sequence.
    pub cache: Option<&'a mut Cache>,
}

impl<'a> SequenceRows<'a> {
    /// A whole sequence.
    pub fn whole(rotary: &'a RotaryTables) -> SequenceRows<'a> {
        SequenceRows { rotary, cache: None }
    }

    fn layer_cache(&mut self, layer: usize) -> Option<&mut LayerCache> {
        self.cache.as_mut().map(|cache| cache.layer(layer))
    }
}

/// Attention of a layer: takes its number, query, key and value of every row, and its softmax; gives the rows of
/// mixed values.
pub(super) type Attend<'a> = &'a mut dyn FnMut(usize, [Tensor<2>; 3], &Softmax) -> Tensor<2>;

/// [`Attend`] for one layer.
pub(super) type AttendRows<'a> = &'a mut dyn FnMut([Tensor<2>; 3], &Softmax) -> Tensor<2>;

#[derive(Module, Debug)]
struct Layer {
    /// Norm of what attention reads; none with [`LayerNorms::After`].
    input_layernorm: Option<Norm>,
    self_attn: Attention,
    /// Norm of what attention gives, or with [`LayerNorms::Before`] of what the feed-forward part reads; none with
    /// [`LayerNorms::Beside`].
    post_attention_layernorm: Option<Norm>,
    /// Norm of what the feed-forward part reads, with [`LayerNorms::Around`].
    pre_feedforward_layernorm: Option<Norm>,
    mlp: FeedForward,
    /// Norm of what the feed-forward part gives.
    post_feedforward_layernorm: Option<Norm>,
    #[module(skip)]
    norms: LayerNorms,
    /// Factor on what each part adds to the rows.
    #[module(skip)]
    residual: f64,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one a layer")]
enum Attention {
    /// With maps of queries, keys and values.
    Plain(PlainAttention),
    /// With narrow rows between.
    Latent(Latent),
}

#[derive(Module, Debug)]
struct PlainAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
    #[module(skip)]
    softmax: Softmax,
}

impl Network {
    /// Takes the network's tensors from a checkpoint's weights.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the tensor that is missing or has another shape.
    pub fn load(config: &NetworkConfig, weights: &mut Weights, device: &Device) -> Result<Network> {
        let (tied, embedding) = (config.tie_word_embeddings, [config.vocab_size, config.hidden_size]);
        // Files of a tied model may have its only matrix under either name.
        let name = if tied && !weights.has(EMBEDDING) && weights.has(HEAD) { HEAD } else { EMBEDDING };
        Ok(Network {
            embed_tokens: weights.take_matrix(name, embedding, device)?,
            layers: (0..config.num_hidden_layers)
                .map(|n| Layer::load(n, config, weights, device))
                .collect::<Result<_>>()?,
            norm: layer_norm("model.norm", config, weights, device)?,
            lm_head: if tied { None } else { Some(weights.take_matrix(HEAD, embedding, device)?) },
            embedding: config.multipliers.embedding,
            logits: config.multipliers.logits,
            logit_cap: config.logit_cap,
            precision: match weights.hold() {
                WeightStorage::Stored(precision) | WeightStorage::OnGpu(precision) => precision,
                WeightStorage::Tensors | WeightStorage::Headers => Precision::F32,
            },
        })
    }

    /// Names and shapes of a network's tensors as in a Hugging Face directory.
    ///
    /// # Errors
    /// None for a config that was checked.
    pub fn tensors(config: &NetworkConfig) -> Result<Vec<(String, Vec<usize>)>> {
        Weights::listed(|weights| Network::load(config, weights, &Device::flex()))
    }

    /// Final hidden states of token ids `[rows]`, normed and with the logits' factor, `[rows, hidden]`: the
    /// rows of every part, one part after another; each part attends only to itself.
    pub fn forward(&self, ids: Tensor<1, Int>, parts: &mut [SequenceRows]) -> Tensor<2> {
        let precision = self.precision;
        self.forward_with(ids, &mut |layer, rows, softmax| {
            attend_parts(parts, layer, rows, softmax, precision)
        })
    }

    /// [`Network::forward`] for any rows, with attention by `attend`.
    pub(super) fn forward_with(&self, ids: Tensor<1, Int>, attend: Attend) -> Tensor<2> {
        let mut x = times(self.embed_tokens.rows(ids), self.embedding);
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &mut |rows, softmax| attend(number, rows, softmax));
        }
        times(self.norm.forward(x), self.logits)
    }

    /// An empty cache for a sequence.
    pub fn new_cache(&self) -> Cache {
        Cache::new(self.layers.len())
    }

    /// Logits `[tokens, vocab]` of hidden states `[tokens, hidden]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = self.head().multiply(&Rows::new(hidden));
        match self.logit_cap {
            None => logits,
            Some(cap) if is_cpu_without_gradients(&logits.device()) => {
                Tensor::from_dispatch(Dispatch::soft_cap(logits.into_dispatch(), cap))
            }
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
        }
    }

    /// The output head, `[vocab, hidden]`.
    pub(super) fn head(&self) -> &Matrix {
        self.lm_head.as_ref().unwrap_or(&self.embed_tokens)
    }

    /// Rows of the embedding and of the logits.
    pub fn vocab_size(&self) -> usize {
        self.embed_tokens.dims()[0]
    }

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.norm.device()
    }
}

impl Layer {
    /// The layer with this number.
    fn load(number: usize, config: &NetworkConfig, weights: &mut Weights, device: &Device) -> Result<Layer> {
        let path = format!("model.layers.{number}");
        let norms = config.layer_norms;
        let [input, attention, before, after] = norm_names(norms);
        let mut norm = |name: Option<&str>| {
            name.map(|name| layer_norm(&format!("{path}.{name}"), config, weights, device)).transpose()
        };
        Ok(Layer {
            input_layernorm: norm(input)?,
            post_attention_layernorm: norm(attention)?,
            pre_feedforward_layernorm: norm(before)?,
            post_feedforward_layernorm: norm(after)?,
            norms,
            self_attn: Attention::load(&format!("{path}.self_attn"), config, weights, device)?,
            mlp: FeedForward::load(&path, number, config, weights, device)?,
            residual: config.multipliers.residual,
        })
    }

    fn forward(&self, x: Tensor<2>, attend: AttendRows) -> Tensor<2> {
        let read = normed(&self.input_layernorm, x.clone());
        let mut attended = self.self_attn.forward(read, attend);
        if matches!(self.norms, LayerNorms::After | LayerNorms::Around(_)) {
            attended = normed(&self.post_attention_layernorm, attended);
        }
        let attended = times(attended, self.residual);
        if self.norms == LayerNorms::Beside {
            return self.add_mlp_in_blocks(x) + attended;
        }
        self.add_mlp_in_blocks(x + attended)
    }

    fn add_mlp_in_blocks(&self, x: Tensor<2>) -> Tensor<2> {
        let mut blocks = x.clone().split(self.mlp.rows_of_block(&x.device()), 0);
        match blocks.len() {
            1 => self.add_mlp(x),
            _ => {
                drop(x);
                blocks = blocks.into_iter().map(|x| self.add_mlp(x)).collect();
                Tensor::cat(blocks, 0)
            }
        }
    }

    fn add_mlp(&self, x: Tensor<2>) -> Tensor<2> {
        let read = match self.norms {
            LayerNorms::Before => &self.post_attention_layernorm,
            LayerNorms::After => &None,
            LayerNorms::Around(_) => &self.pre_feedforward_layernorm,
            LayerNorms::Beside => &self.input_layernorm,
        };
        let added = self.mlp.forward(normed(read, x.clone()));
        x + times(normed(&self.post_feedforward_layernorm, added), self.residual)
    }
}

/// What files call the norms of a layer, in the order of [`Layer`]'s fields.
fn norm_names(norms: LayerNorms) -> [Option<&'static str>; 4] {
    let (input, attention) = (Some("input_layernorm"), Some("post_attention_layernorm"));
    match norms {
        LayerNorms::Before => [input, attention, None, None],
        LayerNorms::After => [None, attention, None, Some("post_feedforward_layernorm")],
        LayerNorms::Around([attention, before, after]) => [input, Some(attention), Some(before), Some(after)],
        LayerNorms::Beside => [input, None, None, None],
    }
}

fn normed(norm: &Option<Norm>, x: Tensor<2>) -> Tensor<2> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

/// A norm of whole rows.
fn layer_norm(path: &str, config: &NetworkConfig, weights: &mut Weights, device: &Device) -> Result<Norm> {
    Norm::load(path, TensorRows::rows(config.hidden_size), config.norm, config.norm_epsilon, weights, device)
}

fn times(x: Tensor<2>, factor: f64) -> Tensor<2> {
    if factor == 1.0 { x } else { x.mul_scalar(factor) }
}

impl Attention {
    fn load(path: &str, config: &NetworkConfig, weights: &mut Weights, device: &Device) -> Result<Attention> {
        Ok(match &config.latent {
            None => Attention::Plain(PlainAttention::load(path, config, weights, device)?),
            Some(latent) => Attention::Latent(Latent::load(path, config, latent, weights, device)?),
        })
    }

    /// `x` and the result are `[rows, hidden]`.
    fn forward(&self, x: Tensor<2>, attend: AttendRows) -> Tensor<2> {
        match self {
            Attention::Plain(attention) => attention.forward(x, attend),
            Attention::Latent(latent) => latent.forward(x, attend),
        }
    }
}

impl PlainAttention {
    fn load(
        path: &str,
        config: &NetworkConfig,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<PlainAttention> {
        let hidden = config.hidden_size;
        let (queries, keys) = (config.query_width(), config.key_width());
        let AttentionConfig { head_dim, neighbours, cap, sinks, .. } = config.attention;
        let turned = |width| TensorRows::heads(width, head_dim, config.rope.head_dim, neighbours);
        let pieces = [turned(queries), turned(keys), TensorRows::rows(keys)];
        let names = ["q_proj", "k_proj", "v_proj"];
        let mut linears = |name: &str, pieces: &[TensorRows], inner, bias| {
            Linear::load_fused(&format!("{path}.{name}"), pieces, inner, bias, weights, device)
        };
        let mut projections = if config.fused.qkv {
            linears("qkv_proj", &pieces, hidden, config.biases.qkv)?
        } else {
            names
                .into_iter()
                .zip(pieces)
                .map(|(name, piece)| linears(name, &[piece], hidden, config.biases.qkv))
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect()
        };
        projections.extend(linears("o_proj", &[TensorRows::rows(hidden)], queries, config.biases.output)?);
        let [q_proj, k_proj, v_proj, o_proj] = projections.try_into().expect("one map a name");
        let mut norm = |name: &str, whole| match config.qk_norm {
            None => Ok(None),
            Some(kind) => {
                let width = turned(if kind == QkNorm::Head { head_dim } else { whole });
                let path = format!("{path}.{name}");
                Norm::load(&path, width, config.norm, config.norm_epsilon, weights, device).map(Some)
            }
        };
        let (q_norm, k_norm) = (norm("q_norm", queries)?, norm("k_norm", keys)?);
        let sinks = if sinks {
            Some(weights.take_numbers(&format!("{path}.sinks"), &[config.num_attention_heads])?)
        } else {
            None
        };
        let softmax = Softmax { cap: cap.map(|cap| cap as f32), sinks: sinks.map(Arc::from) };
        Ok(PlainAttention { q_proj, k_proj, v_proj, o_proj, q_norm, k_norm, softmax })
    }

    /// `x` and the result are `[rows, hidden]`.
    fn forward(&self, x: Tensor<2>, attend: AttendRows) -> Tensor<2> {
        let projected = |x: Rows| {
            let [query, key, value] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|part| part.forward(&x));
            [normed(&self.q_norm, query), normed(&self.k_norm, key), value]
        };
        // What the projections share is freed before attention needs room.
        let rows = projected(Rows::new(x));
        self.o_proj.forward(&Rows::new(attend(rows, &self.softmax)))
    }
}

/// Attention of each part to itself and to what its cache holds.
fn attend_parts(
    parts: &mut [SequenceRows],
    layer: usize,
    rows: [Tensor<2>; 3],
    softmax: &Softmax,
    precision: Precision,
) -> Tensor<2> {
    let attend = |part: &mut SequenceRows, rows| {
        part.rotary.rotated(layer, rows, softmax.clone(), part.layer_cache(layer)).compute(precision)
    };
    if let [part] = parts {
        return attend(part, rows);
    }
    let mut start = 0;
    let with_rows = parts.iter_mut().map(|part| {
        let own = start..start + part.rotary.rows();
        start = own.end;
        (part, rows.each_ref().map(|x| x.clone().slice_dim(0, own.clone())))
    });
    let with_rows: Vec<_> = with_rows.collect();
    // A few rows of each sequence are too little for a kernel to share among the cores; sequences are enough. A GPU's kernels
    // stay in the order of one thread.
    let mixed: Vec<_> = if is_cpu(&rows[0].device()) {
        with_rows.into_par_iter().map(|(part, rows)| attend(part, rows)).collect()
    } else {
        with_rows.into_iter().map(|(part, rows)| attend(part, rows)).collect()
    };
    Tensor::cat(mixed, 0)
}

/// Splits `x` into blocks of rows, so that a tensor of `width` columns a row stays within [`MAX_ELEMENTS`].
pub(super) fn row_blocks(x: Tensor<2>, width: usize) -> Vec<Tensor<2>> {
    x.split((MAX_ELEMENTS / width).max(1), 0)
}
