//! What pins a number: the program that made it, the model and the data it was made of.

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::kernels::{Bf16Instructions, Precision};

/// One run of the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Of longcode.
    pub version: String,
    /// Of longcode's sources.
    pub git_commit: String,
    /// CPU threads.
    pub threads: usize,
    /// What the CPU multiplies bf16 numbers with: a name of `longcode devices`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_products: Option<String>,
    /// RFC 3339.
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

/// A checkpoint and what pins it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHash {
    /// As in the config.
    pub name: String,
    /// Over config, tokenizer and weights.
    pub sha256: String,
    /// Pretraining length in tokens.
    pub trained_length: usize,
    /// What its matrix products were made of.
    #[serde(default)]
    pub precision: Precision,
}

/// A data set and what pins it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetHash {
    /// As in the config.
    pub name: String,
    /// Over the data.
    pub sha256: String,
}

/// Now, RFC 3339 in UTC.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}
