//! LongCodeQA of LongCodeBench: Zteefano/long-code-bench at c403924, inference/codeqa_eval.py. The record's
//! prompt is used unchanged. The runner there cuts the end of a prompt that is too long, and the question
//! with it; here the middle is cut.

use serde_json::Value;

use super::benchmark::{
    Answered, Entry, LETTER_LIKELIEST, LETTERS, OVER, Question, Score, TRUNCATED, number_of,
};
use super::orders::places_of_lines;
use crate::dataset::Record;
use crate::task::middle_cut::MiddleCut;
use crate::task::{Better, Metric, python};
use longcode_base::error::Result;

pub(super) const ENTRY: Entry = Entry {
    about: "LongCodeQA",
    question,
    cut: MiddleCut::LongBenchV2,
    max_new_tokens: 128,
    scores: &[Score { metric: "accuracy", of: accuracy }],
    metrics: &[
        Metric::percent("accuracy", Better::Higher)
            .in_lm_eval("acc")
            .titled("Accuracy (LongCodeBench's codeqa_eval.py), percent", OVER),
        LETTER_LIKELIEST,
        TRUNCATED,
    ],
};

fn question(record: &Record) -> Result<Option<Question>> {
    let prompt = record.text("prompt")?;
    let question = record.get("question")?.and_then(Value::as_str);
    Ok(Some(Question {
        places: places_of_lines(prompt, question),
        prompt: prompt.to_string(),
        letters: LETTERS.len(),
        // They are in the question's text, in no fixed form.
        options: Vec::new(),
        answer: number_of(record.text("correct_letter")?, "correct_letter", record)?,
        before_letter: "\nFinal Answer: ",
        before_option: "",
    }))
}

pub(super) fn accuracy(answered: &Answered) -> f64 {
    f64::from(letter(answered.text) == Some(answered.letter))
}

/// What follows the first `Final Answer:` that a letter follows or, if there is none, the last word, if it is
/// a letter; upper or lower case.
fn letter(response: &str) -> Option<&'static str> {
    let known =
        |found: char| LETTERS.into_iter().find(|letter| letter.eq_ignore_ascii_case(&found.to_string()));
    announced(response).or_else(|| {
        let mut backwards = python::strip(response).chars().rev();
        let last = known(backwards.next()?)?;
        let begins_word = backwards.next().is_none_or(|before| !(before.is_alphanumeric() || before == '_'));
        begins_word.then_some(last)
    })
}

/// The letter after `Final Answer:` and white space.
fn announced(response: &str) -> Option<&'static str> {
    const ANNOUNCED: &str = "final answer:";
    let lower = response.to_ascii_lowercase();
    let mut found = lower.match_indices(ANNOUNCED);
    found.find_map(|(at, _)| {
        let after = lower[at + ANNOUNCED.len()..].trim_start_matches(python::is_space);
        LETTERS.into_iter().find(|letter| after.starts_with(&letter.to_ascii_lowercase()))
    })
}
