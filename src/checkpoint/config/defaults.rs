//! What a key means that config.json leaves out: each family has its own, those of transformers 5.

/// A family's defaults.
#[derive(Debug)]
pub(in crate::checkpoint) struct Defaults {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// What follows: as many as there are query heads.
    pub num_key_value_heads: Missing,
    /// What follows: `hidden_size / num_attention_heads`.
    pub head_dim: Missing,
    pub max_position_embeddings: usize,
    /// Of those scalings that look at it; none: `max_position_embeddings`.
    pub original_max_position_embeddings: Option<usize>,
    /// The key's name, and its value.
    pub norm_epsilon: (&'static str, f64),
    pub rope_theta: f64,
    pub tie_word_embeddings: bool,
    /// The token that ends a text; none: the config must say it.
    pub eos_token_id: Option<u32>,
    /// The activation, by all its names.
    pub hidden_act: Activation,
}

/// What a number is that is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checkpoint) enum Missing {
    /// What follows from other keys; of null too.
    Follows,
    /// This number; what follows from other keys of null.
    NumberOrNull(usize),
    /// This number; null is none.
    Number(usize),
}

/// An activation's names in transformers.
pub(in crate::checkpoint) type Activation = &'static [&'static str];

/// `x / (1 + exp(-x))`.
pub(in crate::checkpoint) const SILU: Activation = &["silu", "swish"];

/// GELU by its tanh approximation.
pub(in crate::checkpoint) const GELU_TANH: Activation =
    &["gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_python_tanh"];
