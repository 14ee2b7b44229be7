//! The supported benchmarks.

use std::ops::Range;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::{infinite_bench, long_bench_v2, long_code_qa, long_context_code_qa, orders};
use crate::dataset::Record;
use crate::task::middle_cut::MiddleCut;
use crate::task::{Better, Metric};
use longcode_base::error::{Error, ErrorKind, Result};

/// The names of options.
pub(super) const LETTERS: [&str; 4] = ["A", "B", "C", "D"];

/// Suffix of every title.
pub(super) const OVER: &str = ", by the prompt's tokens";

/// A benchmark. To add one, write its file with an [`Entry`], and list it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Benchmark {
    #[serde(rename = "longbench-v2")]
    LongBenchV2,
    #[serde(rename = "long-code-qa")]
    LongCodeQa,
    #[serde(rename = "long-context-code-qa")]
    LongContextCodeQa,
    #[serde(rename = "infinitebench-code-debug")]
    CodeDebug,
}

impl Benchmark {
    pub(super) fn entry(self) -> &'static Entry {
        match self {
            Benchmark::LongBenchV2 => &long_bench_v2::ENTRY,
            Benchmark::LongCodeQa => &long_code_qa::ENTRY,
            Benchmark::LongContextCodeQa => &long_context_code_qa::ENTRY,
            Benchmark::CodeDebug => &infinite_bench::ENTRY,
        }
    }

    /// Its metrics, with those of several orders if there are any.
    pub(super) fn metrics(self, has_orders: bool) -> &'static [Metric] {
        const ALL: [Benchmark; 4] = [
            Benchmark::LongBenchV2,
            Benchmark::LongCodeQa,
            Benchmark::LongContextCodeQa,
            Benchmark::CodeDebug,
        ];
        static WITH_ORDERS: LazyLock<Vec<Vec<Metric>>> = LazyLock::new(|| {
            ALL.iter().map(|one| [one.entry().metrics, &orders::METRICS].concat()).collect()
        });
        let number = ALL.iter().position(|one| *one == self).expect("all are listed");
        if has_orders { &WITH_ORDERS[number] } else { self.entry().metrics }
    }
}

/// How a benchmark asks and scores.
pub(super) struct Entry {
    /// Its description in messages.
    pub about: &'static str,
    /// The question of a record; none if it belongs to another part of the benchmark.
    pub question: fn(&Record) -> Result<Option<Question>>,
    /// How a prompt that is too long is cut.
    pub cut: MiddleCut,
    /// Most tokens that are generated.
    pub max_new_tokens: usize,
    /// The benchmark's own scores of the generated text.
    pub scores: &'static [Score],
    /// The metrics of the scores, and those that every benchmark has.
    pub metrics: &'static [Metric],
}

/// A record's question.
pub(super) struct Question {
    pub prompt: String,
    /// How many options there are.
    pub letters: usize,
    /// Their texts; none if the record does not separate them.
    pub options: Vec<String>,
    /// Number of the right one.
    pub answer: usize,
    /// Where the options' texts stand in the prompt, from the first to the last; none if that is not known.
    pub places: Option<Vec<Range<usize>>>,
    /// What comes between the prompt and an option's letter, in the form that the benchmark asks for.
    pub before_letter: &'static str,
    /// What comes between the prompt and an option's text.
    pub before_option: &'static str,
}

/// A benchmark's own score of the generated text, from 0 to 1.
pub(super) struct Score {
    /// The metric that it makes.
    pub metric: &'static str,
    pub of: fn(&Answered) -> f64,
}

/// The generated text, and what would be right.
pub(super) struct Answered<'a> {
    pub text: &'a str,
    /// The right option's letter.
    pub letter: &'static str,
    /// Its text; empty if unknown.
    pub option: &'a str,
}

/// The likeliest option, in every benchmark.
pub(super) const LETTER_LIKELIEST: Metric = Metric::percent("letter_likeliest", Better::Higher)
    .titled("Questions whose right letter is the likeliest, percent", OVER);
pub(super) const OPTION_LIKELIEST: Metric = Metric::percent("option_likeliest", Better::Higher)
    .titled("Questions whose right option's text is the likeliest, percent", OVER);
pub(super) const OPTION_LIKELIEST_PER_BYTE: Metric =
    Metric::percent("option_likeliest_per_byte", Better::Higher)
        .titled("Questions whose right option's text is the likeliest for its length, percent", OVER);
/// Prompts that were cut, in every benchmark.
pub(super) const TRUNCATED: Metric = Metric::truncated(OVER);

/// The number of the letter that a record gives as right.
///
/// # Errors
/// [`ErrorKind::Dataset`], naming file, entry and field, if no option has that letter.
pub(super) fn number_of(letter: &str, role: &str, record: &Record) -> Result<usize> {
    LETTERS.iter().position(|known| *known == letter).ok_or_else(|| {
        Error::new(ErrorKind::Dataset, format!("`{role}` is \"{letter}\", none of {}", LETTERS.join(", ")))
            .at(&record.origin)
            .fix("fix the record: the letter of the right option")
    })
}
