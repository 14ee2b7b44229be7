//! How definitions and the question about one of them are put together into a source file.

use super::needle::Needles;
use crate::error::Result;
use crate::model::Tokenizer;
use crate::structure::Language;

/// A definition as it stands in a prompt, with the blank lines after it.
#[derive(Debug)]
pub(super) struct Piece {
    pub text: String,
    /// What it adds to the tokens of a prompt, but for what the tokenizer joins across its ends.
    pub tokens: usize,
}

impl Piece {
    /// Of a definition that is not indented.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Tokenizer`] when it cannot be tokenized.
    pub fn new(definition: &str, language: Language, tokenizer: &Tokenizer) -> Result<Piece> {
        let text = placed(definition, language);
        // Blank lines at the end of a text have other tokens than those before a definition.
        let twice = tokenizer.encode(&text.repeat(2))?.ids.len();
        let tokens = twice - tokenizer.encode(&text)?.ids.len();
        Ok(Piece { text, tokens })
    }
}

/// What stands before the definitions.
pub(super) fn opening(language: Language) -> &'static str {
    match language {
        Language::Python => "",
        _ => "class Functions {\n",
    }
}

/// What stands after the definitions, up to where the answer goes. Most tokenizers join a space to the
/// number after it, so that the space belongs to the answer.
pub(super) fn question(needles: &Needles, language: Language) -> String {
    let call = needles.call(language);
    match language {
        Language::Python => format!("assert {call} =="),
        _ => format!("    static void check() {{\n        assert {call} =="),
    }
}

/// What follows the question where the function returns this.
pub(super) fn answer(returns: i64) -> String {
    format!(" {returns}")
}

/// A source file of this definition alone.
pub(super) fn module(definition: &str, language: Language) -> String {
    let closing = match language {
        Language::Python => "",
        _ => "}\n",
    };
    [opening(language), &placed(definition, language), closing].concat()
}

fn placed(definition: &str, language: Language) -> String {
    match language {
        Language::Python => format!("{definition}\n\n\n"),
        _ => {
            let indented = |line: &str| if line.is_empty() { String::new() } else { format!("    {line}") };
            let lines: Vec<String> = definition.lines().map(indented).collect();
            format!("{}\n\n", lines.join("\n"))
        }
    }
}
