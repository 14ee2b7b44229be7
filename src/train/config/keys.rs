//! The keys of a training's config.

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// A training, as a user writes it: `configs/train-nano.toml` has every key with its meaning.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Its name, and that of its output directory, `trained/NAME`.
    pub name: String,
    /// Seed of the first weights, the documents held out and the order of the samples.
    #[serde(default)]
    pub seed: u64,
    /// Tokens of a sample, which is the trained length, at least 2.
    pub length: usize,
    /// Samples of an optimizer step.
    pub batch: usize,
    /// Samples in memory at a time, a divisor of `batch`; defaults to `batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// What to train on.
    pub corpus: CorpusKeys,
    /// From scratch only: the vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerKeys>,
    /// The network: a shape, or a checkpoint to continue from.
    pub model: ModelKeys,
    /// AdamW.
    #[serde(default)]
    pub optimizer: OptimizerKeys,
    /// When to stop.
    pub budget: BudgetKeys,
    /// What is written.
    #[serde(default)]
    pub output: OutputKeys,
}

/// `[corpus]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusKeys {
    /// Data sets: names of manifests or paths, as for a task of `longcode run`.
    pub datasets: Vec<String>,
    /// Share of the documents, chosen by the seed, that is kept for the validation loss.
    #[serde(default = "one_percent")]
    pub held_out: f64,
    /// Whether samples begin where documents do, so that no document is cut that fits into a sample: for
    /// documents whose end depends on their beginning. The tokenizer must have a BOS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_documents: bool,
    /// A regular expression for what is learned of a document: tokens that its matches touch, or their first
    /// group if it has one. By default all tokens. For documents of which only the answers are to be learned;
    /// it needs `whole_documents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<String>,
    /// A share of the documents gets a gap to fill in; needs `whole_documents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill_in: Option<FillInKeys>,
}

/// `[corpus.fill_in]`: documents are cut into pieces that fit into a sample, of which a share gets a gap.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FillInKeys {
    /// Share of the pieces with a gap, above 0 and at most 1.
    pub rate: f64,
    /// Seed of which pieces get one, and where.
    #[serde(default)]
    pub seed: u64,
    /// Share of the gaps that are one to three whole lines; the others begin and end anywhere.
    #[serde(default = "half")]
    pub lines: f64,
}

/// `[tokenizer]`: `vocab_size` or `path`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerKeys {
    /// Entries of a byte-level BPE made from the corpus, `<s>` and `</s>` included; at least 258.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// With `vocab_size`: data sets that it is made from instead of the corpus, for a training in lessons
    /// whose first does not have all words yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasets: Option<Vec<String>>,
    /// A directory with tokenizer.json, or the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// `[model]`: `path`, or a shape named as in a Hugging Face config.json.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelKeys {
    /// Hugging Face directory whose weights and tokenizer to continue from. Its shape cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Width of the residual stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<usize>,
    /// Width of the feed-forward layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intermediate_size: Option<usize>,
    /// Decoder layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_hidden_layers: Option<usize>,
    /// Query heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_attention_heads: Option<usize>,
    /// Key and value heads, a divisor of the query heads; by default as many as those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_key_value_heads: Option<usize>,
    /// Dimensions of a head, even; by default `hidden_size / num_attention_heads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head_dim: Option<usize>,
    /// Whether the output head is the embedding; by default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tie_word_embeddings: Option<bool>,
    /// Base of the rotary frequencies; by default 10000, or the checkpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rope_theta: Option<f64>,
    /// Token `m` gets position `position_scale * m` (reverse position interpolation, Zhang et al. 2024,
    /// section 6.2, alpha = L0 / length); by default 1, or the checkpoint's. It goes into config.json as a
    /// linear `rope_scaling` whose factor is `1 / position_scale`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_scale: Option<f64>,
}

/// `[optimizer]`: AdamW (Loshchilov and Hutter 2019) without decay of norms and biases; the learning
/// rate rises over the first steps and falls along a cosine over the budget.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerKeys {
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Learning rate at the end, as a share of the highest.
    pub final_share: f64,
    /// Steps over which the learning rate rises.
    pub warmup_steps: usize,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of matrices a step, times the learning rate.
    pub weight_decay: f64,
    /// Largest norm of the gradient of all weights together.
    pub clip_norm: f64,
}

impl Default for OptimizerKeys {
    fn default() -> Self {
        OptimizerKeys {
            learning_rate: 1e-3,
            final_share: 0.1,
            warmup_steps: 100,
            beta_1: 0.9,
            beta_2: 0.95,
            epsilon: 1e-8,
            weight_decay: 0.1,
            clip_norm: 1.0,
        }
    }
}

/// `[budget]`: one of the three.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetKeys {
    /// Optimizer steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Tokens, rounded up to whole steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Minutes of training, added up over resumes; making the tokenizer and tokens does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
}

/// `[output]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputKeys {
    /// Type of the weights in model.safetensors.
    pub dtype: Dtype,
    /// Minutes between checkpoints.
    pub checkpoint_minutes: f64,
    /// Steps between validation losses.
    pub validation_steps: u64,
    /// Most samples of a validation loss.
    pub validation_samples: usize,
}

impl Default for OutputKeys {
    fn default() -> Self {
        OutputKeys {
            dtype: Dtype::F32,
            checkpoint_minutes: 5.0,
            validation_steps: 200,
            validation_samples: 64,
        }
    }
}

/// Type of the weights of the result; training itself is in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32 bits.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of f32.
    Bf16,
}

impl Dtype {
    /// Its name for `torch_dtype` of config.json.
    pub fn torch_name(self) -> &'static str {
        match self {
            Dtype::F32 => "float32",
            Dtype::F16 => "float16",
            Dtype::Bf16 => "bfloat16",
        }
    }
}

fn one_percent() -> f64 {
    0.01
}

fn half() -> f64 {
    0.5
}

impl CorpusKeys {
    /// `learned` as a compiled expression.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is not a valid expression.
    pub fn learned(&self) -> Result<Option<Regex>> {
        self.learned.as_deref().map(Regex::new).transpose().map_err(|e| {
            // The error has several lines: the expression, where in it, and what.
            let text = e.to_string();
            let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Error::new(ErrorKind::Config, format!("learned is not a regular expression: {what}"))
                .at_key("corpus.learned")
                .fix("correct it, for example '== (\\d+)'")
        })
    }
}

impl TrainConfig {
    /// Samples in memory at a time.
    pub fn micro_batch(&self) -> usize {
        self.micro_batch.unwrap_or(self.batch)
    }

    /// Tokens of an optimizer step.
    pub fn step_tokens(&self) -> u64 {
        (self.batch * self.length) as u64
    }
}
