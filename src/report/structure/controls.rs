//! Which rows are controls of which: those that differ in `unit` alone, where a control stands in place of a real unit.

use crate::config::EncodingEntry;
use crate::structure::{Control, Unit};

/// The key that a unit and its controls differ in.
const KEY: &str = "unit";

/// What stands in place of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Placebo {
    /// One segment a file.
    File,
    /// As many segments of equal length.
    Even,
    /// The same lengths in other places.
    Shuffled,
}

impl Placebo {
    /// What `other` is to a unit; none where it is no control of it.
    fn of(unit: Unit, other: Unit) -> Option<Placebo> {
        match other.control() {
            None => (other == Unit::FILE).then_some(Placebo::File),
            Some(_) if other.without_control() != unit => None,
            Some(Control::Even) => Some(Placebo::Even),
            Some(Control::Shuffled) => Some(Placebo::Shuffled),
        }
    }

    /// In the order of a picture's signs.
    pub(super) fn words(self) -> &'static str {
        match self {
            Placebo::File => "one segment a file",
            Placebo::Even => "of equal length",
            Placebo::Shuffled => "in the wrong places",
        }
    }
}

/// Whether a unit is no control, as a whole file is one too.
fn is_real(unit: Unit) -> bool {
    unit.control().is_none() && unit != Unit::FILE
}

/// Where the units of a control's row differ from those of a real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) by: Placebo,
    /// The first level that differs.
    pub(super) level: usize,
    /// Whether all levels do, or that one alone.
    pub(super) all: bool,
}

impl Replaced {
    /// None where the first row's units are controls themselves, or the second row's are no control of them: in one level
    /// or in all, by one kind of control.
    fn of(units: &[Unit], others: &[Unit]) -> Option<Replaced> {
        if units.len() != others.len() || !units.iter().copied().all(is_real) {
            return None;
        }
        let levels: Vec<usize> = (0..units.len()).filter(|&level| units[level] != others[level]).collect();
        let level = *levels.first()?;
        let by = Placebo::of(units[level], others[level])?;
        let is_same = |&level: &usize| Placebo::of(units[level], others[level]) == Some(by);
        let all = levels.len() == units.len();
        ((all || levels.len() == 1) && levels.iter().all(is_same)).then_some(Replaced { by, level, all })
    }
}

/// A real unit's row and that of one of its controls: numbers in the config.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) real: usize,
    pub(super) control: usize,
    pub(super) replaced: Replaced,
}

/// Every real unit with each of its controls, in the order of the config.
pub(super) fn held(encodings: &[EncodingEntry]) -> Vec<Held> {
    let mut all = Vec::new();
    for real in 0..encodings.len() {
        let of_control = |control: usize| {
            let (one, other) = (&encodings[real].spec, &encodings[control].spec);
            let replaced = Replaced::of(one.units(), other.units())?;
            (one.kind == other.kind && without_unit(&encodings[real]) == without_unit(&encodings[control]))
                .then_some(Held { real, control, replaced })
        };
        let mut found: Vec<Held> = (0..encodings.len()).filter_map(of_control).collect();
        found.sort_by_key(|one| one.replaced.by);
        all.extend(found);
    }
    all
}

/// All keys but the unit.
fn without_unit(encoding: &EncodingEntry) -> toml::Table {
    let mut keys = encoding.spec.keys.clone();
    keys.remove(KEY);
    keys
}

/// The units of a row as written, from fine to coarse.
pub(super) fn unit(encoding: &EncodingEntry) -> String {
    let units: Vec<String> = encoding.spec.units().iter().map(Unit::to_string).collect();
    units.join("/")
}

/// A row's name without the unit that a sweep added.
pub(super) fn family(encoding: &EncodingEntry) -> String {
    match (&encoding.sweep, encoding.value(KEY)) {
        (Some(sweep), _) if sweep.keys == [KEY] => sweep.of.clone(),
        (Some(_), Some(value)) => encoding.name.replace(&format!(" {KEY}={value}"), ""),
        _ => encoding.name.clone(),
    }
}

/// Segments of a unit in words.
pub(super) fn plural(unit: Unit) -> String {
    let name = unit.to_string();
    match name.strip_prefix("tokens:") {
        Some(count) => format!("blocks of {count} tokens"),
        None if unit == Unit::FUNCTION_AUTHORS => "functions as the authors' extractor takes them".into(),
        None => format!("{name}s"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Config;

    /// Encodings of a config: a name and keys each.
    pub(in crate::report::structure) fn encodings(entries: &[(&str, &str)]) -> Vec<EncodingEntry> {
        let mut text = String::from("name = 'x'\n[[model]]\npath = 'm'\n");
        for (name, keys) in entries {
            text += &format!("[[encoding]]\nname = '{name}'\nkind = 'hirope'\n{keys}\n");
        }
        text += "[[task]]\nkind = 'language_modeling'\ndataset = 'd'\nbuckets = [0, 64]\nsamples = 2\n";
        Config::parse(&text, &[], Vec::new()).unwrap().encodings
    }

    pub(in crate::report::structure) const SWEPT: &str =
        "unit = ['function', 'shuffled:function', 'file', 'even:function', 'tokens:32']";

    fn found(encodings: &[EncodingEntry]) -> Vec<String> {
        let words = |one: &Held| format!("{} {}", encodings[one.real].name, unit(&encodings[one.control]));
        held(encodings).iter().map(words).collect()
    }

    #[test]
    fn a_unit_is_held_against_its_own_controls() {
        let swept = encodings(&[("H", SWEPT)]);
        let expected = [
            "H unit=function file",
            "H unit=function even:function",
            "H unit=function shuffled:function",
            "H unit=tokens:32 file",
        ];
        assert_eq!(found(&swept), expected);
        // Of a row that differs in something else nothing is asked; an explicit default is no difference.
        let rows = encodings(&[
            ("a", "window = 8\nunit = 'function'"),
            ("b", "window = 9\nunit = 'file'"),
            ("c", "window = 8\nsplit = 0.5\nlogn = false\nunit = 'even:function'"),
            ("d", "window = 8\nunit = 'even:file'"),
            ("e", "window = 8\ncontext = 64\nunit = 'file'"),
        ]);
        assert_eq!(found(&rows), ["a even:function"]);
    }

    #[test]
    fn of_several_levels_one_or_all_are_replaced() {
        let names = [
            "statement/function",
            "statement/shuffled:function",
            "even:statement/even:function",
            "even:statement/shuffled:function",
            "file/file",
            "statement/file",
            "function/function",
        ];
        let row = |name: &&'static str| (*name, format!("split = '0.4/0.7'\nunit = '{name}'"));
        let rows: Vec<(&str, String)> = names.iter().map(row).collect();
        let rows: Vec<(&str, &str)> = rows.iter().map(|(name, keys)| (*name, &keys[..])).collect();
        let expected = [
            "statement/function file/file",
            "statement/function statement/file",
            "statement/function even:statement/even:function",
            "statement/function statement/shuffled:function",
            "function/function file/file",
        ];
        assert_eq!(found(&encodings(&rows)), expected);
    }
}
