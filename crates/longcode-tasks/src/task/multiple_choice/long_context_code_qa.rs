//! LongContextCodeQA (HF mjkishan/LongContextCodeQA): questions on repositories whose options are moved. **Unverified**:
//! neither its records nor its code could be read here. The data set has a folder of sources for each repository and a file of
//! questions; a record is expected to have both in one: the repository's code as `context`, a `question`, four `options` and
//! the letter of the right one, `answer`. The prompt is LongCodeBench's.

use super::benchmark::{
    Entry, LETTER_LIKELIEST, OPTION_LIKELIEST, OPTION_LIKELIEST_PER_BYTE, OVER, Question, Score, TRUNCATED,
    number_of,
};
use super::long_code_qa::accuracy;
use super::orders::places;
use crate::dataset::Record;
use crate::task::middle_cut::MiddleCut;
use crate::task::{Better, Metric};
use longcode_base::error::{Error, ErrorKind, Result};

pub(super) const ENTRY: Entry = Entry {
    about: "LongContextCodeQA (unverified)",
    question,
    cut: MiddleCut::LongBenchV2,
    max_new_tokens: 128,
    scores: &[Score { metric: "accuracy", of: accuracy }],
    metrics: &[
        Metric::percent("accuracy", Better::Higher)
            .in_lm_eval("acc")
            .titled("Accuracy (LongCodeBench's rule; unverified for this benchmark), percent", OVER),
        LETTER_LIKELIEST,
        OPTION_LIKELIEST,
        OPTION_LIKELIEST_PER_BYTE,
        TRUNCATED,
    ],
};

fn question(record: &Record) -> Result<Option<Question>> {
    let (context, question) = (record.text("context")?, record.text("question")?);
    let options: [&str; 4] = record.texts("options")?.try_into().map_err(|options: Vec<_>| {
        Error::new(ErrorKind::Dataset, format!("`options` has {} texts, not 4", options.len()))
            .at(&record.origin)
            .fix("fix the record")
    })?;
    let [a, b, c, d] = options;
    let prompt = format!(
        "Repository:\n{context}\nYou are going to be provided the content of a\nrepository and a question about it. Provide \
         the answer to the question by\nstating ONLY the letter associated to the question.\nQuestion:\n{question}\nA) \
         {a}\nB) {b}\nC) {c}\nD) {d}\n"
    );
    Ok(Some(Question {
        places: places(&prompt, ["A) ", "\nB) ", "\nC) ", "\nD) "], &options),
        prompt,
        letters: options.len(),
        options: options.map(String::from).into(),
        answer: number_of(record.text("answer")?, "answer", record)?,
        before_letter: "\nFinal Answer: ",
        before_option: "\nFinal Answer: ",
    }))
}
