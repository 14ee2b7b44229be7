//! `multiple_choice`: questions about long code with lettered options, asked in a benchmark's own words and
//! scored by its own code, and by how likely each option is for the model (docs/tasks.md, "Multiple choice").

mod benchmark;
mod infinite_bench;
mod long_bench_v2;
mod long_code_qa;
mod long_context_code_qa;
mod orders;
mod outcome;

use serde::{Deserialize, Serialize};

use self::benchmark::{Benchmark, Question};
use self::outcome::{Outcome, Reference};
use super::buckets::Buckets;
use super::draw::{Wanted, draw};
use super::keys::{is_one, number};
use super::{Generated, Measure, Metric, Prompts, Sample, Selection, TaskKind, kind_of, middle_cut};
use crate::dataset::{Dataset, Record};
use longcode_base::error::{Error, ErrorKind, Result, refuse, refuse_zeros};
use longcode_text::{Limits, Prompt, PromptFormatter, PromptStyle, TextSide};

/// Questions of a benchmark; greedy. Besides the benchmark's own score of the generated text there are the
/// shares of questions whose right letter, or whose right option's text, is the likeliest continuation: small
/// models rarely answer in the required form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MultipleChoice {
    /// `longbench-v2`, `long-code-qa`, `long-context-code-qa` or `infinitebench-code-debug`.
    benchmark: Benchmark,
    /// The longest prompt in the model's tokens, without what a chat template adds; the middle of longer ones
    /// is left out. It has no default: a model's training length would leave out what is to be tested.
    limit: usize,
    /// Number of questions.
    samples: usize,
    /// Most tokens that are generated; by default the benchmark's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_new_tokens: Option<usize>,
    /// Lower edges of the buckets, by the prompt's tokens; the last is open.
    #[serde(default = "Buckets::of_long_prompts")]
    buckets: Buckets,
    /// `raw`, or `chat` for an instruct model.
    #[serde(default)]
    prompt: PromptStyle,
    /// In how many orders of its options each question is asked: the published one, and others that the seed draws.
    #[serde(default = "number::<1>", skip_serializing_if = "is_one")]
    orders: usize,
}

pub(super) const ENTRY: TaskKind = kind_of::<MultipleChoice>(
    "multiple_choice",
    "a question with lettered options: LongBench v2, LongCodeQA, InfiniteBench Code.Debug",
    "benchmark, limit, samples, max_new_tokens=the benchmark's, buckets=[0,16384,32768,65536], prompt=raw, \
     orders=1",
)
.with_lists(&["buckets"]);

impl Prompts for MultipleChoice {
    type Reference = Reference;
    type Outcome = Outcome;

    /// Each benchmark has its own.
    const METRICS: &'static [Metric] = &[];

    fn check_keys(&self) -> Result<()> {
        self.buckets.check()?;
        middle_cut::check_limit(self.limit)?;
        if self.orders > orders::MOST {
            let what = format!("orders is {}, and four options have {} orders", self.orders, orders::MOST);
            return refuse("orders", what, "give 1 to 24");
        }
        refuse_zeros(&[
            ("samples", self.samples),
            ("max_new_tokens", self.max_new_tokens.unwrap_or(1)),
            ("orders", self.orders),
        ])
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = PromptFormatter::new(self.prompt, model).map_err(|e| e.at_key("prompt"))?;
        let wanted = Wanted {
            count: self.samples,
            name: "questions",
            none: format!("no question of {} whose prompt is in a bucket", self.benchmark.entry().about),
            fix: "change `buckets`, or use the benchmark's own file",
        };
        let drawn = draw(dataset, seed, wanted, |record| self.sample(record, &asker, seed))?;
        Ok(drawn.noting_cuts(self.limit, middle_cut::LEFT_OUT, |of: &Reference| of.truncated_tokens > 0))
    }

    fn limits(&self) -> Limits {
        let max_new_tokens = self.max_new_tokens.unwrap_or(self.benchmark.entry().max_new_tokens);
        Limits { max_new_tokens, stop: |_| false }
    }

    fn judge(&self, sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        Outcome::of_all(sample, reference, generated, self.benchmark.entry().scores)
    }

    fn metrics_of_keys(&self) -> &'static [Metric] {
        self.benchmark.metrics(self.orders > 1)
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        Some(outcome.expected())
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        outcome.measures(self.benchmark.entry().scores)
    }

    fn check_outcome(outcome: &Outcome) -> std::result::Result<(), &'static str> {
        outcome.check()
    }
}

impl MultipleChoice {
    /// The sample of a record; none if it belongs to another part of the benchmark, or no bucket takes it.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Dataset`], naming file, entry and field.
    fn sample(&self, record: &Record, asker: &PromptFormatter, seed: u64) -> Result<Option<Sample>> {
        let Some(question) = (self.benchmark.entry().question)(record)? else { return Ok(None) };
        let orders = orders::orders(self.orders, question.letters, &record.id, seed);
        let mut others = Vec::new();
        for order in &orders[1..] {
            let moved = question.reordered(order).ok_or_else(|| {
                Error::new(
                    ErrorKind::Dataset,
                    "its options cannot be moved: their places in the prompt are not known",
                )
                .at(&record.origin)
                .fix("leave `orders` out, or fix the record: options on lines that begin with A) to D)")
            })?;
            let (asked, reference) = self.asked(&moved, record, asker)?;
            others.push(asked.held_to(&reference));
        }
        let (asked, mut reference) = self.asked(&question, record, asker)?;
        let Some(bucket) = self.buckets.of(asked.tokens.ids.len()) else { return Ok(None) };
        reference.orders = orders;
        Ok(Some(Sample { id: record.id.clone(), bucket, others, ..asked.held_to(&reference) }))
    }

    /// A question in one order of its options.
    ///
    /// # Errors
    /// As [`MultipleChoice::sample`].
    fn asked(
        &self,
        question: &Question,
        record: &Record,
        asker: &PromptFormatter,
    ) -> Result<(Sample, Reference)> {
        let entry = self.benchmark.entry();
        let asked = || -> Result<(Prompt, Vec<Vec<u32>>, Reference)> {
            let (text, truncated_tokens) =
                entry.cut.cut(self.limit, question.prompt.clone(), asker.tokenizer())?;
            let prompt = asker.ask(text, Vec::new())?;
            let (candidates, reference) = candidates(question, &prompt, truncated_tokens, asker)?;
            Ok((prompt, candidates, reference))
        };
        let (prompt, candidates, reference) = asked().map_err(|e| e.at(&record.origin))?;
        Ok((Sample { language: record.language, candidates, ..Sample::from(prompt) }, reference))
    }
}

/// The letters, and then the options' texts, as continuations of a prompt, and what an outcome needs to know
/// about them.
fn candidates(
    question: &Question,
    prompt: &Prompt,
    truncated_tokens: usize,
    asker: &PromptFormatter,
) -> Result<(Vec<Vec<u32>>, Reference)> {
    let after = |start: &str, option: &str| asker.continuation(prompt, &format!("{start}{option}"));
    let started = asker.continuation(prompt, question.before_option)?.len();
    let letters = (0..question.letters).map(|n| after(question.before_letter, letter(n)));
    let options = question.options.iter().map(|option| after(question.before_option, option));
    let candidates = letters.chain(options).collect::<Result<_>>()?;
    let reference = Reference {
        answer: question.answer,
        answer_text: question.options.get(question.answer).cloned().unwrap_or_default(),
        letters: question.letters,
        option_bytes: question.options.iter().map(String::len).collect(),
        started,
        truncated_tokens,
        orders: Vec::new(),
    };
    Ok((candidates, reference))
}

/// The letter of an option by its number.
fn letter(number: usize) -> &'static str {
    benchmark::LETTERS[number]
}

#[cfg(test)]
mod tests;
