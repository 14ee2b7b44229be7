//! What code language models are asked, on which data, and how their answers are scored.
//!
//! A [`dataset`] gives records; a [`task`] makes samples of them in a model's tokens, says what is asked of
//! the model for each, and turns the answer into an outcome that is stored, and that outcome into measures.
//! Nothing here knows a network: a task sees only a model's [`longcode_text::TextSide`].

pub mod dataset;
pub mod task;
