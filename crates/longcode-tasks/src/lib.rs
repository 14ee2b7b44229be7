//! What code language models are asked, on which data, and how their answers are scored.
//!
//! A [`dataset`] gives records; a [`task`] makes samples of them in a model's tokens, says what is asked of
//! the model for each, and turns the answer into an outcome that is stored, and that outcome into measures.
//! Nothing here knows a network: a task sees only a model's [`longcode_text::TextSide`].
//!
//! ```
//! use longcode_tasks::task::{find_kind, parse};
//!
//! let keys = "buckets = [0, 64]\nsamples = 2".parse().expect("TOML");
//! let (task, keys) = parse(find_kind("language_modeling")?, keys)?;
//! assert_eq!(task.metrics()[0].name, "ppl");
//! assert_eq!(keys["samples"].as_integer(), Some(2));
//! # Ok::<(), longcode_base::error::Error>(())
//! ```
//!
//! [`dataset::Dataset`], [`task::Task`] and what they are made of are the stable face of this crate.

pub mod dataset;
pub mod per_token;
pub mod task;
