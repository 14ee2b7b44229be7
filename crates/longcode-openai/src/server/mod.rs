//! A server of models.
//!
//! | module | what |
//! |---|---|
//! | [`models`] | what the server needs of whoever computes |
//! | `request` | what is asked: every field is known, or refused by its name |
//! | `output` | what a choice has so far: its text, stop strings, log-probabilities |
//! | `answer` | answers and events, in OpenAI's form |
//! | [`refusal`] | errors, in OpenAI's form |
//! | `work` | a request that is computed |
//! | `http` | connections, paths, bodies, limits, the end |

mod answer;
mod http;
pub mod models;
mod output;
pub mod refusal;
mod request;
#[cfg(test)]
mod tests;
mod work;

pub use http::{Options, Server};
pub use models::{Ended, Event, Job, Message, Models, Prepared, Sampling, TokenScore};
pub use refusal::Refusal;
