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

/// Which key an error of reading keys is about, for its place: without it, reading gives another error or none. None
/// if it is about a key that is missing.
pub fn wrong_key<T>(
    keys: &toml::Table,
    read: impl Fn(toml::Table) -> std::result::Result<T, toml::de::Error>,
    error: &toml::de::Error,
) -> Option<String> {
    let is_it = |key: &&String| {
        let mut others = keys.clone();
        others.remove(*key);
        read(others).err().is_none_or(|other| other.message() != error.message())
    };
    keys.keys().find(is_it).cloned()
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Keys {
        #[serde(rename = "factor")]
        _factor: f64,
        #[serde(rename = "window", default)]
        _window: usize,
        #[serde(rename = "logn", default)]
        _logn: bool,
    }

    #[test]
    fn the_wrong_key_is_found() {
        let read = |keys: toml::Table| Keys::deserialize(toml::Value::Table(keys));
        for (keys, wrong) in [
            ("factor = \"2\"\nwindow = 3", Some("factor")),
            ("factor = 2.0\nwindow = -1", Some("window")),
            ("factor = 2.0\nwindow = 1.5\nlogn = true", Some("window")),
            ("factor = 2.0\nlogn = 1", Some("logn")),
            ("factor = 2.0\nwindw = 1", Some("windw")),
            ("window = 3\nlogn = true", None),
            ("window = -3", Some("window")),
        ] {
            let keys: toml::Table = toml::from_str(keys).unwrap();
            let error = read(keys.clone()).unwrap_err();
            assert_eq!(wrong_key(&keys, read, &error).as_deref(), wrong, "{keys}: {error}");
        }
    }
}
