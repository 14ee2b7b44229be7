//! `[tune]` of a config: how `longcode tune` searches among the rows of `[[encoding]]`.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{config_error, one_line};
use crate::encoding::EncodingSpec;
use crate::error::Result;

/// The keys of `[tune]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuneKeys {
    /// What to maximise or minimise: a metric of the task, or `context_advantage`; by default the task's main
    /// one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// An encoding, as `kind:key=value`, that is measured on the same documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Documents of each bucket, out of the task's `samples`, that are kept out of the choice and measure it.
    pub check: usize,
    /// How many times fewer rows remain from one rung to the next, on that many times more documents.
    pub reduction_factor: usize,
}

impl Default for TuneKeys {
    fn default() -> TuneKeys {
        TuneKeys { objective: None, baseline: None, check: 8, reduction_factor: 2 }
    }
}

impl TuneKeys {
    /// Takes `[tune]` from a config's table, if present.
    pub(super) fn take(table: &mut Table) -> Result<Option<TuneKeys>> {
        let Some(value) = table.remove("tune") else { return Ok(None) };
        let read = |value: Value| {
            value.try_into().map_err(|e: toml::de::Error| {
                config_error(one_line(&e), "use objective, baseline, check and reduction_factor")
            })
        };
        read(value).and_then(TuneKeys::checked).map(Some).map_err(|e| e.at("[tune]"))
    }

    fn checked(self) -> Result<TuneKeys> {
        if self.check == 0 {
            return Err(config_error("check is 0", "leave at least 1 document a bucket out of the choice")
                .at_key("check"));
        }
        if self.reduction_factor < 2 {
            let what = format!("reduction_factor is {}", self.reduction_factor);
            return Err(config_error(what, "give at least 2").at_key("reduction_factor"));
        }
        self.baseline_spec()?;
        Ok(self)
    }

    /// The baseline's encoding.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Encoding`], naming its key.
    pub fn baseline_spec(&self) -> Result<Option<EncodingSpec>> {
        self.baseline.as_deref().map(EncodingSpec::parse).transpose().map_err(|e| e.at_key("baseline"))
    }
}
