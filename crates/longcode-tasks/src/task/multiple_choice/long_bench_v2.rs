//! LongBench v2, its domain "Code Repository Understanding": THUDM/LongBench at 2e00731, pred.py,
//! prompts/0shot.txt and result.py.

use super::benchmark::{
    Answered, Entry, LETTER_LIKELIEST, LETTERS, OPTION_LIKELIEST, OPTION_LIKELIEST_PER_BYTE, OVER, Question,
    Score, TRUNCATED, number_of,
};
use super::orders::places;
use crate::dataset::Record;
use crate::task::middle_cut::MiddleCut;
use crate::task::{Better, Metric, python};
use longcode_base::error::Result;

pub(super) const ENTRY: Entry = Entry {
    about: "LongBench v2's domain \"Code Repository Understanding\"",
    question,
    cut: MiddleCut::LongBenchV2,
    max_new_tokens: 128,
    scores: &[
        Score {
            metric: "accuracy",
            of: |answered| f64::from(letter(answered.text) == Some(answered.letter)),
        },
        Score { metric: "accuracy_compensated", of: compensated },
    ],
    metrics: &[
        Metric::percent("accuracy", Better::Higher)
            .in_lm_eval("acc")
            .titled("Accuracy (LongBench v2's pred.py), percent", OVER),
        Metric::percent("accuracy_compensated", Better::Higher)
            .in_lm_eval("acc_compensated")
            .titled("Accuracy with a quarter for no answer (LongBench v2's result.py), percent", OVER)
            .not_in_tables(),
        LETTER_LIKELIEST,
        OPTION_LIKELIEST,
        OPTION_LIKELIEST_PER_BYTE,
        TRUNCATED,
    ],
};

/// The domain that is about code.
const DOMAIN: &str = "Code Repository Understanding";

const TEMPLATE: &str = "Please read the following text and answer the question below.\n\n<text>\n$DOC$\n</text>\n\n\
    What is the correct answer to this question: $Q$\nChoices:\n(A) $C_A$\n(B) $C_B$\n(C) $C_C$\n(D) $C_D$\n\n\
    Format your response as follows: \"The correct answer is (insert answer here)\".";

/// Its placeholders and the fields that replace them.
const FIELDS: [(&str, &str); 6] = [
    ("$DOC$", "context"),
    ("$Q$", "question"),
    ("$C_A$", "choice_A"),
    ("$C_B$", "choice_B"),
    ("$C_C$", "choice_C"),
    ("$C_D$", "choice_D"),
];

/// How a readable answer begins.
const ANSWER: &str = "The correct answer is ";

fn question(record: &Record) -> Result<Option<Question>> {
    if record.get("domain")?.is_some() && record.text("domain")? != DOMAIN {
        return Ok(None);
    }
    let mut prompt = TEMPLATE.to_string();
    let mut options = Vec::new();
    // One after another, so that a placeholder inside of an earlier field is filled in too, as there.
    for (mark, role) in FIELDS {
        let text = python::strip(record.text(role)?);
        prompt = prompt.replace(mark, text);
        if role.starts_with("choice") {
            options.push(text.to_string());
        }
    }
    let texts: Vec<&str> = options.iter().map(String::as_str).collect();
    Ok(Some(Question {
        places: places(&prompt, ["(A) ", "\n(B) ", "\n(C) ", "\n(D) "], &texts),
        prompt,
        letters: options.len(),
        options,
        answer: number_of(record.text("answer")?, "answer", record)?,
        before_letter: "\nThe correct answer is (",
        before_option: "\nThe correct answer is ",
    }))
}

/// The letter of an answer: in brackets or, if that occurs nowhere, without.
fn letter(response: &str) -> Option<&'static str> {
    let response = python::strip(response).replace('*', "");
    let find = |open: &str, close: &str| {
        let pattern = format!("{ANSWER}{open}");
        let mut after = response.match_indices(&pattern).map(|(at, found)| &response[at + found.len()..]);
        after.find_map(|after| {
            LETTERS
                .into_iter()
                .find(|letter| after.strip_prefix(letter).is_some_and(|rest| rest.starts_with(close)))
        })
    };
    find("(", ")").or_else(|| find("", ""))
}

fn compensated(answered: &Answered) -> f64 {
    letter(answered.text).map_or(0.25, |letter| f64::from(letter == answered.letter))
}
