//! The supported programming languages.
//!
//! **Adding a language**: write `src/language/NAME.rs` with its [`Entry`], which says what its grammar calls
//! things and how it defines functions, and add its lines below. `scripts/check_functions_against_ctags.py`
//! compares it with another parser.

mod c;
mod cpp;
mod csharp;
mod entry;
mod go;
mod java;
mod javascript;
mod preprocessor;
mod python;
mod rust;
mod typescript;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(super) use self::entry::Entry;

macro_rules! languages {
    ($($module:ident => $language:ident),* $(,)?) => {
        /// A language with a grammar. Written in lower case, `python`, `csharp`; other spellings from data
        /// sets are accepted too, in any case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase", try_from = "String")]
        pub enum Language {
            $(
                #[doc = concat!("`", stringify!($module), "`")]
                $language,
            )*
        }

        impl Language {
            /// Every language, by name.
            pub const ALL: &[Language] = &[$(Language::$language),*];

            /// Everything specific to the language.
            pub(super) fn entry(self) -> &'static Entry {
                match self {
                    $(Language::$language => &$module::ENTRY,)*
                }
            }
        }
    };
}

languages! {
    c => C,
    cpp => Cpp,
    csharp => CSharp,
    go => Go,
    java => Java,
    javascript => JavaScript,
    python => Python,
    rust => Rust,
    typescript => TypeScript,
}

/// A name that is not a [`Language`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown language `{0}`: expected one of {names}", names = Language::names())]
pub struct LanguageError(String);

impl Language {
    /// The language of a file by its extension, if it is one of the known ones.
    pub fn of_path(path: &Path) -> Option<Language> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        let has = |language: &&Language| language.entry().extensions.contains(&extension.as_str());
        Language::ALL.iter().find(has).copied()
    }

    /// Its name, as written.
    pub fn name(self) -> &'static str {
        self.entry().names[0]
    }

    /// The names of all, for messages: `c, cpp, csharp`.
    pub fn names() -> String {
        Language::ALL.iter().map(Language::to_string).collect::<Vec<_>>().join(", ")
    }

    /// The file extensions of all, for messages: `.c, .h, .cc`.
    pub fn every_extension() -> String {
        let extensions = Language::ALL.iter().flat_map(|language| language.extensions());
        extensions.map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(", ")
    }

    /// Its title, and peculiarities of how it is read.
    pub fn about(self) -> &'static str {
        self.entry().about
    }

    /// The extensions of its files, in lower case, without the dot.
    pub fn extensions(self) -> &'static [&'static str] {
        self.entry().extensions
    }

    /// The start of a comment that ends with its line.
    pub fn line_comment(self) -> &'static str {
        self.entry().line_comment
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
        let name = text.to_ascii_lowercase();
        let has = |language: &&Language| language.entry().names.contains(&name.as_str());
        Language::ALL.iter().find(has).copied().ok_or_else(|| LanguageError(text.to_string()))
    }
}

impl TryFrom<String> for Language {
    type Error = LanguageError;

    fn try_from(text: String) -> Result<Self, LanguageError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RegionKind, Source, Unit, regions};

    #[test]
    fn names_round_trip_in_any_case() {
        for &language in Language::ALL {
            assert_eq!(language.to_string().to_uppercase().parse(), Ok(language));
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("\"{language}\""));
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
        }
        let error = "ruby".parse::<Language>().unwrap_err().to_string();
        assert!(error.contains("ruby") && error.contains("python") && error.contains("java"));
    }

    #[test]
    fn spellings_of_data_sets() {
        let spellings = [
            ("C++", Language::Cpp),
            ("C#", Language::CSharp),
            ("cs", Language::CSharp),
            ("JS", Language::JavaScript),
            ("ts", Language::TypeScript),
            ("golang", Language::Go),
        ];
        for (spelling, language) in spellings {
            assert_eq!(spelling.parse(), Ok(language));
            assert_eq!(serde_json::from_str::<Language>(&format!("\"{spelling}\"")).unwrap(), language);
        }
    }

    #[test]
    fn extensions_name_languages() {
        assert_eq!(Language::of_path(Path::new("a/b.py")), Some(Language::Python));
        assert_eq!(Language::of_path(Path::new("b.pyi")), Some(Language::Python));
        assert_eq!(Language::of_path(Path::new("B.JAVA")), Some(Language::Java));
        assert_eq!(Language::of_path(Path::new("a/b.hpp")), Some(Language::Cpp));
        assert_eq!(Language::of_path(Path::new("a.tsx")), Some(Language::TypeScript));
        assert_eq!(Language::of_path(Path::new("py")), None);
        assert_eq!(Language::of_path(Path::new("a.txt")), None);
    }

    #[test]
    fn no_two_share_a_name_or_an_extension() {
        let all = |of: fn(&Entry) -> &'static [&'static str]| {
            let mut all: Vec<_> = Language::ALL.iter().flat_map(|language| of(language.entry())).collect();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count);
        };
        all(|entry| entry.names);
        all(|entry| entry.extensions);
    }

    /// What universal-ctags and TypeScript's compiler find in real files: names, lines and last lines.
    #[test]
    fn functions_of_real_files() {
        macro_rules! fixtures {
            ($($name:literal),*) => {
                [$(($name, include_str!(concat!("../../tests/languages/", $name)))),*]
            };
        }
        let fixtures = fixtures![
            "MemoryTraceWriter.cs",
            "Subject.ts",
            "args.go",
            "logging.cc",
            "lzio.c",
            "scopeguard.rs",
            "slice.h",
            "view.js"
        ];
        let expected = include_str!("../../tests/languages/functions.json");
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        for (name, text) in fixtures {
            let source = Source { text, language: Language::of_path(Path::new(name)), file_starts: &[] };
            let found = regions(&source, Unit::FUNCTION).unwrap();
            let found: Vec<_> = found.iter().filter(|region| region.kind == RegionKind::Function).collect();
            let wanted = expected[name].as_array().unwrap();
            assert_eq!(found.len(), wanted.len(), "{name}");
            let line = |at: usize| text[..at].matches('\n').count() as u64 + 1;
            for (region, wanted) in found.into_iter().zip(wanted) {
                assert_eq!(region.name.as_deref(), wanted[0].as_str(), "{name}");
                let (first, last) = (line(region.start), line(region.end));
                let declared = wanted[1].as_u64().unwrap();
                assert!((first..=last).contains(&declared), "{name}: {region:?}");
                // What follows the last function joins it if it is blank.
                let ends = wanted[2].as_u64().is_none_or(|end| end == last || region.end == text.len());
                assert!(ends, "{name}: {region:?}");
            }
        }
    }

    /// A kind that no grammar has would be a definition that is never found.
    #[test]
    fn grammars_have_the_kinds() {
        for &language in Language::ALL {
            let entry = language.entry();
            for entry in [Some(entry), entry.dialect].into_iter().flatten() {
                let grammar = (entry.grammar)();
                let kinds = [entry.comments, entry.identifiers, entry.wrappers, entry.attributes];
                let more = [
                    entry.local_class_parents,
                    entry.additions,
                    entry.transparent,
                    entry.imports,
                    &[entry.root],
                ];
                for kind in kinds.into_iter().chain(more).flatten() {
                    assert_ne!(grammar.id_for_node_kind(kind, true), 0, "{language}: {kind}");
                }
            }
        }
    }
}
