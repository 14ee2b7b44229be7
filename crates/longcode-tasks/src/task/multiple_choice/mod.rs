//! `multiple_choice`: questions about long code with lettered options, asked in a benchmark's own words and
//! scored by its own code, and by how likely each option is for the model (docs/tasks.md, "Multiple choice").

mod benchmark;
mod infinite_bench;
mod long_bench_v2;
mod long_code_qa;
mod outcome;

use serde::{Deserialize, Serialize};

use self::benchmark::{Benchmark, Question};
use self::outcome::{Outcome, Reference};
use super::buckets::Buckets;
use super::draw::{Wanted, draw};
use super::{Generated, Group, Measure, Metric, Prompts, Sample, Selection, TaskKind, kind_of, middle_cut};
use crate::dataset::{Dataset, Record};
use longcode_base::error::{Result, refuse_zeros};
use longcode_text::{Limits, Prompt, PromptFormatter, PromptStyle, TextSide};

/// Questions of a benchmark; greedy. Besides the benchmark's own score of the generated text there are the
/// shares of questions whose right letter, or whose right option's text, is the likeliest continuation: small
/// models rarely answer in the required form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MultipleChoice {
    /// `longbench-v2`, `long-code-qa` or `infinitebench-code-debug`.
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
}

pub(super) const ENTRY: TaskKind = kind_of::<MultipleChoice>(
    "multiple_choice",
    "a question with lettered options: LongBench v2, LongCodeQA, InfiniteBench Code.Debug",
    "benchmark, limit, samples, max_new_tokens=the benchmark's, buckets=[0,16384,32768,65536], prompt=raw",
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
        refuse_zeros(&[("samples", self.samples), ("max_new_tokens", self.max_new_tokens.unwrap_or(1))])
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = PromptFormatter::new(self.prompt, model).map_err(|e| e.at_key("prompt"))?;
        let wanted = Wanted {
            count: self.samples,
            name: "questions",
            none: format!("no question of {} whose prompt is in a bucket", self.benchmark.entry().about),
            fix: "change `buckets`, or use the benchmark's own file",
        };
        let drawn = draw(dataset, seed, wanted, |record| self.sample(record, &asker))?;
        Ok(drawn.noting_cuts(self.limit, middle_cut::LEFT_OUT, |of: &Reference| of.truncated_tokens > 0))
    }

    fn limits(&self) -> Limits {
        let max_new_tokens = self.max_new_tokens.unwrap_or(self.benchmark.entry().max_new_tokens);
        Limits { max_new_tokens, stop: |_| false }
    }

    fn judge(&self, sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        Outcome::new(sample.bucket, reference, generated, self.benchmark.entry().scores)
    }

    fn metrics_of_keys(&self) -> &'static [Metric] {
        self.benchmark.entry().metrics
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        Some(outcome.expected())
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        let mut figures = outcome.likeliest();
        figures.push(("truncated", f64::from(outcome.truncated_tokens > 0)));
        let scores = self.benchmark.entry().scores;
        figures.extend(scores.iter().map(|score| score.metric).zip(outcome.official.iter().copied()));
        let percent: Vec<_> = figures.into_iter().map(|(metric, share)| (metric, 100.0 * share)).collect();
        Measure::of_sample(&[Group::Bucket(outcome.bucket), Group::All], &percent)
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
    fn sample(&self, record: &Record, asker: &PromptFormatter) -> Result<Option<Sample>> {
        let entry = self.benchmark.entry();
        let Some(question) = (entry.question)(record)? else { return Ok(None) };
        let asked = || -> Result<(Prompt, Vec<Vec<u32>>, Reference)> {
            let (text, truncated_tokens) =
                entry.cut.cut(self.limit, question.prompt.clone(), asker.tokenizer())?;
            let prompt = asker.ask(text, Vec::new())?;
            let (candidates, reference) = candidates(&question, &prompt, truncated_tokens, asker)?;
            Ok((prompt, candidates, reference))
        };
        let (prompt, candidates, reference) = asked().map_err(|e| e.at(&record.origin))?;
        let Some(bucket) = self.buckets.of(prompt.tokens.ids.len()) else { return Ok(None) };
        Ok(Some(Sample {
            id: record.id.clone(),
            bucket,
            language: record.language,
            candidates,
            ..Sample::from(prompt).held_to(&reference)
        }))
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
    };
    Ok((candidates, reference))
}

/// The letter of an option by its number.
fn letter(number: usize) -> &'static str {
    benchmark::LETTERS[number]
}

#[cfg(test)]
mod tests;
