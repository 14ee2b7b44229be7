//! What every number is held to: definitions, vectors in float64, transformers, simulations.

#[path = "../common/mod.rs"]
mod common;

mod attention;
mod choice;
mod decode;
mod gguf;
mod golden;
mod random;
mod transformers;
