//! `code_run`: InfiniteBench's Code.Run, what a call of a long file's functions returns:
//! OpenBMB/InfiniteBench at 88b3daa, src/prompt.py (for base models), eval_utils.py and compute_scores.py
//! (docs/tasks.md, "Code.Run").

use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::draw::{Wanted, draw};
use super::keys::number;
use super::middle_cut::{self, MiddleCut};
use super::{
    Better, Generated, Group, Measure, Metric, Prompts, Sample, Selection, Span, TaskKind, kind_of, percent,
    python,
};
use crate::dataset::{Dataset, Record};
use longcode_base::error::{Error, ErrorKind, Result, refuse_zeros};
use longcode_text::{Ended, Limits, PromptFormatter, PromptStyle, TextSide};

/// Suffix of every title.
const OVER: &str = ", by the prompt's tokens";

/// Records with `context`, `input` and `answer`; greedy, and the last word counts, if it is a whole number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeRun {
    /// The longest prompt in the model's tokens, without what a chat template adds; the middle of longer ones
    /// is left out. It has no default: a model's training length would leave out what is to be tested.
    limit: usize,
    /// Number of records.
    samples: usize,
    /// Most tokens that are generated: as in InfiniteBench.
    #[serde(default = "number::<5>")]
    max_new_tokens: usize,
    /// Lower edges of the buckets, by the prompt's tokens; the last is open.
    #[serde(default = "Buckets::of_long_prompts")]
    buckets: Buckets,
    /// `raw`, or `chat` for an instruct model.
    #[serde(default)]
    prompt: PromptStyle,
}

/// The expected answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    answer: i64,
    /// Tokens left out from the middle of the prompt.
    truncated_tokens: usize,
}

/// What is stored for a record.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    bucket: Span,
    #[serde(flatten)]
    reference: Reference,
    text: String,
    ended: Ended,
}

pub(super) const ENTRY: TaskKind = kind_of::<CodeRun>(
    "code_run",
    "what a call returns: InfiniteBench Code.Run (Zhang et al. 2024)",
    "limit, samples, max_new_tokens=5, buckets=[0,16384,32768,65536], prompt=raw",
)
.with_lists(&["buckets"]);

impl Prompts for CodeRun {
    type Reference = Reference;
    type Outcome = Outcome;

    const METRICS: &'static [Metric] = &[
        Metric::percent("accuracy", Better::Higher)
            .in_lm_eval("acc")
            .titled("Accuracy (InfiniteBench's scorer at 88b3daa), percent", OVER),
        Metric::truncated(OVER),
    ];

    fn check_keys(&self) -> Result<()> {
        self.buckets.check()?;
        middle_cut::check_limit(self.limit)?;
        refuse_zeros(&[("samples", self.samples), ("max_new_tokens", self.max_new_tokens)])
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = PromptFormatter::new(self.prompt, model).map_err(|e| e.at_key("prompt"))?;
        let fix = "change `buckets`, or use InfiniteBench's code_run.jsonl";
        let wanted = Wanted::records_in_buckets(self.samples, fix);
        let drawn = draw(dataset, seed, wanted, |record| self.sample(record, &asker))?;
        Ok(drawn.noting_cuts(self.limit, middle_cut::LEFT_OUT, |of: &Reference| of.truncated_tokens > 0))
    }

    fn limits(&self) -> Limits {
        Limits { max_new_tokens: self.max_new_tokens, stop: |_| false }
    }

    fn judge(&self, sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        let (text, ended) = (generated.generation.text, generated.generation.ended);
        Outcome { bucket: sample.bucket, reference, text, ended }
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        Some(outcome.reference.answer.to_string())
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        let Reference { answer, truncated_tokens } = outcome.reference;
        let figures = [
            ("accuracy", percent(last_number(&outcome.text) == Some(answer))),
            ("truncated", percent(truncated_tokens > 0)),
        ];
        Measure::of_sample(&[Group::Bucket(outcome.bucket), Group::All], &figures)
    }
}

impl CodeRun {
    /// The sample of a record; none if no bucket takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field.
    fn sample(&self, record: &Record, asker: &PromptFormatter) -> Result<Option<Sample>> {
        let (text, answer) = (prompt(record)?, answer(record)?);
        let asked = || {
            let (text, truncated_tokens) =
                MiddleCut::InfiniteBench.cut(self.limit, text, asker.tokenizer())?;
            Ok((asker.ask(text, Vec::new())?, truncated_tokens))
        };
        let (prompt, truncated_tokens) = asked().map_err(|e: Error| e.at(&record.origin))?;
        let Some(bucket) = self.buckets.of(prompt.tokens.ids.len()) else { return Ok(None) };
        Ok(Some(Sample {
            id: record.id.clone(),
            bucket,
            language: record.language,
            ..Sample::from(prompt).held_to(&Reference { answer, truncated_tokens })
        }))
    }
}

fn prompt(record: &Record) -> Result<String> {
    let (context, input) = (record.text("context")?, record.text("input")?);
    let call = call(input).ok_or_else(|| {
        Error::new(ErrorKind::Dataset, "`input` names no call, as func_7(-5)")
            .at(&record.origin)
            .fix("fix the record, or use InfiniteBench's code_run.jsonl")
    })?;
    let function = call.split('(').next().unwrap_or_default();
    Ok(format!(
        "There is a function called {function} in the following Python code.\n\n{context}\n\nPlease compute the exact \
         value of {call}. The value of {call} is"
    ))
}

/// The first call in a text: `func_[0-9]+\(\-?[0-9]+\)`.
fn call(text: &str) -> Option<&str> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let length = |text: &str| {
        let mut at = "func_".len();
        let name = digits(&text[at..]);
        at += name;
        let argument = text[at..].strip_prefix('(')?;
        let argument_digits = digits(argument.strip_prefix('-').unwrap_or(argument));
        at += 1 + usize::from(argument.starts_with('-')) + argument_digits;
        (name > 0 && argument_digits > 0 && text[at..].starts_with(')')).then_some(at + 1)
    };
    text.match_indices("func_").find_map(|(start, _)| Some(&text[start..start + length(&text[start..])?]))
}

/// The number in a record's `answer`, alone or first in a list.
fn answer(record: &Record) -> Result<i64> {
    let answer = record.get("answer")?.ok_or_else(|| record.text("answer").unwrap_err())?;
    answer.as_i64().or_else(|| answer.get(0)?.as_i64()).ok_or_else(|| {
        Error::new(
            ErrorKind::Dataset,
            format!("field `answer` is {answer}, not a whole number or a list of one"),
        )
        .at(&record.origin)
        .fix("fix the record")
    })
}

/// The last word of a text, parsed like Python's `int`, after marks around words are replaced by spaces.
fn last_number(text: &str) -> Option<i64> {
    let text = text.replace(['\n', '.', '`', '\'', '"', ':'], " ");
    python::integer(python::split(&text).last()?)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::task::Task;
    use crate::task::testing::{dataset, nano};

    /// The output of InfiniteBench's own code (scripts/make_benchmark_fixtures.py).
    fn fixture() -> Value {
        let all: Value =
            serde_json::from_str(include_str!("../../tests/benchmarks/multiple_choice.json")).unwrap();
        all["infinitebench"].clone()
    }

    fn samples(record: &Value, limit: u64) -> Result<Selection> {
        let (_dir, dataset) = dataset([record]);
        let task: CodeRun = toml::from_str(&format!("samples = 1\nlimit = {limit}")).unwrap();
        task.samples(&dataset, &nano(), 0)
    }

    #[test]
    fn prompts_and_answers_are_infinite_bench_s() {
        let fixture = fixture();
        let is_base = |case: &&Value| {
            case["model"] == "yarn-mistral" && case["example"].as_str().unwrap().starts_with("run")
        };
        let mut seen = 0;
        for case in fixture["prompts"].as_array().unwrap().iter().filter(is_base) {
            let record = &fixture["examples"][case["example"].as_str().unwrap()];
            let made = samples(record, case["max_tokens"].as_u64().unwrap_or(1_000_000));
            if case["error"].is_string() {
                assert!(made.unwrap_err().what.contains("names no call"));
                continue;
            }
            let sample = made.unwrap().samples.remove(0);
            assert_eq!(sample.text, case["prompt"].as_str().unwrap(), "{case}");
            if let Some(label) = case["label"][0].as_i64() {
                assert_eq!(sample.reference::<Reference>().answer, label);
            }
            seen += 1;
        }
        assert!(seen >= 8, "{seen}");
    }

    #[test]
    fn scored_as_infinite_bench_scores() {
        let fixture = fixture();
        let mut right = 0;
        for case in fixture["code_run"].as_array().unwrap() {
            // There a text equals no number; here it is no answer.
            let label = case["label"].as_i64().or_else(|| case["label"][0].as_i64());
            let is_right = label.is_some() && last_number(case["output"].as_str().unwrap()) == label;
            assert_eq!(is_right, case["score"].as_f64().unwrap() == 1.0, "{case}");
            right += usize::from(is_right);
        }
        assert!(right >= 15, "{right}");
    }

    #[test]
    fn the_first_call_counts() {
        assert_eq!(call("func_ func_x(1) func_7() func_07(-12) func_8(1)"), Some("func_07(-12)"));
        assert_eq!(call("func_7(--1) func_7(- 1)"), None);
    }
}
