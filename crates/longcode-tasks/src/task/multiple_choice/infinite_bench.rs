//! InfiniteBench's Code.Debug: which function was made to crash. OpenBMB/InfiniteBench at 88b3daa,
//! src/prompt.py (for base models), eval_utils.py and compute_scores.py; and its scorer after pull request
//! 22.

use serde_json::Value;

use super::benchmark::{
    Answered, Entry, LETTER_LIKELIEST, LETTERS, OPTION_LIKELIEST, OPTION_LIKELIEST_PER_BYTE, OVER, Question,
    Score, TRUNCATED, number_of,
};
use super::orders::places;
use crate::dataset::Record;
use crate::task::middle_cut::MiddleCut;
use crate::task::{Better, Metric, python};
use longcode_base::error::{Error, ErrorKind, Result};

pub(super) const ENTRY: Entry = Entry {
    about: "InfiniteBench's Code.Debug",
    question,
    cut: MiddleCut::InfiniteBench,
    max_new_tokens: 5,
    scores: &[
        Score { metric: "accuracy_88b3daa", of: |answered| f64::from(is_right(answered)) },
        Score { metric: "accuracy_pr22", of: |answered| f64::from(is_right_since_pull_request(answered)) },
    ],
    metrics: &[
        Metric::percent("accuracy_88b3daa", Better::Higher)
            .in_lm_eval("acc_88b3daa")
            .titled("Accuracy (InfiniteBench's scorer at 88b3daa), percent", OVER),
        Metric::percent("accuracy_pr22", Better::Higher)
            .in_lm_eval("acc_pr22")
            .titled("Accuracy (InfiniteBench's scorer after pull request 22), percent", OVER),
        LETTER_LIKELIEST,
        OPTION_LIKELIEST,
        OPTION_LIKELIEST_PER_BYTE,
        TRUNCATED,
    ],
};

/// What the option's letter or name may follow.
const BEFORE: [&str; 4] = ["answer is:", "is:", "answer:", "correct option is:"];

fn question(record: &Record) -> Result<Option<Question>> {
    let context = record.text("context")?;
    let options: [&str; 4] = record.texts("options")?.try_into().map_err(|options: Vec<_>| {
        Error::new(ErrorKind::Dataset, format!("`options` has {} texts, not 4", options.len()))
            .at(&record.origin)
            .fix("fix the record")
    })?;
    let answer = answer(record, &options)?;
    let [a, b, c, d] = options;
    let prompt = format!(
        "Following is a Python code where exactly one of the functions/methods has a deliberate error that makes it \
         crash.\n\n{context}\n\nOptions:\nA. {a}\nB. {b}\nC. {c}\nD. {d}\n\nThe correct option is:"
    );
    Ok(Some(Question {
        places: places(&prompt, ["A. ", "\nB. ", "\nC. ", "\nD. "], &options),
        prompt,
        letters: options.len(),
        options: options.map(String::from).into(),
        answer,
        before_letter: " ",
        before_option: " ",
    }))
}

/// The number of the right option: `answer` is its text, alone or in a list, or a list of its text and its
/// letter.
fn answer(record: &Record, options: &[&str; 4]) -> Result<usize> {
    let answers = record.texts("answer")?;
    match answers[..] {
        [text] => options.iter().position(|option| *option == text).ok_or_else(|| {
            Error::new(ErrorKind::Dataset, format!("the answer \"{text}\" is none of the options"))
                .at(&record.origin)
                .fix("fix the record")
        }),
        [_, letter] => number_of(letter, "answer", record),
        _ => {
            let found = record.get("answer")?.unwrap_or(&Value::Null);
            Err(Error::new(
                ErrorKind::Dataset,
                format!("`answer` is {found}, not a text, or a text and a letter"),
            )
            .at(&record.origin)
            .fix("fix the record"))
        }
    }
}

fn is_right(answered: &Answered) -> bool {
    let text = python::strip(answered.text);
    let letter = answered.letter;
    if text.strip_prefix(letter).is_some_and(|rest| rest.starts_with(['.', ':'])) {
        return true;
    }
    is_after_announcement(&plain(text), answered)
}

fn is_right_since_pull_request(answered: &Answered) -> bool {
    let text = python::strip(answered.text);
    if last_lone_letter(text) == Some(answered.letter) {
        return true;
    }
    let text = plain(text);
    text.starts_with(answered.letter)
        || text.starts_with(answered.option)
        || is_after_announcement(&text, answered)
}

/// Replaces marks around words by spaces, and several spaces by one.
fn plain(text: &str) -> String {
    let marks = ["\n", "`", "'", "\"", "-", "*", "Option", "option"];
    let mut text = marks.iter().fold(text.to_string(), |text, mark| text.replace(mark, " "));
    while text.contains("  ") {
        text = text.replace("  ", " ");
    }
    text
}

/// Whether the letter or the option follows the first of [`BEFORE`] that occurs, one character later.
fn is_after_announcement(text: &str, answered: &Answered) -> bool {
    let Some((at, before)) = BEFORE.iter().find_map(|before| Some((text.find(before)?, before))) else {
        return false;
    };
    let mut after = text[at + before.len()..].chars();
    after.next().is_some()
        && [answered.letter, answered.option].iter().any(|right| after.as_str().starts_with(right))
}

/// The last letter from A to J that is a separate word in the first line that has one, if it is an option's:
/// Python's `\b[A-J]\b(?!.*\b[A-J]\b)`, whose `.` ends at a line's end.
fn last_lone_letter(text: &str) -> Option<&'static str> {
    let lone = text.split('\n').find_map(|line| {
        let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.rev().find(|word| word.len() == 1 && ("A"..="J").contains(word))
    });
    LETTERS.into_iter().find(|letter| Some(*letter) == lone)
}
