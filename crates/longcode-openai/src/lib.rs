//! OpenAI's API of completions.
//!
//! [`client`] asks a model that somebody else serves: what it can do is found by a probe, failures that pass are waited
//! for, and nothing is sent but to the address that was given. [`server`] answers such clients from whatever computes.

pub mod client;
pub mod server;
