//! Whether two configs ask for the same numbers.

use std::collections::BTreeSet;

use toml::{Table, Value};

/// The first key, in words, in which two resolved configs differ; `places` are the words for the two. A
/// model's path may differ, since its hash decides, and so may which numbers of the paper are printed next to
/// the measured ones.
pub(crate) fn difference(mut one: Table, mut other: Table, places: [&str; 2]) -> Option<String> {
    for table in [&mut one, &mut other] {
        table.remove("paper");
        for model in table.get_mut("model").and_then(Value::as_array_mut).into_iter().flatten() {
            model.as_table_mut().map(|model| model.remove("path"));
        }
    }
    of_tables(&one, &other, places)
}

fn of_tables(one: &Table, other: &Table, places: [&str; 2]) -> Option<String> {
    let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let words =
        |key: &str, one: &str, other: &str| format!("{key}{one} {}, {other} {}", places[0], places[1]);
    keys.into_iter().find_map(|key| match (one.get(key), other.get(key)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(Value::Table(a)), Some(Value::Table(b))) => {
            Some(format!("{key}: {}", of_tables(a, b, places)?))
        }
        (Some(Value::Array(a)), Some(Value::Array(b)))
            if a.len() == b.len() && a.iter().all(Value::is_table) =>
        {
            a.iter().zip(b).enumerate().find(|(_, (a, b))| a != b).and_then(|(n, (a, b))| {
                let inner = of_tables(a.as_table()?, b.as_table()?, places)?;
                Some(format!("{key} {n}: {inner}"))
            })
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() != b.len() => {
            Some(words(&format!("{key}: "), &a.len().to_string(), &b.len().to_string()))
        }
        (a, b) => {
            let show = |value: Option<&Value>| value.map_or("nothing".into(), Value::to_string);
            Some(words(&format!("{key} is "), &show(a), &show(b)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(one: &str, other: &str) -> Option<String> {
        difference(one.parse().unwrap(), other.parse().unwrap(), ["here", "there"])
    }

    #[test]
    fn the_key_is_named() {
        let found = words("[[encoding]]\nwindow = 8", "[[encoding]]\nwindow = 9");
        assert_eq!(found.as_deref(), Some("encoding 0: window is 8 here, 9 there"));
        let found = words("[[task]]\nbuckets = [0, 8]", "[[task]]\nbuckets = [0, 9]");
        assert_eq!(found.as_deref(), Some("task 0: buckets is [0, 8] here, [0, 9] there"));
        assert_eq!(words("seed = 1", "").as_deref(), Some("seed is 1 here, nothing there"));
        assert_eq!(words("a = [1]", "a = [1, 2]").as_deref(), Some("a: 1 here, 2 there"));
    }

    #[test]
    fn paths_of_models_and_the_paper_do_not_count() {
        assert_eq!(words("paper = 'table4'\n[[model]]\npath = 'a'", "[[model]]\npath = 'b'"), None);
    }
}
