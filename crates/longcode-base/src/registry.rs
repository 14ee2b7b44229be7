//! Kinds that configs name, of encodings and of tasks. A kind's file has its entry, and the list of all kinds
//! names it; help, errors and the checks of the documents use the entries.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// An entry of a registry: a kind of `T`.
pub struct Kind<T: ?Sized> {
    /// Its name in configs.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// The keys as they may be typed, with their defaults: `window=512, logn=false`. A default in words
    /// depends on the model or the text; a key without one must be given, or does nothing if it is not.
    pub keys: &'static str,
    /// The keys whose value is a list anyway, so that a list there is not a sweep.
    pub lists: &'static [&'static str],
    /// Reads the keys of a config into a kind, and returns them with the defaults filled in.
    pub read: fn(toml::Table) -> Read<Arc<T>>,
}

/// What keys are read into, and the keys with the defaults filled in.
pub type Read<T> = std::result::Result<(T, toml::Table), toml::de::Error>;

impl<T: ?Sized> Kind<T> {
    /// The same, with keys whose value is a list anyway.
    pub const fn with_lists(mut self, lists: &'static [&'static str]) -> Kind<T> {
        self.lists = lists;
        self
    }
}

/// Reads keys that are the fields of a type.
pub fn read<T: Serialize + DeserializeOwned>(keys: toml::Table) -> Read<T> {
    let read = T::deserialize(toml::Value::Table(keys))?;
    let keys = toml::Table::try_from(&read).map_err(serde::de::Error::custom)?;
    Ok((read, keys))
}

/// The kind with this name; `what` says what they are kinds of.
///
/// # Errors
/// An error of the given kind if there is none, listing all names.
pub fn find<T: ?Sized>(
    kinds: &'static [Kind<T>],
    name: &str,
    what: &str,
    error: ErrorKind,
) -> Result<&'static Kind<T>> {
    kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let known: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        Error::new(error, format!("unknown {what} kind `{name}`"))
            .fix(format!("use one of: {}", known.join(", ")))
    })
}
