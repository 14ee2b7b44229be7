//! What a segment is: the kinds of units, and a unit as users write it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::outline::Outline;
use super::syntax::Parsed;
use super::{Control, authors, file, function, group, paragraph, section, sentence, statement, tokens};

/// A kind of unit. Its file has its entry, and [`UnitKind::ALL`] lists it; parsing, error messages, help and
/// the checks of the documents use that list.
pub struct UnitKind {
    /// Its name in configs, without the `:N` of `tokens:N`.
    pub name: &'static str,
    /// Where its boundaries are, in one line.
    pub about: &'static str,
    /// How it divides one file.
    pub(super) divide: Divide,
}

/// What a unit needs from a file to divide it, and how it does so.
pub(super) enum Divide {
    /// The parser's tree, so a supported language.
    Tree(fn(&Parsed, &str) -> Outline),
    /// Only the text. A boundary may depend on what follows its line, so that [`super::segments_prefix_only`] has no
    /// answer but for files.
    Text(fn(&str) -> Outline),
    /// Only the number of tokens: this many each. Written with a number, as `tokens:128`.
    Tokens,
}

impl UnitKind {
    /// All kinds. A new one is a file in this folder and a name here.
    pub const ALL: &[UnitKind] = &[
        function::ENTRY,
        authors::ENTRY,
        statement::ENTRY,
        paragraph::ENTRY,
        sentence::ENTRY,
        section::ENTRY,
        group::ENTRY,
        tokens::ENTRY,
        file::ENTRY,
    ];

    /// How a unit of this kind is written: `function`, `tokens:N`.
    pub fn form(&self) -> String {
        let number = if matches!(self.divide, Divide::Tokens) { ":N" } else { "" };
        format!("{}{number}", self.name)
    }
}

/// Kinds are equal if their names are.
impl PartialEq for UnitKind {
    fn eq(&self, other: &UnitKind) -> bool {
        self.name == other.name
    }
}

impl Eq for UnitKind {}

impl Hash for UnitKind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// The unit of segments (`docs/encodings.md`, "Segments"). Written `function`, `function_authors`,
/// `statement`, `paragraph`, `sentence`, `section`, `group`, `tokens:N`, `file`, or a control of one of them, `even:UNIT` or `shuffled:UNIT`; also in
/// serde.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit {
    kind: &'static UnitKind,
    /// The number of `tokens:N`; no other kind has one.
    number: Option<NonZeroUsize>,
    control: Option<Control>,
}

impl Unit {
    /// Functions and methods, and the code of classes and modules between them.
    pub const FUNCTION: Unit = Unit::of(&function::ENTRY);
    /// The units of the extractor by HiRoPE's authors.
    pub const FUNCTION_AUTHORS: Unit = Unit::of(&authors::ENTRY);
    /// Statements at any depth.
    pub const STATEMENT: Unit = Unit::of(&statement::ENTRY);
    /// Paragraphs of prose.
    pub const PARAGRAPH: Unit = Unit::of(&paragraph::ENTRY);
    /// The files of a prompt.
    pub const FILE: Unit = Unit::of(&file::ENTRY);
    /// The unit for a text in which no unit is found: 128 tokens each.
    pub const FALLBACK: Unit = Unit::tokens(Self::FALLBACK_TOKENS);

    pub(super) const FALLBACK_TOKENS: NonZeroUsize = NonZeroUsize::new(128).unwrap();

    const fn of(kind: &'static UnitKind) -> Unit {
        Unit { kind, number: None, control: None }
    }

    /// This many tokens each.
    pub const fn tokens(number: NonZeroUsize) -> Unit {
        Unit { kind: &tokens::ENTRY, number: Some(number), control: None }
    }

    /// Every unit as it is written, for help and error messages: `function, ..., tokens:N or file, or a
    /// control of one: even:UNIT or shuffled:UNIT`.
    pub fn choices() -> String {
        let controls = listed(Control::ALL.iter().map(|control| control.form()));
        format!("{}, or a control of one: {controls}", plain_choices())
    }

    /// Its control, if it is a control of another unit.
    pub fn control(self) -> Option<Control> {
        self.control
    }

    /// The unit itself, without a control.
    pub fn without_control(self) -> Unit {
        Unit { control: None, ..self }
    }

    /// A control of it, replacing any other.
    pub fn with_control(self, control: Control) -> Unit {
        Unit { control: Some(control), ..self }
    }

    /// Whether it, or the unit it controls, is found in a parser's tree, so that a text in an unsupported
    /// language has none.
    pub fn needs_tree(self) -> bool {
        matches!(self.kind.divide, Divide::Tree(_))
    }

    /// Whether a text may have none of it, so that another unit takes its place.
    pub fn may_be_missing(self) -> bool {
        !matches!(self.kind.divide, Divide::Tokens) && self.kind != &file::ENTRY
    }

    /// Whether its boundaries are between tokens and not at bytes, so that [`super::regions()`] has no
    /// answer.
    pub fn needs_tokens(self) -> bool {
        self.control.is_some() || matches!(self.kind.divide, Divide::Tokens)
    }

    /// The same for prose, which has no functions or statements: paragraphs in their place, under the same control.
    pub fn in_prose(self) -> Unit {
        if self.needs_tree() { Unit { control: self.control, ..Unit::PARAGRAPH } } else { self }
    }

    /// Whether it can be found in the text before each token alone ([`super::segments_prefix_only`]).
    pub fn has_prefixes(self) -> bool {
        let looks_ahead = matches!(self.kind.divide, Divide::Text(_)) && self.kind != &file::ENTRY;
        self.control.is_none() && !looks_ahead
    }

    /// How it divides a file.
    pub(super) fn divide(self) -> &'static Divide {
        &self.kind.divide
    }

    /// Tokens of each segment, if it is made of a number of them.
    pub fn number(self) -> Option<NonZeroUsize> {
        self.number
    }
}

/// The units that are not controls, as they are written.
fn plain_choices() -> String {
    listed(UnitKind::ALL.iter().map(UnitKind::form))
}

/// `a, b or c`.
fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    match names.split_last() {
        Some((last, others @ [_, ..])) => format!("{} or {last}", others.join(", ")),
        _ => names.concat(),
    }
}

/// A text that does not name a [`Unit`]: what is wrong with it, and the choices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

impl UnitError {
    fn unknown(text: &str) -> UnitError {
        UnitError(format!("unknown unit `{text}`: expected {}; N is at least 1", Unit::choices()))
    }

    fn unknown_in_control(text: &str, unit: &str) -> UnitError {
        UnitError(format!("unknown unit `{unit}` in `{text}`: expected {}; N is at least 1", plain_choices()))
    }

    fn control_of_control(text: &str, control: Control) -> UnitError {
        let choices = plain_choices();
        UnitError(format!(
            "`{text}` is a control of a control: expected {choices} after `{control}:`; N is at least 1"
        ))
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(control) = self.control {
            write!(f, "{control}:")?;
        }
        f.write_str(self.kind.name)?;
        match self.number {
            Some(number) => write!(f, ":{number}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unit({self})")
    }
}

impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let Some((control, unit)) = split_control(text) else {
            return plain(text).ok_or_else(|| UnitError::unknown(text));
        };
        if split_control(unit).is_some() {
            return Err(UnitError::control_of_control(text, control));
        }
        let unit = plain(unit).ok_or_else(|| UnitError::unknown_in_control(text, unit))?;
        Ok(unit.with_control(control))
    }
}

/// A control and what follows it.
fn split_control(text: &str) -> Option<(Control, &str)> {
    let (name, unit) = text.split_once(':')?;
    let control = Control::ALL.iter().find(|control| control.name() == name)?;
    Some((*control, unit))
}

/// The unit with this name, which is not a control.
fn plain(text: &str) -> Option<Unit> {
    let (name, number) = match text.split_once(':') {
        Some((name, number)) => (name, Some(number)),
        None => (text, None),
    };
    let kind = UnitKind::ALL.iter().find(|kind| kind.name == name)?;
    match (&kind.divide, number) {
        (Divide::Tokens, Some(number)) => number.parse().ok().map(Unit::tokens),
        (Divide::Tree(_) | Divide::Text(_), None) => Some(Unit::of(kind)),
        (Divide::Tokens, None) | (_, Some(_)) => None,
    }
}

impl TryFrom<String> for Unit {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> String {
        unit.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let plain =
            ["function", "function_authors", "statement", "tokens:1", "tokens:128", "file", "paragraph"];
        for name in plain.into_iter().chain(["even:function", "shuffled:file", "even:tokens:32"]) {
            let unit: Unit = name.parse().unwrap();
            assert_eq!(unit.to_string(), name);
            let json = serde_json::to_string(&unit).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<Unit>(&json).unwrap(), unit);
        }
        assert_eq!(Unit::FALLBACK.to_string(), "tokens:128");
    }

    #[test]
    fn every_kind_has_a_name_of_its_own_and_says_what_it_is() {
        for (number, kind) in UnitKind::ALL.iter().enumerate() {
            assert!(UnitKind::ALL[..number].iter().all(|other| other != kind), "{}", kind.name);
            assert!(!kind.about.is_empty() && !kind.name.contains([':', '/', ',']), "{}", kind.name);
            let unit: Unit = kind.form().replace('N', "7").parse().unwrap();
            assert_eq!(unit.kind.name, kind.name);
        }
    }

    #[test]
    fn a_wrong_name_lists_the_choices() {
        for name in ["", "functions", "tokens", "tokens:", "tokens:0", "tokens:-1", "tokens:x", "file:3"] {
            let error = name.parse::<Unit>().unwrap_err().to_string();
            for choice in ["function", "function_authors", "statement", "tokens:N", "file"] {
                assert!(error.contains(choice), "{error}");
            }
        }
        assert!(serde_json::from_str::<Unit>("\"tokens:0\"").is_err());
    }

    #[test]
    fn a_control_of_no_unit_or_of_a_control_is_refused() {
        let error = |name: &str| name.parse::<Unit>().unwrap_err().to_string();
        let choices = "expected function, function_authors, statement, paragraph, sentence, section, group, tokens:N or file";
        let whole = "tokens:N or file, or a control of one: even:UNIT or shuffled:UNIT";
        assert!(error("even").contains(whole) && error("uneven:function").contains(whole));
        for (name, unit) in [("even:", ""), ("shuffled:functions", "functions"), ("even:tokens", "tokens")] {
            let error = error(name);
            assert!(error.starts_with(&format!("unknown unit `{unit}` in `{name}`: {choices};")), "{error}");
        }
        for name in ["even:even:function", "shuffled:even:tokens:2", "even:shuffled:nothing"] {
            let error = error(name);
            assert!(
                error.starts_with(&format!("`{name}` is a control of a control: {choices} after `")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_control_needs_tokens_and_what_its_unit_needs() {
        let needs = |name: &str| {
            let unit: Unit = name.parse().unwrap();
            (unit.needs_tree(), unit.needs_tokens())
        };
        assert_eq!(needs("function"), (true, false));
        assert_eq!(needs("even:function"), (true, true));
        assert_eq!(needs("file"), (false, false));
        assert_eq!(needs("shuffled:tokens:3"), (false, true));
    }
}
