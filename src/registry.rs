//! Kinds that configs name, of encodings and of tasks. A kind's file has its entry, and the list of all kinds names it:
//! help, errors and the checks of the documents come from there.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// An entry of a registry: a kind of `T`.
pub struct Kind<T: ?Sized> {
    /// As written in configs.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The keys as they may be typed, with their defaults: `window=512, logn=false`. A default in words follows the
    /// model or the text; a key without one must be given, or does nothing where it is not.
    pub keys: &'static str,
    /// The keys whose value is a list by nature, so that a list there is no sweep.
    pub lists: &'static [&'static str],
    pub(crate) read: fn(toml::Table) -> Read<Arc<T>>,
}

/// What keys make, and the keys with the defaults filled in.
pub(crate) type Read<T> = std::result::Result<(T, toml::Table), toml::de::Error>;

impl<T: ?Sized> Kind<T> {
    pub(crate) const fn with_lists(mut self, lists: &'static [&'static str]) -> Kind<T> {
        self.lists = lists;
        self
    }
}

/// Reads keys, which are the fields of a type.
pub(crate) fn read<T: Serialize + DeserializeOwned>(keys: toml::Table) -> Read<T> {
    let read = T::deserialize(toml::Value::Table(keys))?;
    let keys = toml::Table::try_from(&read).map_err(serde::de::Error::custom)?;
    Ok((read, keys))
}

/// The kind of that name; `what` they are kinds of.
///
/// # Errors
/// Of the given kind where there is none, listing all.
pub(crate) fn find<T: ?Sized>(
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
    use super::*;
    use crate::encoding::KINDS;
    use crate::task::TASKS;

    /// Values of the keys that have no default which could be compared.
    const EXAMPLES: &str = r#"
        factor = 2.0
        groups = [2]
        samples = 2
        limit = 100
        buckets = [0, 64]
        benchmark = "longbench-v2"
    "#;

    /// What is said of the keys is what the type has.
    fn check<T: ?Sized>(kind: &Kind<T>) {
        let told: Vec<(&str, Option<&str>)> = kind
            .keys
            .split(", ")
            .filter(|key| !key.is_empty())
            .map(|key| match key.split_once('=') {
                Some((name, default)) => (name, Some(default)),
                None => (key.split(' ').next().unwrap(), None),
            })
            .collect();
        let unknown = toml::toml! { no_such_key = 1 };
        let Err(refused) = (kind.read)(unknown) else { panic!("{} takes any key", kind.name) };
        let (_, listed) = refused.message().split_once("no_such_key`").unwrap();
        let mut fields: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        let mut names: Vec<&str> = told.iter().map(|(name, _)| *name).collect();
        fields.sort_unstable();
        names.sort_unstable();
        assert_eq!(names, fields, "{}", kind.name);
        assert!(kind.lists.iter().all(|list| names.contains(list)), "{}", kind.name);

        let mut keys: toml::Table = toml::from_str(EXAMPLES).unwrap();
        if kind.name == "completion" {
            keys.insert("prompt".into(), "lcc".into());
        }
        keys.retain(|key, _| told.contains(&(key, None)));
        let (_, resolved) = (kind.read)(keys).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
        for (name, default) in told.into_iter().filter_map(|(name, default)| Some((name, default?))) {
            // One that follows the model is not filled in here.
            let Some(value) = resolved.get(name) else { continue };
            let told = toml::from_str::<toml::Table>(&format!("told = {default}"));
            let told = told.map_or_else(|_| default.into(), |mut table| table.remove("told").unwrap());
            let number = |value: &toml::Value| value.as_float().or(value.as_integer().map(|n| n as f64));
            let same = *value == told || number(value).is_some() && number(value) == number(&told);
            assert!(same, "{}: {name} is {value} by default, not {default}", kind.name);
        }
    }

    #[test]
    fn keys_and_defaults_are_those_of_the_types() {
        KINDS.iter().for_each(check);
        TASKS.iter().for_each(check);
    }
}
