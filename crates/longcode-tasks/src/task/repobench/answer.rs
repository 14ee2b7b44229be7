//! What of a generated text counts, and its outcome.

use serde::{Deserialize, Serialize};

use crate::task::similarity::{difflib_percent, indel_percent};
use crate::task::{Generated, Span, python};
use longcode_structure::Language;
use longcode_text::{Ended, Generation};

/// What a record is held to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    pub next_line: String,
    /// Lines of other files that the prompt leaves out.
    pub left_out_lines: usize,
}

/// What is stored of a record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub bucket: Span,
    left_out_lines: usize,
    next_line: String,
    #[serde(flatten)]
    answer: Answer,
    /// Without the other files, where that was asked.
    alone: Option<Answer>,
}

/// What a generated text makes.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    text: String,
    ended: Ended,
    /// The line of the text that counts.
    line: String,
    /// Percent, as the next two; 100 where the line is equal apart from white space.
    exact_match: f64,
    edit_similarity: f64,
    indel_similarity: f64,
}

impl Outcome {
    pub(super) fn new(
        bucket: Span,
        reference: Reference,
        language: Language,
        generated: Generated,
    ) -> Outcome {
        let Reference { next_line, left_out_lines } = reference;
        let answer = |generation| Answer::new(generation, &next_line, language);
        Outcome {
            bucket,
            left_out_lines,
            answer: answer(generated.generation),
            alone: generated.alone.map(answer),
            next_line,
        }
    }

    /// By metric, in percent.
    pub(super) fn figures(&self) -> Vec<(&'static str, f64)> {
        let percent = |yes: bool| if yes { 100.0 } else { 0.0 };
        let Answer { exact_match, edit_similarity, indel_similarity, .. } = self.answer;
        let mut figures = vec![
            ("exact_match", exact_match),
            ("edit_similarity", edit_similarity),
            ("indel_similarity", indel_similarity),
            ("truncated", percent(self.left_out_lines > 0)),
        ];
        if let Some(alone) = &self.alone {
            figures.push(("exact_match_gain", exact_match - alone.exact_match));
            figures.push(("edit_similarity_gain", edit_similarity - alone.edit_similarity));
        }
        figures
    }
}

impl Answer {
    fn new(generation: Generation, next_line: &str, language: Language) -> Answer {
        let Generation { text, ended, .. } = generation;
        let line = first_line_of_code(&text, language).to_string();
        let [exact_match, edit_similarity, indel_similarity] = scores(&line, next_line);
        Answer { edit_similarity, indel_similarity, exact_match, line, text, ended }
    }
}

/// In percent: equality apart from white space, and how alike the two are over difflib and over the Levenshtein library.
pub(super) fn scores(line: &str, next_line: &str) -> [f64; 3] {
    let exact = python::split(line).eq(python::split(next_line));
    // RepoBench's order of the two, which difflib's ratio depends on.
    [if exact { 100.0 } else { 0.0 }, difflib_percent(next_line, line), indel_percent(next_line, line)]
}

/// RepoBench's rule: the first line that is not empty and no comment; a line that begins a comment of several lines begins
/// one even where it ends it too. The first line where there is none.
pub(super) fn first_line_of_code(text: &str, language: Language) -> &str {
    let (line_comment, begins, ends): (&str, &[&str], &[&str]) = match language {
        Language::Python => ("#", &["\"\"\"", "'''"], &["\"\"\"", "'''"]),
        _ => ("//", &["/*"], &["*/"]),
    };
    let text = text.trim_start_matches('\n');
    let mut in_comment = false;
    let mut is_code = |line: &&str| {
        let line = python::strip(line);
        let ends_comment = in_comment && ends.iter().any(|end| line.ends_with(end));
        if line.is_empty() {
            return false;
        }
        if !in_comment && begins.iter().any(|begin| line.starts_with(begin)) {
            in_comment = true;
            return false;
        }
        if ends_comment {
            in_comment = false;
            return false;
        }
        !in_comment && !line.starts_with(line_comment)
    };
    text.split('\n').find(&mut is_code).or_else(|| text.split('\n').next()).unwrap_or_default()
}
