//! What a segment is made of.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The unit that segments are made of (`docs/encodings.md`, "Segments"). Written `function`,
/// `function_authors`, `statement`, `tokens:N`, `file`, also in serde.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Unit {
    /// Functions and methods, and the code of classes and modules between them.
    Function,
    /// What the extractor of HiRoPE's authors takes as units.
    FunctionAuthors,
    /// Statements at any depth.
    Statement,
    /// So many tokens each.
    Tokens(NonZeroUsize),
    /// The files of a prompt.
    File,
}

impl Unit {
    /// What is used for a text in which no unit is found: 128 tokens each.
    pub const FALLBACK: Unit = Unit::Tokens(Self::FALLBACK_TOKENS);

    pub(super) const FALLBACK_TOKENS: NonZeroUsize = NonZeroUsize::new(128).unwrap();
}

/// A text that names no [`Unit`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown unit `{0}`: expected function, function_authors, statement, tokens:N (N at least 1) or file"
)]
pub struct UnitError(String);

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unit::Function => f.write_str("function"),
            Unit::FunctionAuthors => f.write_str("function_authors"),
            Unit::Statement => f.write_str("statement"),
            Unit::Tokens(n) => write!(f, "tokens:{n}"),
            Unit::File => f.write_str("file"),
        }
    }
}

impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text {
            "function" => Ok(Unit::Function),
            "function_authors" => Ok(Unit::FunctionAuthors),
            "statement" => Ok(Unit::Statement),
            "file" => Ok(Unit::File),
            _ => text
                .strip_prefix("tokens:")
                .and_then(|n| n.parse().ok())
                .map(Unit::Tokens)
                .ok_or_else(|| UnitError(text.to_string())),
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
    fn a_wrong_name_lists_the_choices() {
        for name in ["", "functions", "tokens", "tokens:", "tokens:0", "tokens:-1", "tokens:x"] {
            let error = name.parse::<Unit>().unwrap_err().to_string();
            for choice in ["function", "function_authors", "statement", "tokens:N", "file"] {
                assert!(error.contains(choice), "{error}");
            }
        }
        assert!(serde_json::from_str::<Unit>("\"tokens:0\"").is_err());
    }
}
