//! The network, in the order of the computation. Fields are named as in Hugging Face.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use super::cache::{Cache, LayerCache};
use super::matrix::{Matrix, Rows};
use super::part::{FeedForward, Linear, Norm};
use super::weights::{TensorRows, WeightStorage, Weights};
use super::{MAX_ELEMENTS, RotaryTables};
use crate::checkpoint::{EMBEDDING, HEAD, LayerNorms, NetworkConfig, QkNorm};
use crate::error::Result;
use crate::kernels::Precision;

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

/// Attention of a layer: takes its number, and query, key and value of every row; gives the rows of mixed
/// values.
pub(super) type Attend<'a> = &'a mut dyn FnMut(usize, [Tensor<2>; 3]) -> Tensor<2>;

/// [`Attend`] for one layer.
type AttendRows<'a> = &'a mut dyn FnMut([Tensor<2>; 3]) -> Tensor<2>;

#[derive(Module, Debug)]
struct Layer {
    /// Norm of what attention reads; none if the two others norm what the parts give ([`LayerNorms::After`]).
    input_layernorm: Option<Norm>,
    self_attn: Attention,
    /// Norm of what the feed-forward part reads, or of what attention gives.
    post_attention_layernorm: Norm,
    mlp: FeedForward,
    /// Norm of what the feed-forward part gives.
    post_feedforward_layernorm: Option<Norm>,
    /// Factor on what each part adds to the rows.
    #[module(skip)]
    residual: f64,
}

#[derive(Module, Debug)]
struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    q_norm: Option<Norm>,
    k_norm: Option<Norm>,
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
                .map(|n| Layer::load(&format!("model.layers.{n}"), config, weights, device))
                .collect::<Result<_>>()?,
            norm: layer_norm("model.norm", config, weights, device)?,
            lm_head: if tied { None } else { Some(weights.take_matrix(HEAD, embedding, device)?) },
            embedding: config.multipliers.embedding,
            logits: config.multipliers.logits,
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
        self.forward_with(ids, &mut |layer, rows| attend_parts(parts, layer, rows, precision))
    }

    /// [`Network::forward`] for any rows, with attention by `attend`.
    pub(super) fn forward_with(&self, ids: Tensor<1, Int>, attend: Attend) -> Tensor<2> {
        let mut x = times(self.embed_tokens.rows(ids), self.embedding);
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &mut |rows| attend(number, rows));
        }
        times(self.norm.forward(x), self.logits)
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

    /// The device of the weights.
    pub fn device(&self) -> Device {
        self.norm.device()
    }
}

impl Layer {
    fn load(path: &str, config: &NetworkConfig, weights: &mut Weights, device: &Device) -> Result<Layer> {
        let after = config.layer_norms == LayerNorms::After;
        let mut norm = |name: &str| layer_norm(&format!("{path}.{name}"), config, weights, device);
        Ok(Layer {
            input_layernorm: if after { None } else { Some(norm("input_layernorm")?) },
            post_attention_layernorm: norm("post_attention_layernorm")?,
            post_feedforward_layernorm: if after { Some(norm("post_feedforward_layernorm")?) } else { None },
            self_attn: Attention::load(&format!("{path}.self_attn"), config, weights, device)?,
            mlp: FeedForward::load(&format!("{path}.mlp"), config, weights, device)?,
            residual: config.multipliers.residual,
        })
    }

    fn forward(&self, x: Tensor<2>, attend: AttendRows) -> Tensor<2> {
        let attended = match &self.input_layernorm {
            Some(norm) => self.self_attn.forward(norm.forward(x.clone()), attend),
            None => self.post_attention_layernorm.forward(self.self_attn.forward(x.clone(), attend)),
        };
        let x = x + times(attended, self.residual);
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
        let added = match &self.post_feedforward_layernorm {
            None => self.mlp.forward(self.post_attention_layernorm.forward(x.clone())),
            Some(norm) => norm.forward(self.mlp.forward(x.clone())),
        };
        x + times(added, self.residual)
    }
}

/// A norm of whole rows.
fn layer_norm(path: &str, config: &NetworkConfig, weights: &mut Weights, device: &Device) -> Result<Norm> {
    Norm::load(path, config.hidden_size, config.norm, config.norm_epsilon, weights, device)
}

fn times(x: Tensor<2>, factor: f64) -> Tensor<2> {
    if factor == 1.0 { x } else { x.mul_scalar(factor) }
}

impl Attention {
    fn load(path: &str, config: &NetworkConfig, weights: &mut Weights, device: &Device) -> Result<Attention> {
        let hidden = config.hidden_size;
        let (queries, keys) = (config.query_width(), config.key_width());
        let turned = |width| TensorRows::heads(width, config.attention.head_dim, config.rope.head_dim);
        let pieces = [turned(queries), turned(keys), TensorRows::rows(keys)];
        let names = ["q_proj", "k_proj", "v_proj"];
        let mut linears = |name: &str, pieces: &[TensorRows], inner, bias| {
            Linear::load_fused(&format!("{path}.{name}"), pieces, inner, bias, weights, device)
        };
        let mut projections = if config.fused {
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
                let width = if kind == QkNorm::Head { config.attention.head_dim } else { whole };
                let path = format!("{path}.{name}");
                Norm::load(&path, width, config.norm, config.norm_epsilon, weights, device).map(Some)
            }
        };
        let (q_norm, k_norm) = (norm("q_norm", queries)?, norm("k_norm", keys)?);
        Ok(Attention { q_proj, k_proj, v_proj, o_proj, q_norm, k_norm })
    }

    /// `x` and the result are `[rows, hidden]`.
    fn forward(&self, x: Tensor<2>, attend: AttendRows) -> Tensor<2> {
        let projected = |x: Rows| {
            let [query, key, value] = [&self.q_proj, &self.k_proj, &self.v_proj].map(|part| part.forward(&x));
            let normed = |norm: &Option<Norm>, x| match norm {
                Some(norm) => norm.forward(x),
                None => x,
            };
            [normed(&self.q_norm, query), normed(&self.k_norm, key), value]
        };
        // What the projections share is freed before attention needs room.
        let rows = projected(Rows::new(x));
        self.o_proj.forward(&Rows::new(attend(rows)))
    }
}

/// Attention of each part to itself and to what its cache holds.
fn attend_parts(
    parts: &mut [SequenceRows],
    layer: usize,
    rows: [Tensor<2>; 3],
    precision: Precision,
) -> Tensor<2> {
    let attend = |part: &mut SequenceRows, rows| {
        part.rotary.rotated(layer, rows, part.layer_cache(layer)).compute(precision)
    };
    if let [part] = parts {
        return attend(part, rows);
    }
    let mut start = 0;
    let mixed = parts.iter_mut().map(|part| {
        let own = start..start + part.rotary.rows();
        start = own.end;
        let rows = rows.each_ref().map(|x| x.clone().slice_dim(0, own.clone()));
        attend(part, rows)
    });
    Tensor::cat(mixed.collect(), 0)
}

/// Splits `x` into blocks of rows, so that a tensor of `width` columns a row stays within [`MAX_ELEMENTS`].
pub(super) fn row_blocks(x: Tensor<2>, width: usize) -> Vec<Tensor<2>> {
    x.split((MAX_ELEMENTS / width).max(1), 0)
}
