//! The part of a generated text that counts as the function, and which of the repository's functions it is.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::bleu::bleu;
use super::prompt::FENCE;
use crate::task::python;
use longcode_structure::{Language, first_captured};
use longcode_text::{Ended, Generation, PromptStyle};

/// A function of a repository that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Function {
    pub name: String,
    pub text: String,
}

/// The expected function.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Reference {
    pub language: Language,
    /// Depth in percent of the context.
    pub depth: u8,
    /// Number of the function asked for.
    pub asked: usize,
    /// The functions of the repository.
    pub(super) functions: Vec<Function>,
}

/// What is stored for a needle.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    pub language: Language,
    pub depth: u8,
    text: String,
    ended: Ended,
    /// The part of the text that counts.
    function: String,
    asked: String,
    /// The function that it is most similar to; none if it shares no word with any.
    best: Option<String>,
    /// BLEU with that one.
    similarity: f64,
    /// BLEU with the one asked for.
    pub own_similarity: f64,
}

impl Outcome {
    /// The right answer, for people to read.
    pub(super) fn expected(&self) -> String {
        self.asked.clone()
    }

    pub(super) fn new(reference: Reference, style: PromptStyle, generation: Generation) -> Outcome {
        let Generation { text, ended, .. } = generation;
        // A base model answers within a block that the prompt opened.
        let answer = match style {
            PromptStyle::Raw => text.split(FENCE).next().unwrap_or_default(),
            PromptStyle::Chat => &text,
        };
        let function = function(answer, reference.language);
        let mut best: Option<(&Function, f64)> = None;
        for other in &reference.functions {
            let similarity = bleu(&other.text, &function);
            if similarity > best.map_or(0.0, |(_, best)| best) {
                best = Some((other, similarity));
            }
        }
        let asked = &reference.functions[reference.asked];
        Outcome {
            language: reference.language,
            depth: reference.depth,
            best: best.map(|(function, _)| function.name.clone()),
            similarity: best.map_or(0.0, |(_, similarity)| similarity),
            own_similarity: bleu(&asked.text, &function),
            asked: asked.name.clone(),
            function,
            text,
            ended,
        }
    }

    /// Whether the right function is the most similar one, with at least this similarity.
    pub(super) fn passes(&self, similarity: f64) -> bool {
        self.best.as_ref() == Some(&self.asked) && self.similarity >= similarity
    }
}

/// The first function in a code block; the first block if none has one, and the whole text if there is no
/// block.
pub(super) fn function(text: &str, language: Language) -> String {
    static BLOCK: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?ms)^```(?:\w+)?\s*\n(.*?)^```").expect("a regular expression"));
    let text = python::strip(text);
    let blocks: Vec<&str> =
        BLOCK.captures_iter(text).map(|found| found.get(1).expect("a group").as_str()).collect();
    let function = blocks
        .iter()
        .find_map(|block| Some(block[first_captured(block, language, query(language)?)?].to_string()));
    function.unwrap_or_else(|| blocks.first().copied().unwrap_or(text).to_string())
}

/// The query for a function in RepoQA's code (utility.py), for the languages that it knows.
fn query(language: Language) -> Option<&'static str> {
    Some(match language {
        Language::Python => "(function_definition name: (_)) @function",
        Language::Java => "(method_declaration name: (_)) @function",
        Language::TypeScript | Language::Go => "(function_declaration name: (_)) @function",
        Language::Rust => "(function_item name: (_)) @function",
        Language::Cpp => {
            "(function_definition declarator: (function_declarator declarator: (identifier))) @function"
        }
        _ => return None,
    })
}
