//! What a segment is made of: the kinds of units there are, and a unit as users write it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::outline::Outline;
use super::syntax::Parsed;
use super::{authors, file, function, statement, tokens};

/// A kind of unit. Its file has its entry, and [`UnitKind::ALL`] names it: parsing, error messages, help and the checks of
/// the documents come from there.
pub struct UnitKind {
    /// As written in configs, without the `:N` of `tokens:N`.
    pub name: &'static str,
    /// Where its boundaries are, in a line.
    pub about: &'static str,
    /// How it divides one file.
    pub(super) divide: Divide,
}

/// What a unit needs of a file to divide it, and how it does so.
pub(super) enum Divide {
    /// The tree of the parser, so a language that is known here.
    Tree(fn(&Parsed, &str) -> Outline),
    /// The text alone. No boundary may depend on what follows the line it stands in:
    /// [`super::segments_prefix_only`] does not divide the text anew at every line.
    Text(fn(&str) -> Outline),
    /// Nothing but the number of tokens: so many each. Written with a number, as `tokens:128`.
    Tokens,
}

impl UnitKind {
    /// All kinds. A new one is a file beside this one and a name here.
    pub const ALL: &[UnitKind] =
        &[function::ENTRY, authors::ENTRY, statement::ENTRY, tokens::ENTRY, file::ENTRY];

    /// How a unit of this kind is written: `function`, `tokens:N`.
    pub fn form(&self) -> String {
        let number = if matches!(self.divide, Divide::Tokens) { ":N" } else { "" };
        format!("{}{number}", self.name)
    }
}

/// Kinds are told apart by their names.
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

/// The unit that segments are made of (`docs/encodings.md`, "Segments"). Written `function`,
/// `function_authors`, `statement`, `tokens:N`, `file`, also in serde.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit {
    kind: &'static UnitKind,
    /// The number of `tokens:N`, which has one, and no other kind does.
    number: Option<NonZeroUsize>,
}

impl Unit {
    /// Functions and methods, and the code of classes and modules between them.
    pub const FUNCTION: Unit = Unit::of(&function::ENTRY);
    /// What the extractor of HiRoPE's authors takes as units.
    pub const FUNCTION_AUTHORS: Unit = Unit::of(&authors::ENTRY);
    /// Statements at any depth.
    pub const STATEMENT: Unit = Unit::of(&statement::ENTRY);
    /// The files of a prompt.
    pub const FILE: Unit = Unit::of(&file::ENTRY);
    /// What is used for a text in which no unit is found: 128 tokens each.
    pub const FALLBACK: Unit = Unit::tokens(Self::FALLBACK_TOKENS);

    pub(super) const FALLBACK_TOKENS: NonZeroUsize = NonZeroUsize::new(128).unwrap();

    const fn of(kind: &'static UnitKind) -> Unit {
        Unit { kind, number: None }
    }

    /// So many tokens each.
    pub const fn tokens(number: NonZeroUsize) -> Unit {
        Unit { kind: &tokens::ENTRY, number: Some(number) }
    }

    /// Every unit as it is written, for help and error messages: `function, ..., tokens:N or file`.
    pub fn choices() -> String {
        let forms: Vec<String> = UnitKind::ALL.iter().map(UnitKind::form).collect();
        let (last, others) = forms.split_last().expect("there are kinds");
        format!("{} or {last}", others.join(", "))
    }

    /// Whether it is found in a parser's tree, so that a text in a language without one has none.
    pub fn needs_tree(self) -> bool {
        matches!(self.kind.divide, Divide::Tree(_))
    }

    /// Whether it knows no bytes of the text, so that [`super::regions()`] has no answer.
    pub fn needs_tokens(self) -> bool {
        matches!(self.kind.divide, Divide::Tokens)
    }

    /// How it divides a file.
    pub(super) fn divide(self) -> &'static Divide {
        &self.kind.divide
    }

    /// Tokens each, where it is made of a number of them.
    pub(super) fn number(self) -> Option<NonZeroUsize> {
        self.number
    }
}

/// A text that names no [`Unit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown unit `{0}`: expected {choices}, N at least 1", choices = Unit::choices())]
pub struct UnitError(String);

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let unknown = || UnitError(text.to_string());
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let kind = UnitKind::ALL.iter().find(|kind| kind.name == name).ok_or_else(unknown)?;
        match (&kind.divide, number) {
            (Divide::Tokens, Some(number)) => number.parse().map(Unit::tokens).map_err(|_| unknown()),
            (Divide::Tree(_) | Divide::Text(_), None) => Ok(Unit::of(kind)),
            (Divide::Tokens, None) | (_, Some(_)) => Err(unknown()),
        }
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
        for name in ["function", "function_authors", "statement", "tokens:1", "tokens:128", "file"] {
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
}
