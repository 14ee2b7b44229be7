//! How definitions and a question about one of them are assembled into a source file.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::needle::Needles;
use longcode_base::error::Result;
use longcode_structure::Language;
use longcode_text::Tokenizer;

/// The language of functions and question. Written `python`, `java`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptLanguage {
    /// Functions of a module.
    Python,
    /// Static methods of a class.
    Java,
}

impl From<PromptLanguage> for Language {
    fn from(language: PromptLanguage) -> Language {
        match language {
            PromptLanguage::Python => Language::Python,
            PromptLanguage::Java => Language::Java,
        }
    }
}

impl fmt::Display for PromptLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Language::from(*self).fmt(f)
    }
}

/// What comes directly before the answer.
pub(super) const EQUALS: &str = "==";

/// A definition as in a prompt, with the blank lines after it.
#[derive(Debug)]
pub(super) struct Piece {
    pub text: String,
    /// How many tokens it adds to a prompt, apart from what the tokenizer joins across its ends.
    pub tokens: usize,
}

impl Piece {
    /// A piece from a definition that is not indented.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Tokenizer`] when it cannot be tokenized.
    pub(super) fn new(definition: &str, language: PromptLanguage, tokenizer: &Tokenizer) -> Result<Piece> {
        let text = placed(definition, language);
        // Blank lines at the end of a text have other tokens than those before a definition.
        let twice = tokenizer.encode(&text.repeat(2))?.ids.len();
        let tokens = twice - tokenizer.encode(&text)?.ids.len();
        Ok(Piece { text, tokens })
    }
}

/// What precedes the definitions.
pub(super) fn opening(language: PromptLanguage) -> &'static str {
    match language {
        PromptLanguage::Python => "",
        PromptLanguage::Java => "class Functions {\n",
    }
}

/// What follows the definitions, up to where the answer goes. Most tokenizers join a space to the number
/// after it, so that the space belongs to the answer.
pub(super) fn question(needles: &Needles, language: PromptLanguage) -> String {
    let call = needles.call(language);
    match language {
        PromptLanguage::Python => format!("assert {call} {EQUALS}"),
        PromptLanguage::Java => format!("    static void check() {{\n        assert {call} {EQUALS}"),
    }
}

/// The answer if the function returns this.
pub(super) fn answer(returns: i64) -> String {
    format!(" {returns}")
}

/// A source file with only this definition.
pub(super) fn module(definition: &str, language: PromptLanguage) -> String {
    let closing = match language {
        PromptLanguage::Python => "",
        PromptLanguage::Java => "}\n",
    };
    [opening(language), &placed(definition, language), closing].concat()
}

fn placed(definition: &str, language: PromptLanguage) -> String {
    match language {
        PromptLanguage::Python => format!("{definition}\n\n\n"),
        PromptLanguage::Java => {
            let lines: Vec<String> = definition
                .lines()
                .map(|line| if line.is_empty() { String::new() } else { format!("    {line}") })
                .collect();
            format!("{}\n\n", lines.join("\n"))
        }
    }
}
