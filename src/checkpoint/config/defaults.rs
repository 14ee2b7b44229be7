//! What a key that config.json leaves out means: each family has its own defaults, those of transformers 5.

/// A family's defaults.
#[derive(Debug)]
pub(in crate::checkpoint) struct Defaults {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// By default as many as there are query heads.
    pub num_key_value_heads: Missing,
    /// By default `hidden_size / num_attention_heads`.
    pub head_dim: Missing,
    pub max_position_embeddings: usize,
    /// For scalings that use it; none means `max_position_embeddings`.
    pub original_max_position_embeddings: Option<usize>,
    /// The key's name, and its value.
    pub norm_epsilon: (&'static str, f64),
    pub rope_theta: f64,
    pub tie_word_embeddings: bool,
    /// The token that ends a text; none if the config must say it.
    pub eos_token_id: Option<u32>,
    /// The activation, with all its names; none if the key `hidden_act` means nothing.
    pub hidden_act: Activation,
}

/// What a missing number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checkpoint) enum Missing {
    /// It follows from other keys; so does null.
    Follows,
    /// This number; null follows from other keys.
    NumberOrNull(usize),
    /// This number; null means none.
    Number(usize),
}

/// An activation's names in transformers.
pub(in crate::checkpoint) type Activation = &'static [&'static str];

/// `x / (1 + exp(-x))`.
pub(in crate::checkpoint) const SILU: Activation = &["silu", "swish"];

/// GELU by its tanh approximation.
pub(in crate::checkpoint) const GELU_TANH: Activation =
    &["gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_python_tanh"];

/// Of families whose config says it under another key.
pub(in crate::checkpoint) const NO_ACTIVATION: Activation = &[];
