//! Language models of LLaMA's kind from Hugging Face directories and GGUF files, scored in burn.
//!
//! In the order of use: [`mod@format`] chooses between [`hugging_face`] directories and [`gguf`] files, which give
//! config, tokenizer and weights; [`config`] reads config.json by what its [`family`] has beyond LLaMA, [`tokenizer`] tokenizer.json, [`safetensors`]
//! the files of weights; [`stored`] is weights as they lie there, [`weights`] hands them out ([`tied`]: whether the head is the embedding), [`precision`] says
//! what their products are made of, [`matrix`] is one and its product; [`checkpoint`] puts it together. [`network`]
//! is the network, put together from [`part`]s, [`rotary`] turns queries and keys by an encoding's rotations, [`attention`] is relative
//! attention of what was turned, [`cache`] keeps keys and values while decoding, [`kernels`] is what devices have
//! of their own for all of these. [`score`] is the per-token loss, [`decode`] reads a prompt and goes on token by
//! token, [`ask`] puts a prompt in the words of a [`chat`] template, [`under`] does both under an encoding and within its context, [`training`] is the mean loss of many
//! short sequences, with gradients.

pub mod ask;
pub mod attention;
pub mod cache;
pub mod chat;
pub mod checkpoint;
pub mod config;
pub(crate) mod contents;
pub mod decode;
mod family;
mod format;
pub mod gguf;
mod hugging_face;
pub mod kernels;
mod matrix;
pub mod network;
mod part;
pub mod precision;
pub mod rotary;
pub mod safetensors;
pub mod score;
pub mod stored;
mod tied;
pub mod tokenizer;
pub mod training;
pub mod under;
pub mod weights;

pub use ask::{Asker, Prompt, PromptStyle};
pub use chat::ChatTemplate;
pub use checkpoint::Checkpoint;
pub use config::{AttentionConfig, NetworkConfig};
pub use decode::{Decoder, Ended, Generation, Limits, generate};
pub(crate) use kernels::is_cpu;
pub use kernels::{Measured, Products};
pub use network::{Network, SequenceRows};
pub use precision::Precision;
pub use rotary::RotaryTables;
pub use score::TokenScores;
pub use tokenizer::{Tokenizer, Tokens};
pub(crate) use under::TOGETHER;
pub use under::Under;

/// Largest tensor that the forward pass makes on its own account, in elements: 64 MiB of f32, half of
/// the 128 MiB storage binding that small GPUs and software Vulkan allow. Work that would need more is
/// done in blocks.
pub(crate) const MAX_ELEMENTS: usize = 1 << 24;
