//! The part of a generated text that counts, and its outcome.

use serde::{Deserialize, Serialize};

use crate::task::line::{Line, Lines};
use crate::task::similarity::{difflib_percent, indel_percent};
use crate::task::{Generated, Span, percent, python};
use longcode_structure::Language;
use longcode_text::Generation;

/// The expected line.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Reference {
    pub next_line: String,
    /// Lines of other files that the prompt leaves out.
    pub left_out_lines: usize,
}

/// What is stored for a record.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::task) struct Outcome {
    pub bucket: Span,
    left_out_lines: usize,
    next_line: String,
    #[serde(flatten)]
    lines: Lines,
}

impl Outcome {
    /// The right answer, for people to read.
    pub(super) fn expected(&self) -> String {
        self.next_line.clone()
    }

    pub(super) fn new(
        bucket: Span,
        reference: Reference,
        language: Language,
        generated: Generated,
    ) -> Outcome {
        let Reference { next_line, left_out_lines } = reference;
        let lines = Lines::new(generated, |generation| line(generation, &next_line, language));
        Outcome { bucket, left_out_lines, lines, next_line }
    }

    /// Figures by metric, in percent.
    pub(super) fn figures(&self) -> Vec<(&'static str, f64)> {
        self.lines.figures(self.left_out_lines > 0)
    }
}

fn line(generation: Generation, next_line: &str, language: Language) -> Line {
    let Generation { text, ended, .. } = generation;
    let line = first_line_of_code(&text, language).to_string();
    let [exact_match, edit_similarity, indel_similarity] = scores(&line, next_line);
    Line { exact_match, edit_similarity, indel_similarity: Some(indel_similarity), line, text, ended }
}

/// In percent: equality apart from white space, and the similarity of the two by difflib and by the
/// Levenshtein library.
pub(super) fn scores(line: &str, next_line: &str) -> [f64; 3] {
    let exact = python::split(line).eq(python::split(next_line));
    // RepoBench's order of the two, on which difflib's ratio depends.
    [percent(exact), difflib_percent(next_line, line), indel_percent(next_line, line)]
}

/// RepoBench's rule: the first line that is neither empty nor a comment; a line that begins a comment of
/// several lines begins one even if it also ends it. The first line if there is none.
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
