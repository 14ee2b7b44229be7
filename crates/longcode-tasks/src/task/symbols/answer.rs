//! What a generated text says about symbols, and its outcome.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use longcode_text::{Ended, Generation};

/// A function's or class's name, and where it is defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::task) struct Symbol {
    pub name: String,
    /// Token of the prompt at which the definition begins; none if unknown.
    pub position: Option<usize>,
}

/// What is stored for a file.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    text: String,
    ended: Ended,
    pub(super) symbols: Vec<Found>,
    /// Different identifiers that the text lists.
    pub listed: usize,
    /// How many of them are symbols.
    pub right: usize,
}

/// The result for a symbol.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Found {
    #[serde(flatten)]
    pub symbol: Symbol,
    /// Whether its name is a part of the text: the paper's rule.
    pub found: bool,
    /// Whether its name is one of the identifiers listed.
    pub exact: bool,
}

impl Outcome {
    /// The right answer, for people to read.
    pub(super) fn expected(&self) -> String {
        self.symbols.iter().map(|one| &one.symbol.name[..]).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn new(symbols: Vec<Symbol>, generation: Generation) -> Outcome {
        let text = generation.text;
        let (list, is_closed) = list(&text);
        // The limit may have cut the last word.
        let cut = generation.ended == Ended::MaxNewTokens && !is_closed;
        let listed = identifiers(if cut { list.trim_end_matches(is_of_word) } else { list });
        let names: BTreeSet<&str> = symbols.iter().map(|symbol| symbol.name.as_str()).collect();
        let (right, listed_count) = (listed.intersection(&names).count(), listed.len());
        let symbols = symbols
            .iter()
            .map(|symbol| Found {
                symbol: symbol.clone(),
                found: text.contains(&symbol.name),
                exact: listed.contains(symbol.name.as_str()),
            })
            .collect();
        Outcome { symbols, listed: listed_count, right, ended: generation.ended, text }
    }
}

/// The part of an answer that is a list: from an opening bracket to the one that closes it or, if the answer
/// does not begin with one, up to the first empty line. All of it if there is no such end; also gives whether
/// there is.
fn list(answer: &str) -> (&str, bool) {
    let answer = answer.trim_start();
    let closing = match answer.chars().next() {
        Some('[') => ['[', ']'],
        Some('(') => ['(', ')'],
        Some('{') => ['{', '}'],
        _ => return answer.find("\n\n").map_or((answer, false), |end| (&answer[..end], true)),
    };
    let mut open = 0;
    for (at, bracket) in answer.match_indices(closing) {
        open = if bracket.starts_with(closing[0]) { open + 1 } else { open - 1 };
        if open == 0 {
            return (&answer[..at], true);
        }
    }
    (answer, false)
}

/// Runs of letters, digits and underscores that do not begin with a digit, in quotes or bare.
fn identifiers(list: &str) -> BTreeSet<&str> {
    let words = list.split(|c: char| !is_of_word(c));
    words.filter(|word| word.starts_with(|c: char| !c.is_numeric())).collect()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::testing::generation;

    fn listed(answer: &str) -> Vec<&str> {
        identifiers(list(answer).0).into_iter().collect()
    }

    #[test]
    fn lists_of_strings_and_of_bare_words() {
        assert_eq!(listed("['b', \"a_1\", 'b', '2x']\n\ndef c(): pass"), ["a_1", "b"]);
        assert_eq!(listed("[('a', [1]), b.c(), größe]\nd"), ["a", "b", "c", "größe"]);
        assert_eq!(listed(" a, b\nc\n\nd"), ["a", "b", "c"]);
        assert_eq!(listed("{'f': ['a'"), ["a", "f"]);
        assert!(listed("").is_empty() && listed("[]").is_empty() && listed("12, 3").is_empty());
    }

    #[test]
    fn a_part_of_a_name_is_found_and_not_exact() {
        let symbols = ["get", "get_all", "Set", "run"];
        let symbols: Vec<_> =
            symbols.map(|name| Symbol { name: name.into(), position: None }).into_iter().collect();
        let generation = generation("['get_all', 'other']\n\nrun()", Ended::MaxNewTokens);
        let outcome = Outcome::new(symbols, generation);
        let became: Vec<_> = outcome.symbols.iter().map(|symbol| (symbol.found, symbol.exact)).collect();
        assert_eq!(became, [(true, false), (true, true), (false, false), (true, false)]);
        assert_eq!((outcome.listed, outcome.right), (2, 1));
    }

    #[test]
    fn a_name_that_the_limit_cut_is_not_listed() {
        let listed = |text: &str, ended| {
            let generation = generation(text, ended);
            Outcome::new(Vec::new(), generation).listed
        };
        assert_eq!(listed("['get', 'proces", Ended::MaxNewTokens), 1);
        assert_eq!(listed("['get', 'process'", Ended::MaxNewTokens), 2);
        assert_eq!(listed("['get', 'process'] or", Ended::MaxNewTokens), 2);
        assert_eq!(listed("get, process", Ended::EndOfSequence), 2);
        assert_eq!(listed("get, proces", Ended::MaxNewTokens), 1);
        assert_eq!(listed("['FixIm", Ended::MaxNewTokens), 0);
    }
}
