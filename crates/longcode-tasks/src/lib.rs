//! What code language models are asked, of which data, and what their answers are worth.
//!
//! A [`dataset`] gives records; a [`task`] makes samples of them in a model's tokens, says what is asked of the model for
//! each, and turns the answer into an outcome that is stored, and that outcome into measures. Nothing here knows a
//! network: of a model a task sees its [`longcode_text::TextSide`].

pub mod dataset;
pub mod task;
