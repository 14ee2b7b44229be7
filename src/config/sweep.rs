//! Sweeps: a list where a key takes one value makes one entry a value.

use toml::{Table, Value};

use super::config_error;
use crate::error::Result;

/// Expands every list of a table but those of `lists`, keys whose value is a list by nature. Gives each
/// combination with the suffix that names it, as ` window=64`.
pub(super) fn expand(table: Table, lists: &[&str]) -> Result<Vec<(String, Table)>> {
    let mut expanded = vec![(String::new(), Table::new())];
    for (key, value) in table {
        let values = match value {
            Value::Array(values) if !lists.contains(&key.as_str()) => {
                if values.is_empty() {
                    return Err(config_error(format!("{key} is an empty list"), "give at least one value")
                        .at(format_args!("key `{key}`")));
                }
                values
            }
            value => vec![value],
        };
        let swept = values.len() > 1;
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
    Ok(expanded)
}

/// A value without TOML's quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suffixes(toml: &str, lists: &[&str]) -> Vec<String> {
        expand(toml.parse().unwrap(), lists).unwrap().into_iter().map(|(suffix, _)| suffix).collect()
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
    }

    #[test]
    fn a_list_by_nature_stays() {
        assert_eq!(suffixes("buckets = [0, 512]", &["buckets"]), [""]);
    }

    #[test]
    fn an_empty_list_is_refused() {
        let error = expand("window = []".parse().unwrap(), &[]).unwrap_err();
        assert!(error.to_string().contains("window is an empty list"));
    }
}
