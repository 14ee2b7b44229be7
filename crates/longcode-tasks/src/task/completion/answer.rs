//! The part of a generated text that counts, and its outcome.

use serde::{Deserialize, Serialize};

use crate::task::similarity::{difflib_percent, indel_percent};
use crate::task::{Span, python};
use longcode_text::{Ended, Generation};

/// The expected answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::task) struct Reference {
    pub answers: Vec<String>,
    /// Tokens left out from the middle of the prompt.
    pub truncated_tokens: usize,
}

/// What is stored for a record.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    pub bucket: Span,
    pub truncated_tokens: usize,
    text: String,
    ended: Ended,
    /// The line of the text that counts.
    line: String,
    answers: Vec<String>,
    /// In percent; the best over the answers, like the next two.
    pub edit_similarity: f64,
    /// In percent.
    pub indel_similarity: f64,
    /// Whether it is equal apart from white space.
    pub exact_match: bool,
}

impl Outcome {
    /// The right answer, for people to read.
    pub(super) fn expected(&self) -> String {
        self.answers.join("\n")
    }

    pub(super) fn new(bucket: Span, reference: Reference, generation: Generation) -> Outcome {
        let line = line_of_code(&generation.text).to_string();
        let Reference { answers, truncated_tokens } = reference;
        let best = |percent: fn(&str, &str) -> f64| {
            answers.iter().map(|answer| percent(&line, answer)).fold(0.0, f64::max)
        };
        Outcome {
            bucket,
            truncated_tokens,
            edit_similarity: best(difflib_percent),
            indel_similarity: best(indel_percent),
            exact_match: answers.iter().any(|answer| python::split(&line).eq(python::split(answer))),
            text: generation.text,
            ended: generation.ended,
            line,
            answers,
        }
    }
}

/// LongBench's rule: the first line after leading newlines without a backtick, `#` or `//`; empty if there is
/// none.
fn line_of_code(text: &str) -> &str {
    text.trim_start_matches('\n').split('\n').find(|line| is_code(line)).unwrap_or_default()
}

/// Whether the line that counts is complete, so that more text would change nothing.
pub(super) fn has_line_of_code(text: &str) -> bool {
    let whole = text.trim_start_matches('\n').rsplit_once('\n').map(|(whole, _)| whole);
    whole.is_some_and(|whole| whole.split('\n').any(is_code))
}

fn is_code(line: &str) -> bool {
    !line.contains(['`', '#']) && !line.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::testing::generation;

    fn outcome(text: &str, answers: &[&str]) -> Outcome {
        let answers = answers.iter().map(|answer| answer.to_string()).collect();
        let generation = generation(text, Ended::Stop);
        Outcome::new(Span { from: 0, to: Span::OPEN }, Reference { answers, truncated_tokens: 0 }, generation)
    }

    #[test]
    fn the_first_line_that_is_code() {
        for (text, line) in [
            ("x = 1\ny", "x = 1"),
            ("\n\n  x\n", "  x"),
            ("# a\n```py\n// b\nx\n", "x"),
            ("# a\n\nx", ""),
            ("# a", ""),
            ("a / b\r\nx", "a / b\r"),
        ] {
            assert_eq!(line_of_code(text), line, "{text:?}");
        }
    }

    #[test]
    fn generation_stops_where_nothing_can_change() {
        for (text, stops) in
            [("x = 1", false), ("x = 1\n", true), ("\n\n", false), ("# a\n", false), ("# a\nx\n", true)]
        {
            assert_eq!(has_line_of_code(text), stops, "{text:?}");
        }
        // LongBench takes an empty line after one that is not code.
        assert!(has_line_of_code("# a\n\n") && line_of_code("# a\n\nx").is_empty());
    }

    #[test]
    fn the_best_answer_counts() {
        let best = outcome("diet\n", &["tide", "dine"]);
        assert_eq!((best.edit_similarity, best.indel_similarity, best.exact_match), (75.0, 75.0, false));
        let equal = outcome("  x  = 1\n", &["y", "x = 1"]);
        assert!(equal.exact_match && equal.edit_similarity < 100.0);
        assert_eq!(outcome("# only\n", &["x"]).edit_similarity, 0.0);
    }
}
