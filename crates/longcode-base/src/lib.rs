//! What every part of longcode needs.
//!
//! | module | what |
//! |---|---|
//! | [`error`] | the one error type: what happened, where, and what to do |
//! | [`limits`] | how much of external input is accepted: bytes, depth, steps, time |
//! | [`files`] | files read whole, written whole, appended to and locked |
//! | [`mod@hash`] | sha256 of files and texts |
//! | [`registry`] | kinds that configs name: encodings, tasks |
//! | [`pattern`] | names with wildcards |
//! | [`messages`], [`progress`], [`terminal`] | what a user reads on stderr |
//! | [`guard`] | panics of libraries as errors |
//! | [`web`] | where a key or token may go |
//!
//! ```
//! use longcode_base::error::{Error, ErrorKind};
//!
//! let error = Error::new(ErrorKind::Config, "window is 0").at_key("window").at("run.toml").fix("give at least 1");
//! assert_eq!(error.to_string(), "error: window is 0\n  in: run.toml: key `window`\n  fix: give at least 1");
//! ```
//!
//! [`error`] is the stable face of this crate; the rest serves the crates above it.

pub mod error;
pub mod files;
pub mod guard;
pub mod hash;
pub mod limits;
pub mod messages;
pub mod pattern;
pub mod progress;
pub mod registry;
pub mod terminal;
pub mod web;
