//! Sweeps: a list where a key takes one value makes one entry a value.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::config_error;
use crate::error::Result;

/// Which sweep an entry is one value of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The name that all its entries start with.
    pub of: String,
    /// The keys that differ between its entries.
    pub keys: Vec<String>,
}

/// A table with its lists expanded.
pub(super) struct Expanded {
    /// The keys that had several values.
    pub(super) keys: Vec<String>,
    /// Each combination with the suffix that names it, as ` window=64`.
    pub(super) entries: Vec<(String, Table)>,
}

/// Expands every list of a table but those of `lists`, keys whose value is a list by nature: of these a list
/// of lists, or of lists written as texts.
pub(super) fn expand(table: Table, lists: &[&str]) -> Result<Expanded> {
    let mut keys = Vec::new();
    let mut expanded = vec![(String::new(), Table::new())];
    for (key, value) in table {
        let values = match value {
            Value::Array(values) if !lists.contains(&key.as_str()) || values.iter().any(is_list) => {
                if values.is_empty() {
                    return Err(config_error(format!("{key} is an empty list"), "give at least one value")
                        .at_key(key));
                }
                values
            }
            value => vec![value],
        };
        let swept = values.len() > 1;
        if swept {
            keys.push(key.clone());
        }
        let combine = |(suffix, table): &(String, Table)| -> Vec<(String, Table)> {
            let with = |value: &Value| {
                let mut table = table.clone();
                table.insert(key.clone(), value.clone());
                let suffix = match swept {
                    true => format!("{suffix} {key}={}", plain(value)),
                    false => suffix.clone(),
                };
                (suffix, table)
            };
            values.iter().map(with).collect()
        };
        expanded = expanded.iter().flat_map(combine).collect();
    }
    Ok(Expanded { keys, entries: expanded })
}

/// Whether a value of a key whose value is a list is one.
fn is_list(value: &Value) -> bool {
    value.is_array() || value.is_str()
}

/// A value without TOML's quotes.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suffixes(toml: &str, lists: &[&str]) -> Vec<String> {
        expand(toml.parse().unwrap(), lists).unwrap().entries.into_iter().map(|(suffix, _)| suffix).collect()
    }

    #[test]
    fn lists_multiply() {
        let all = suffixes("window = [32, 64]\nunit = ['function', 'statement']\nsplit = 0.5", &[]);
        let expected = [
            " window=32 unit=function",
            " window=32 unit=statement",
            " window=64 unit=function",
            " window=64 unit=statement",
        ];
        assert_eq!(all, expected);
        let keys = expand("window = [32, 64]\nsplit = [0.5]".parse().unwrap(), &[]).unwrap().keys;
        assert_eq!(keys, ["window"], "one value is no sweep");
    }

    #[test]
    fn a_list_by_nature_stays() {
        assert_eq!(suffixes("buckets = [0, 512]", &["buckets"]), [""]);
        let swept = suffixes("groups = ['2/8', [4, 4]]", &["groups"]);
        assert_eq!(swept, [" groups=2/8", " groups=[4, 4]"]);
    }

    #[test]
    fn an_empty_list_is_refused() {
        let error = expand("window = []".parse().unwrap(), &[]).err().unwrap();
        assert!(error.to_string().contains("window is an empty list"));
    }
}
