//! The keys of a `[[model]]` that is served.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Table;

use super::{ModelEntry, config_error, one_line};
use crate::error::{Result, refuse, refuse_zeros};
use crate::kernels::Precision;
use crate::limits::{SERVED_ANSWER_SECONDS, SERVED_CONCURRENCY};

/// A model that somebody else serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedEntry {
    /// The server's base address, below which are `models` and `completions`.
    pub endpoint: String,
    /// The model's name there; without it, the only one there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_as: Option<String>,
    /// Where its tokenizer is: a path or a name of the hub; without it, `served_as`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Its trained length, tokens; without it, that of the tokenizer's config.json, or what the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_length: Option<usize>,
    /// The environment variable that has the server's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// Requests at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// Seconds for the whole answer to a request.
    #[serde(default = "default_timeout")]
    pub timeout: u64,
    /// What a million tokens cost that are sent, and that are generated, in any money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<[f64; 2]>,
}

fn default_concurrency() -> usize {
    8
}

fn default_timeout() -> u64 {
    SERVED_ANSWER_SECONDS
}

impl ServedEntry {
    /// Where its tokenizer is, as written in the config.
    fn tokenizer(&self) -> Result<&str> {
        self.tokenizer.as_deref().or(self.served_as.as_deref()).ok_or_else(|| {
            config_error(
                "a served model has no `tokenizer`: buckets and depths are in its tokens",
                "add tokenizer = \"org/name\", or a path of the directory with its tokenizer.json",
            )
            .at_key("tokenizer")
        })
    }

    /// How long one request may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    fn check(&self) -> Result<()> {
        refuse_zeros(&[("concurrency", self.concurrency), ("timeout", self.timeout as usize)])?;
        refuse_zeros(&[("trained_length", self.trained_length.unwrap_or(1))])?;
        if self.concurrency > SERVED_CONCURRENCY {
            let what = format!("concurrency is {}, more than {SERVED_CONCURRENCY}", self.concurrency);
            return refuse("concurrency", what, "ask for fewer requests at once");
        }
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if self.key_env.as_deref().is_some_and(|name| !is_name(name)) {
            // What stands there may be the key itself, so it is not quoted.
            let what = "key_env is not the name of an environment variable".into();
            return refuse(
                "key_env",
                what,
                "put the key into a variable, and give the variable's name, as OPENAI_API_KEY",
            );
        }
        match self.price {
            Some(price) if price.iter().any(|price| !(price.is_finite() && *price >= 0.0)) => {
                let what = format!("price is [{}, {}]", price[0], price[1]);
                refuse("price", what, "give two numbers of at least 0: a million tokens in, and out")
            }
            _ => Ok(()),
        }
    }
}

/// Reads a `[[model]]` with an `endpoint`.
pub(super) fn served_entry(name: Option<String>, table: Table) -> Result<ModelEntry> {
    let served: ServedEntry = table.try_into().map_err(|e: toml::de::Error| {
        config_error(format!("a served model: {}", one_line(&e)), "add, fix or remove the key")
    })?;
    served.check()?;
    let path = served.tokenizer()?.to_string();
    let last = |name: &str| name.rsplit('/').next().unwrap_or(name).to_string();
    let name = name.unwrap_or_else(|| last(served.served_as.as_deref().unwrap_or(&path)));
    Ok(ModelEntry {
        name,
        path,
        obtain: None,
        precision: Precision::default(),
        served: Some(served),
        ceiling_of: None,
    })
}
