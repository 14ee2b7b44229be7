//! Sweeps: a list for a key that takes one value makes one entry for each value.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::config_error;
use crate::error::{Error, Result};
use crate::limits::ROWS;

/// Which sweep an entry belongs to.
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
    /// Each combination, with the suffix that names it, such as ` window=64`.
    pub(super) entries: Vec<(String, Table)>,
}

/// Expands every list of a table, except for keys whose value is a list anyway (`lists`): for these it
/// expands a list of lists, or of lists written as strings.
///
/// # Errors
/// [`crate::error::ErrorKind::Config`] for an empty list, and for more combinations than a config may have.
pub(super) fn expand(table: Table, lists: &[&str]) -> Result<Expanded> {
    refuse_many(&table, lists)?;
    let mut keys = Vec::new();
    let mut expanded = vec![(String::new(), Table::new())];
    for (key, value) in table {
        let values = match value {
            Value::Array(values) if is_swept(&key, &values, lists) => {
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
            values
                .iter()
                .map(|value| {
                    let mut table = table.clone();
                    table.insert(key.clone(), value.clone());
                    let suffix =
                        if swept { format!("{suffix} {key}={}", named(&key, value)) } else { suffix.clone() };
                    (suffix, table)
                })
                .collect()
        };
        expanded = expanded.iter().flat_map(combine).collect();
    }
    Ok(Expanded { keys, entries: expanded })
}

/// Refuses more rows than a config may have, before making any.
fn refuse_many(table: &Table, lists: &[&str]) -> Result<()> {
    let swept = table.iter().filter_map(|(key, value)| {
        let values = value.as_array().filter(|values| is_swept(key, values, lists))?;
        Some((key, values.len()))
    });
    let mut rows = 1_u128;
    let mut longest: (&str, usize) = ("", 0);
    for (key, count) in swept {
        rows = rows.saturating_mul(count as u128);
        longest = if count > longest.1 { (key, count) } else { longest };
    }
    if rows > ROWS as u128 { Err(too_many(rows).at_key(longest.0)) } else { Ok(()) }
}

/// The error of a config with more rows of a kind than it may have.
pub(super) fn too_many(rows: u128) -> Error {
    config_error(
        format!("lists make {rows} rows, and {ROWS} are the most that a config may have"),
        "give shorter lists, or several configs",
    )
}

/// Whether a list under a key means one row for each value.
fn is_swept(key: &str, values: &[Value], lists: &[&str]) -> bool {
    !lists.contains(&key) || values.iter().any(is_list)
}

/// Whether a value is a list, for a key whose value is one.
fn is_list(value: &Value) -> bool {
    value.is_array() || value.is_str()
}

/// The context that limits nothing: how rows are named that have `context = 0`.
pub(crate) const ALL: &str = "all";

/// A value as the name of its row has it.
fn named(key: &str, value: &Value) -> String {
    match (key, value) {
        ("context", Value::Integer(0)) => ALL.into(),
        _ => plain(value),
    }
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
    fn a_context_of_0_is_named_all() {
        let all = suffixes("context = [64, 0]\nseed = 0", &[]);
        assert_eq!(all, [" context=64", " context=all"]);
    }

    #[test]
    fn a_list_by_nature_stays() {
        assert_eq!(suffixes("buckets = [0, 512]", &["buckets"]), [""]);
        let swept = suffixes("groups = ['2/8', [4, 4]]", &["groups"]);
        assert_eq!(swept, [" groups=2/8", " groups=[4, 4]"]);
    }

    #[test]
    fn rows_are_counted_before_they_are_made() {
        let list = |n: usize| format!("{:?}", (0..n).collect::<Vec<_>>());
        let (hundred, long) = (list(100), list(ROWS + 1));
        for (toml, rows) in [
            (format!("a = {hundred}\nb = {hundred}\nc = {hundred}"), "1000000 rows"),
            (format!("a = {long}"), "10001 rows"),
            ((0..40).map(|n| format!("k{n} = {hundred}\n")).collect(), "rows"),
        ] {
            let error = expand(toml.parse().unwrap(), &[]).err().unwrap().to_string();
            assert!(error.contains(rows) && error.contains("10000 are the most"), "{error}");
        }
        assert_eq!(suffixes(&format!("a = {hundred}\nb = {hundred}"), &[]).len(), ROWS);
    }

    #[test]
    fn an_empty_list_is_refused() {
        let error = expand("window = []".parse().unwrap(), &[]).err().unwrap();
        assert!(error.to_string().contains("window is an empty list"));
    }

    #[test]
    fn rows_of_several_tables_are_counted_together() {
        let entries = |count: usize, table: &str, keys: &str| -> String {
            (0..count).map(|n| format!("[[{table}]]\nname = \"{table} {n}\"\n{keys}\n")).collect()
        };
        let config = |encodings: usize, tasks: usize| {
            let text = [
                "name = \"x\"\n".to_string(),
                entries(1, "model", "path = \"m\""),
                entries(encodings, "encoding", "kind = \"rope\""),
                entries(tasks, "task", "kind = \"lookup\"\ndataset = \"d\"\nlength = [64]"),
            ];
            crate::config::Config::parse(&text.concat(), &[], Vec::new())
        };
        let error = config(1001, 200).unwrap_err().to_string();
        assert!(error.contains("are 200200 rows, and 200000 are the most"), "{error}");
        assert!(!config(1000, 200).is_err_and(|e| e.what.contains("are the most")));
    }
}
