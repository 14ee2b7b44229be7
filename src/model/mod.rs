//! LLaMA-family language models from Hugging Face directories, scored in burn.
//!
//! In the order of use: [`config`] reads config.json, [`tokenizer`] tokenizer.json, [`weights`] the
//! safetensors; [`checkpoint`] puts a directory together; [`llama`] is the network, [`attention`] relative
//! attention under an encoding's rotations, [`kernels`] what the CPU has of its own for both; [`score`]
//! is the per-token loss.

pub mod attention;
pub mod checkpoint;
pub mod config;
pub mod kernels;
pub mod llama;
pub mod score;
pub mod tokenizer;
pub mod weights;

pub use attention::RotaryTables;
pub use checkpoint::Checkpoint;
pub use config::LlamaConfig;
pub use llama::Llama;
pub use score::TokenScores;
pub use tokenizer::{Tokenizer, Tokens};

/// Largest tensor that the forward pass makes on its own account, in elements: 64 MiB of f32, half of
/// the 128 MiB storage binding that small GPUs and software Vulkan allow. Work that would need more is
/// done in blocks.
pub(crate) const MAX_ELEMENTS: usize = 1 << 24;
