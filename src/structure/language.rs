//! The programming languages whose structure is known, and what their grammars call things.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language with a grammar. Written `python`, `java`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Python 3 (`.py`, `.pyi`).
    Python,
    /// Java (`.java`).
    Java,
}

/// A name that is no [`Language`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown language `{0}`: expected python or java")]
pub struct LanguageError(String);

impl Language {
    /// The language of a file by its extension, if it is one of the known ones.
    pub fn of_path(path: &Path) -> Option<Language> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "py" | "pyi" => Some(Language::Python),
            "java" => Some(Language::Java),
            _ => None,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Java => "java",
        }
    }

    pub(super) fn grammar(self) -> tree_sitter::Language {
        match self {
            Language::Python => tree_sitter_python::LANGUAGE.into(),
            Language::Java => tree_sitter_java::LANGUAGE.into(),
        }
    }

    /// Function and method definitions. An element of a Java annotation type is no method.
    pub(super) fn is_function(self, kind: &str) -> bool {
        match self {
            Language::Python => kind == "function_definition",
            Language::Java => {
                matches!(
                    kind,
                    "method_declaration" | "constructor_declaration" | "compact_constructor_declaration"
                )
            }
        }
    }

    /// Class-like definitions that have a name.
    pub(super) fn is_class(self, kind: &str) -> bool {
        match self {
            Language::Python => kind == "class_definition",
            Language::Java => matches!(
                kind,
                "class_declaration"
                    | "interface_declaration"
                    | "enum_declaration"
                    | "record_declaration"
                    | "annotation_type_declaration"
            ),
        }
    }

    /// Names of variables, functions, members and types.
    pub(super) fn is_identifier(self, kind: &str) -> bool {
        match self {
            Language::Python => kind == "identifier",
            Language::Java => matches!(kind, "identifier" | "type_identifier"),
        }
    }

    /// Whether a class under such a parent is a local class outside of every method, as in a Java
    /// initialiser or a lambda of a field.
    pub(super) fn holds_local_classes(self, parent: &str) -> bool {
        self == Language::Java
            && matches!(parent, "block" | "constructor_body" | "switch_block_statement_group")
    }

    pub(super) fn is_comment(self, kind: &str) -> bool {
        match self {
            Language::Python => kind == "comment",
            Language::Java => matches!(kind, "line_comment" | "block_comment"),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(text: &str) -> Result<Self, LanguageError> {
        match text.to_ascii_lowercase().as_str() {
            "python" => Ok(Language::Python),
            "java" => Ok(Language::Java),
            _ => Err(LanguageError(text.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_any_case() {
        for language in [Language::Python, Language::Java] {
            assert_eq!(language.to_string().to_uppercase().parse(), Ok(language));
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("\"{language}\""));
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
        }
        let error = "ruby".parse::<Language>().unwrap_err().to_string();
        assert!(error.contains("ruby") && error.contains("python") && error.contains("java"));
    }

    #[test]
    fn extensions_name_languages() {
        assert_eq!(Language::of_path(Path::new("a/b.py")), Some(Language::Python));
        assert_eq!(Language::of_path(Path::new("b.pyi")), Some(Language::Python));
        assert_eq!(Language::of_path(Path::new("B.JAVA")), Some(Language::Java));
        assert_eq!(Language::of_path(Path::new("py")), None);
        assert_eq!(Language::of_path(Path::new("a.txt")), None);
    }
}
