//! `--set key.path=value`.
//!
//! A path goes through tables by key; through `[[...]]` arrays by number or by an entry's name, or through
//! all entries if it gives neither: `seed=1`, `task.samples=5`, `encoding.HiRoPE.window=64`.

use toml::{Table, Value};

use super::config_error;
use crate::error::{Error, Result};

/// Applies every override in order.
pub(crate) fn apply(table: &mut Table, overrides: &[String]) -> Result<()> {
    for text in overrides {
        let bad = |what: &str| -> Error {
            config_error(what, "write --set key.path=value, as --set task.samples=5")
                .at(format_args!("--set {text}"))
        };
        let (path, value) = text.split_once('=').ok_or_else(|| bad("not key.path=value"))?;
        let path: Vec<&str> = path.trim().split('.').collect();
        if path.iter().any(|key| key.is_empty()) {
            return Err(bad("an empty key"));
        }
        set(table, &path, &parse_value(value.trim())).map_err(|what| bad(&what))?;
    }
    Ok(())
}

/// A TOML value if it reads as one, otherwise the text itself.
fn parse_value(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_string()))
}

fn set(table: &mut Table, path: &[&str], value: &Value) -> std::result::Result<(), String> {
    let (key, rest) = path.split_first().expect("a path has at least one key");
    if rest.is_empty() {
        table.insert((*key).to_string(), value.clone());
        return Ok(());
    }
    match table.get_mut(*key) {
        Some(Value::Table(inner)) => set(inner, rest, value),
        Some(Value::Array(entries)) => set_entries(entries, rest, value),
        _ => Err(format!("there is no table `{key}`")),
    }
}

fn set_entries(entries: &mut [Value], path: &[&str], value: &Value) -> std::result::Result<(), String> {
    let named =
        |entry: &Value| entry.get("name").or(entry.get("kind")).and_then(Value::as_str) == Some(path[0]);
    let number = path[0].parse::<usize>().ok();
    let one = match number {
        Some(number) => Some(number),
        None => entries.iter().position(named),
    };
    let (chosen, path) = match one {
        Some(number) if path.len() > 1 => {
            let entry = entries.get_mut(number).ok_or_else(|| format!("there is no entry {number}"))?;
            (std::slice::from_mut(entry), &path[1..])
        }
        _ => (entries, path),
    };
    for entry in chosen {
        let Value::Table(table) = entry else { return Err(format!("`{}` is not in a table", path[0])) };
        set(table, path, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
        seed = 0
        [[task]]
        name = 'a'
        samples = 1
        [[task]]
        name = 'b'
        samples = 1
    ";

    fn samples(set: &str) -> Vec<i64> {
        let mut table: Table = CONFIG.parse().unwrap();
        apply(&mut table, &[set.to_string()]).unwrap();
        table["task"].as_array().unwrap().iter().map(|task| task["samples"].as_integer().unwrap()).collect()
    }

    #[test]
    fn by_name_by_number_or_all() {
        assert_eq!(samples("task.b.samples=5"), [1, 5]);
        assert_eq!(samples("task.0.samples=5"), [5, 1]);
        assert_eq!(samples("task.samples=5"), [5, 5]);
    }

    #[test]
    fn values_are_toml_or_text() {
        assert_eq!(parse_value("[1, 2]").as_array().unwrap().len(), 2);
        assert_eq!(parse_value("0.5").as_float(), Some(0.5));
        assert_eq!(parse_value("models/nano").as_str(), Some("models/nano"));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused() {
        let mut table: Table = CONFIG.parse().unwrap();
        for set in ["nothing", "model.path=x", "task.7.samples=1", ".=1"] {
            assert!(apply(&mut table, &[set.to_string()]).is_err(), "{set}");
        }
    }
}
