//! What pins a number: the program that made it, and the model and data it was made from.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::kernels::{Bf16Instructions, Precision};

/// One run of the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Version of longcode.
    pub version: String,
    /// Commit of longcode's sources.
    pub git_commit: String,
    /// CPU threads.
    pub threads: usize,
    /// Which instructions the CPU multiplies bf16 numbers with: a name of `longcode devices`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_products: Option<String>,
    /// When it started, RFC 3339.
    pub started: String,
}

impl Session {
    /// This run, starting now.
    pub fn now() -> Session {
        Session {
            version: env!("CARGO_PKG_VERSION").into(),
            git_commit: env!("LONGCODE_COMMIT").into(),
            threads: rayon::current_num_threads(),
            cpu_products: Some(Bf16Instructions::chosen().name().into()),
            started: now(),
        }
    }

    /// Version and commit of the program that ran.
    pub fn program(&self) -> String {
        format!("longcode {} ({})", self.version, self.git_commit)
    }
}

/// An adapter and what makes its kernels: another one of these may give other figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterUsed {
    /// Its name, interface and kind.
    pub adapter: String,
    /// Its driver, with the version.
    pub driver: String,
    /// The libraries that launch kernels, with their versions.
    pub runtime: String,
    /// What kernels are compiled by.
    pub compiler: String,
}

impl fmt::Display for AdapterUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}; {}; {}", self.adapter, self.driver, self.runtime, self.compiler)
    }
}

/// A checkpoint and what pins it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHash {
    /// Its name in the config.
    pub name: String,
    /// SHA-256 over config, tokenizer and weights.
    pub sha256: String,
    /// Pretraining length in tokens.
    pub trained_length: usize,
    /// The precision of its matrix products.
    #[serde(default)]
    pub precision: Precision,
    /// How many numbers its tensors have; none in results of an earlier longcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Tokens of its vocabulary; none in results of an earlier longcode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<usize>,
}

/// A data set and what pins it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetHash {
    /// Its name in the config.
    pub name: String,
    /// SHA-256 over the data.
    pub sha256: String,
}

/// The time now, RFC 3339 in UTC.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}
