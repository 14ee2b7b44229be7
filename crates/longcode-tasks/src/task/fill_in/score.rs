//! Scores of a generated text: by RepoEval's and CCLongEval's rules as Qwen's Coder models are evaluated
//! (QwenLM/Qwen3-Coder at 0ae30f5, fim-bench/eval_metric.py), and by CrossCodeEval's own (amazon-science/cceval at
//! 25f9cab, scripts/eval_metric.py and eval_utils.py).

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::task::python;
use crate::task::similarity::indel_percent;
use longcode_structure::{GapReader, Language};

/// Which part of a generated text counts, and how it is scored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scoring {
    /// As many lines as the target has: RepoEval's lines and API calls, CCLongEval's chunks.
    #[default]
    Lines,
    /// A function's body: RepoEval's and CCLongEval's functions.
    Function,
    /// A statement: CrossCodeEval.
    Statement,
}

/// What counts of a text, and its scores from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Scores {
    /// The part of the text that counts.
    pub counted: String,
    /// What it is compared with, if that is not the target as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub exact_match: f64,
    pub edit_similarity: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repoeval_similarity: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier_exact_match: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier_f1: Option<f64>,
    /// Whether no function was found, and the texts count as they stand; none for what is not a function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unparsed: Option<bool>,
}

impl Scoring {
    /// Scores a text that follows `before`, the whole of what comes before the gap.
    pub(super) fn score(self, before: &str, text: &str, target: &str, language: Option<Language>) -> Scores {
        match self {
            Scoring::Lines => of_tokens(first_lines(text, target), target, None, None),
            Scoring::Function => {
                let Found { text, target: body, unparsed } = function(before, text, target, language);
                let body = body.unwrap_or_else(|| target.into());
                let shown = (body != target).then(|| body.clone());
                of_tokens(text, &body, shown, Some(unparsed))
            }
            Scoring::Statement => statement(before, text, target, language),
        }
    }
}

/// Exact match by tokens, and both edit similarities.
fn of_tokens(counted: String, target: &str, shown: Option<String>, unparsed: Option<bool>) -> Scores {
    let (one, other) = (python::strip(&counted), python::strip(target));
    Scores {
        exact_match: f64::from(tokens(&counted) == tokens(target)),
        edit_similarity: indel_percent(one, other) / 100.0,
        repoeval_similarity: Some(repoeval_similarity(one, other)),
        identifier_exact_match: None,
        identifier_f1: None,
        target: shown,
        counted,
        unparsed,
    }
}

/// The lines of a text that are not empty, as many as the target has.
fn first_lines(text: &str, target: &str) -> String {
    let lines = |text: &'_ str| text.split('\n').filter(|line| !python::strip(line).is_empty()).count();
    let kept = text.split('\n').filter(|line| !python::strip(line).is_empty()).take(lines(target));
    kept.collect::<Vec<_>>().join("\n")
}

/// Code in tokens: what is no letter, digit or underscore stands by itself, camel case is divided, and all quotes are
/// alike.
pub(super) fn tokens(code: &str) -> Vec<String> {
    static APART: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("[^A-Za-z0-9_]").expect("a regular expression"));
    static CAMEL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("([a-z])([A-Z])").expect("a regular expression"));
    let code = APART.replace_all(code, " $0 ");
    let code = CAMEL.replace_all(&code, "$1 $2");
    python::split(&code).map(|token| token.replace(['"', '\''], "`")).collect()
}

/// 1 less the edit distance as a share of the longer text; 0 for two empty ones.
fn repoeval_similarity(one: &str, other: &str) -> f64 {
    let longer = one.chars().count().max(other.chars().count());
    if longer == 0 {
        return 0.0;
    }
    1.0 - rapidfuzz::distance::levenshtein::distance(one.chars(), other.chars()) as f64 / longer as f64
}

struct Found {
    text: String,
    target: Option<String>,
    unparsed: bool,
}

/// The body of the function that the gap is in, in the text and in the target.
///
/// The text is cut to its longest prefix with which all is read. If a body is not found the texts stay as they are from
/// there on.
fn function(before: &str, text: &str, target: &str, language: Option<Language>) -> Found {
    let unparsed = |text: &str| Found { text: text.into(), target: None, unparsed: true };
    let Some(mut reader) = language.and_then(GapReader::new) else { return unparsed(text) };
    let Some(end) = reader.longest_read(before, text) else { return unparsed(text) };
    let text = text[..end].trim_end_matches(python::is_space);
    let Some(number) = reader.bodies(&format!("{before}pass"), NODE, BODY).map(|bodies| bodies.len()) else {
        return unparsed(text);
    };
    let mut body = |completion: &str| {
        let code = format!("{before}{completion}");
        let bodies = reader.bodies(&code, NODE, BODY)?;
        // Python's index -1, where there is no function before the gap, is the last one.
        let found = if number == 0 { bodies.last() } else { bodies.get(number - 1) };
        found.map(|body| code[body.clone()].to_string())
    };
    let Some(found) = body(text) else { return unparsed(text) };
    match body(target) {
        Some(target) => Found { text: found, target: Some(target), unparsed: false },
        None => Found { text: found, target: None, unparsed: true },
    }
}

/// What Python's grammar calls a function, and its body.
const NODE: &str = "function_definition";
const BODY: &str = "block";

fn statement(before: &str, text: &str, target: &str, language: Option<Language>) -> Scores {
    let counted = without_comments(first_statement(before, text, language));
    let target = without_comments(target);
    let lines = |text: &str| -> Vec<String> {
        text.split('\n').map(python::strip).filter(|line| !line.is_empty()).map(String::from).collect()
    };
    let (ours, right) = (identifiers(&counted, language), identifiers(&target, language));
    Scores {
        exact_match: f64::from(lines(&counted) == lines(&target)),
        edit_similarity: indel_percent(python::strip(&counted), python::strip(&target)) / 100.0,
        repoeval_similarity: None,
        identifier_exact_match: Some(f64::from(ours == right)),
        identifier_f1: Some(f1(&ours, &right)),
        counted,
        target: Some(target),
        unparsed: None,
    }
}

/// Python: up to the first line's end up to which all is read. Other languages: up to the first `;`, `{` or `}`, unless
/// that is the first character.
fn first_statement<'t>(before: &str, text: &'t str, language: Option<Language>) -> &'t str {
    if language != Some(Language::Python) {
        return match text.find([';', '{', '}']) {
            None | Some(0) => text,
            Some(end) => &text[..end + 1],
        };
    }
    let Some(mut reader) = GapReader::new(Language::Python) else { return text };
    for (end, _) in text.match_indices('\n').filter(|(end, _)| *end > 0) {
        if reader.reads(&format!("{before}{}", &text[..end])) {
            return text[..end].trim_end_matches(python::is_space);
        }
    }
    text
}

fn without_comments(code: &str) -> String {
    static HASH: LazyLock<Regex> = LazyLock::new(|| Regex::new("#.*").expect("a regular expression"));
    static SLASHES: LazyLock<Regex> = LazyLock::new(|| Regex::new("//.*").expect("a regular expression"));
    SLASHES.replace_all(&HASH.replace_all(code, ""), "").into_owned()
}

/// Words outside of strings that begin like a name and are no keyword.
pub(super) fn identifiers(code: &str, language: Option<Language>) -> Vec<String> {
    static STRING: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r#""([^"\\]*(\\.[^"\\]*)*)"|'([^'\\]*(\\.[^'\\]*)*)'"#;
        Regex::new(pattern).expect("a regular expression")
    });
    let code = STRING.replace_all(code, "");
    let words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let begins = |word: &&str| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let keywords = keywords(language);
    words
        .filter(begins)
        .filter(|word| !keywords.split(' ').any(|keyword| keyword == *word))
        .map(String::from)
        .collect()
}

/// F1 of two sets of names.
fn f1(ours: &[String], right: &[String]) -> f64 {
    let [ours, right] = [ours, right].map(|names| names.iter().collect::<HashSet<_>>());
    let both = ours.intersection(&right).count();
    if ours.is_empty() && right.is_empty() {
        0.0
    } else {
        2.0 * both as f64 / (ours.len() + right.len()) as f64
    }
}

/// CrossCodeEval's keywords: Python's without True and False, and its lists for the other languages.
fn keywords(language: Option<Language>) -> &'static str {
    match language {
        Some(Language::Python) => PYTHON,
        Some(Language::Java) => JAVA,
        Some(Language::CSharp) => C_SHARP,
        Some(Language::TypeScript) => TYPESCRIPT,
        _ => "",
    }
}

const PYTHON: &str = "None and as assert async await break class continue def del elif else except finally for from global \
                      if import in is lambda nonlocal not or pass raise return try while with yield";
const JAVA: &str = "abstract assert boolean break byte case catch char class continue default do double else enum extends \
                    final finally float for if implements import instanceof int interface long native new package private \
                    protected public return short static strictfp super switch synchronized this throw throws transient try \
                    void volatile while var const goto";
const C_SHARP: &str = "abstract as base bool break byte case catch char checked class const continue decimal default delegate \
                       do double else enum event explicit extern finally fixed float for foreach goto if implicit in int \
                       interface internal is lock long namespace new null object operator out override params private \
                       protected public readonly ref return sbyte sealed short sizeof stackalloc static string struct switch \
                       this throw try typeof uint ulong unchecked unsafe ushort using static virtual void volatile while";
const TYPESCRIPT: &str = "break case catch class const continue debugger default delete do else export extends finally for \
                          function if import in instanceof new return super switch this throw try typeof var void while \
                          with yield enum implements interface let package private protected public static";
