//! Which rows are the points of one curve: those of one kind that differ in `context` alone, and in the `stride` that
//! follows from it.

use std::collections::{BTreeMap, BTreeSet};

use toml::Table;

use crate::config::EncodingEntry;

/// The rows of one curve.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) kind: &'static str,
    /// By context, all of them last; at least two have one.
    pub(super) rows: Vec<OfFamily>,
}

/// A row of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OfFamily {
    /// Tokens; none: all.
    pub(super) context: Option<usize>,
    /// Its number in the config.
    pub(super) encoding: usize,
}

/// Rows by what else they have: their kind and their other keys.
type Groups<'a> = BTreeMap<(&'static str, String), Vec<(usize, &'a EncodingEntry)>>;

/// The families of a config in its order, and what must be said of rows that are in none.
pub(super) fn families(encodings: &[EncodingEntry]) -> (Vec<Family>, Vec<String>) {
    let mut groups = Groups::new();
    for (number, row) in encodings.iter().enumerate() {
        groups.entry((row.spec.kind, other_keys(row, true).to_string())).or_default().push((number, row));
    }
    let mut families: Vec<Family> = groups.values().filter_map(|rows| family(rows, encodings)).collect();
    families.sort_by_key(|family| family.rows.iter().map(|row| row.encoding).min());
    name_apart(&mut families, encodings);
    let notes = alone(encodings, &families);
    (families, notes)
}

/// All keys but `context`, and but the `stride` where that is the default of its context; without any where the row
/// reads no windows or `stride` does not count.
fn other_keys(row: &EncodingEntry, with_stride: bool) -> Table {
    let mut keys = row.spec.keys.clone();
    keys.remove("context");
    let default = row.spec.context.is_none_or(|context| context.stride == (context.tokens / 4).max(1));
    if default || !with_stride {
        keys.remove("stride");
    }
    keys
}

/// The family of rows that have the same other keys; none where fewer than two contexts differ.
fn family(rows: &[(usize, &EncodingEntry)], encodings: &[EncodingEntry]) -> Option<Family> {
    let mut points: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, row) in rows {
        if let Some(context) = row.spec.context {
            points.entry(context.tokens).or_insert(*number);
        }
    }
    if points.len() < 2 {
        return None;
    }
    let (_, first) = rows.first()?;
    let mut rows: Vec<OfFamily> =
        points.into_iter().map(|(tokens, encoding)| OfFamily { context: Some(tokens), encoding }).collect();
    // A row that reads all has no windows, so it is of every stride.
    let without = |row: &EncodingEntry| {
        row.spec.context.is_none()
            && row.spec.kind == first.spec.kind
            && other_keys(row, false) == other_keys(first, false)
    };
    let all = encodings.iter().position(without);
    rows.extend(all.map(|encoding| OfFamily { context: None, encoding }));
    Some(Family { name: name(&rows, encodings), kind: first.spec.kind, rows })
}

/// What most rows are called without their context; of as many, the one that comes last.
fn name(rows: &[OfFamily], encodings: &[EncodingEntry]) -> String {
    let names: Vec<String> = rows.iter().map(|row| without_context(&encodings[row.encoding])).collect();
    let count = |name: &&String| names.iter().filter(|other| other == name).count();
    names.iter().max_by_key(count).cloned().unwrap_or_default()
}

/// A row's name without what a sweep over the context adds to it.
fn without_context(row: &EncodingEntry) -> String {
    match row.value("context") {
        Some(value) => row.name.replacen(&format!(" context={value}"), "", 1),
        None => row.name.clone(),
    }
}

/// Families that would be named alike are named after their last rows.
fn name_apart(families: &mut [Family], encodings: &[EncodingEntry]) {
    let names: Vec<String> = families.iter().map(|family| family.name.clone()).collect();
    for family in families {
        if names.iter().filter(|name| **name == family.name).count() > 1
            && let Some(last) = family.rows.last()
        {
            family.name.clone_from(&encodings[last.encoding].name);
        }
    }
}

/// That a row with a context is in no curve, though its kind has others with another context: not the context alone
/// differs.
fn alone(encodings: &[EncodingEntry], families: &[Family]) -> Vec<String> {
    let joined: BTreeSet<usize> =
        families.iter().flat_map(|family| &family.rows).map(|row| row.encoding).collect();
    let note = |(number, row): (usize, &EncodingEntry)| {
        let context = row.spec.context?;
        let again = joined.iter().any(|&other| is_same_point(&encodings[other], row));
        if joined.contains(&number) || again {
            return None;
        }
        let differs = |other: &&EncodingEntry| {
            other.spec.kind == row.spec.kind
                && other.spec.context.is_some_and(|other| other.tokens != context.tokens)
        };
        let other = encodings.iter().find(differs)?;
        let keys = differing(&other_keys(row, true), &other_keys(other, true));
        Some(format!(
            "{} is in no context curve: {} has another context, and another {} too.",
            row.name,
            other.name,
            keys.join(" and ")
        ))
    };
    encodings.iter().enumerate().filter_map(note).collect()
}

/// Whether two rows are the same but for their names.
fn is_same_point(one: &EncodingEntry, other: &EncodingEntry) -> bool {
    (one.spec.kind, &one.spec.keys) == (other.spec.kind, &other.spec.keys)
}

/// The keys that differ.
fn differing(one: &Table, other: &Table) -> Vec<String> {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// A family's name, and the contexts and names of its rows.
    type Found = (String, Vec<(usize, String)>);

    fn found(encodings: &str) -> (Vec<Found>, Vec<String>) {
        let text = format!(
            "name = 'a'\n[[model]]\npath = 'm'\n{encodings}\n[[task]]\nkind = 'language_modeling'\ndataset = 'd'\n\
             buckets = [0, 64]\nsamples = 2\n"
        );
        let config = Config::parse(&text, &[], Vec::new()).unwrap();
        let (families, notes) = families(&config.encodings);
        let row = |row: &OfFamily| (row.context.unwrap_or(0), config.encodings[row.encoding].name.clone());
        let family = |family: &Family| (family.name.clone(), family.rows.iter().map(row).collect());
        (families.iter().map(family).collect(), notes)
    }

    fn names(rows: &[(usize, &str)]) -> Vec<(usize, String)> {
        rows.iter().map(|(context, name)| (*context, name.to_string())).collect()
    }

    #[test]
    fn a_sweep_that_ends_with_0_is_a_curve() {
        let (families, notes) = found("[[encoding]]\nname = 'R'\nkind = 'rope'\ncontext = [64, 16, 0]");
        let rows = names(&[(16, "R context=16"), (64, "R context=64"), (0, "R context=all")]);
        assert_eq!(families, [("R".to_string(), rows)]);
        assert!(notes.is_empty());
    }

    #[test]
    fn a_row_of_its_own_is_a_point_too() {
        let (families, notes) = found(
            "[[encoding]]\nname = 'Truncation'\nkind = 'rope'\ncontext = 32\n[[encoding]]\nname = 'R'\nkind = 'rope'\n\
             context = [16, 32, 64]\n[[encoding]]\nname = 'RoPE'\nkind = 'rope'",
        );
        let rows = names(&[(16, "R context=16"), (32, "Truncation"), (64, "R context=64"), (0, "RoPE")]);
        assert_eq!(families, [("R".to_string(), rows)]);
        assert!(notes.is_empty(), "{notes:?}");
    }

    #[test]
    fn truncation_beside_rope_is_none() {
        let (families, notes) = found(
            "[[encoding]]\nname = 'Truncation'\nkind = 'rope'\ncontext = 32\n[[encoding]]\nkind = 'rope'",
        );
        assert!(families.is_empty() && notes.is_empty());
    }

    #[test]
    fn other_keys_that_differ_are_not_joined() {
        let (families, notes) = found(
            "[[encoding]]\nname = 'A'\nkind = 'hirope'\nwindow = 8\ncontext = 16\n[[encoding]]\nname = 'B'\n\
             kind = 'hirope'\nwindow = 4\ncontext = 32",
        );
        assert!(families.is_empty());
        assert_eq!(
            notes,
            [
                "A is in no context curve: B has another context, and another window too.",
                "B is in no context curve: A has another context, and another window too.",
            ]
        );
    }

    #[test]
    fn strides_of_their_own_make_curves_of_their_own() {
        let (families, notes) =
            found("[[encoding]]\nname = 'R'\nkind = 'rope'\ncontext = [16, 32, 0]\nstride = [4, 15]");
        // Of 16 tokens 4 is the default, which is another than that of 32.
        assert_eq!(families.len(), 1, "{families:?}");
        let rows = names(&[
            (16, "R context=16 stride=15"),
            (32, "R context=32 stride=15"),
            (0, "R context=all stride=4"),
        ]);
        assert_eq!(families[0].1, rows);
        assert!(notes.len() == 2 && notes[0].contains("another stride too"), "{notes:?}");
    }
}
