//! The network: a checkpoint's decoder in burn, under an encoding.
//!
//! | module | what |
//! |---|---|
//! | [`network`], `load` | the decoder, made of parts (`part`) and weights ([`weights`], `matrix`); its
//! loading |
//! | [`rotary`] | queries and keys turned by an encoding's rotations |
//! | [`attention`] | relative attention in tensor operations; [`crate::kernels`] has it in one pass |
//! | `choosing`, `seen` | blocks of keys chosen by content; keys that were seen |
//! | [`cache`], [`decode`] | reading a prompt, and continuing it token by token |
//! | [`prefix`] | prompts that begin alike |
//! | [`score`] | the loss of each token of a text |
//! | [`encoded`] | both under an encoding and within its context |
//! | [`training`] | the mean loss of many short sequences, with gradients |

pub mod attention;
pub mod cache;
mod choosing;
pub mod decode;
pub mod encoded;
#[cfg(test)]
mod gradient_tests;
mod load;
mod matrix;
pub mod network;
mod part;
pub mod prefix;
pub mod rotary;
pub mod score;
mod seen;
pub mod training;
pub mod weights;

pub use choosing::time_of_choosing;
pub use decode::{Decoder, Prefix, generate};
pub use encoded::EncodedModel;
pub(crate) use encoded::TOGETHER;
pub use network::{Network, SequenceRows};
pub use rotary::RotaryTables;
pub(crate) use score::read;
pub use seen::Seen;

/// Largest tensor that the forward pass makes, in elements: 64 MiB of f32, half of the 128 MiB storage
/// binding that small GPUs and software Vulkan allow. Work that would need more is done in blocks.
pub(crate) const MAX_ELEMENTS: usize = 1 << 24;
