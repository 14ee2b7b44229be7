//! `multiple_choice`: questions about long code with lettered options, asked in a benchmark's own words and scored by its
//! own code, and by how likely each option is to the model (docs/tasks.md, "Multiple choice").

mod benchmark;
mod infinite_bench;
mod long_bench_v2;
mod long_code_qa;
mod outcome;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::benchmark::{Benchmark, Question};
use self::outcome::{Outcome, Reference};
use super::buckets::Buckets;
use super::draw::{Drawn, draw};
use super::{
    Answer, Ask, Group, LeftOut, Measure, Metric, Sample, Selection, Task, TaskKind, fewer_than_asked,
    kind_of, middle_cut, with_left_out,
};
use crate::dataset::{Dataset, Record};
use longcode_base::error::{Error, ErrorKind, Result, refuse_zeros};
use longcode_text::{Asker, Limits, Prompt, PromptStyle, TextSide};

/// Questions of a benchmark. Greedy. Beside the benchmark's own score of what is generated stand the shares of questions
/// whose right letter, or whose right option's text, is the likeliest to go on with: small models rarely answer in form.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MultipleChoice {
    /// `longbench-v2`, `long-code-qa` or `infinitebench-code-debug`.
    benchmark: Benchmark,
    /// The longest prompt in the model's tokens, without what a chat template adds; of longer ones the middle is left
    /// out. It has no default: a model's training length would leave out what is to be tested.
    limit: usize,
    /// Questions.
    samples: usize,
    /// Most tokens that are generated; the benchmark's number when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_new_tokens: Option<usize>,
    /// Where the buckets begin, by the prompt's tokens; the last is open.
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

impl Task for MultipleChoice {
    fn check(&self) -> Result<()> {
        self.buckets.check()?;
        middle_cut::check_limit(self.limit)?;
        refuse_zeros(&[("samples", self.samples), ("max_new_tokens", self.max_new_tokens.unwrap_or(1))])
    }

    fn samples(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = Asker::new(self.prompt, model).map_err(|e| e.at_key("prompt"))?;
        let Drawn { samples, left_out } =
            draw(dataset, seed, self.samples, |record| self.sample(record, &asker))?;
        if samples.is_empty() {
            return Err(self.none(&left_out, dataset));
        }
        let fewer = fewer_than_asked("all", samples.len(), self.samples, "questions");
        let cut = samples.iter().filter(|sample| reference(sample).truncated_tokens > 0).count();
        let notes = fewer.into_iter().chain(middle_cut::note(cut, samples.len(), self.limit)).collect();
        Ok(Selection { samples, left_out, notes })
    }

    fn ask(&self) -> Ask {
        let max_new_tokens = self.max_new_tokens.unwrap_or(self.benchmark.entry().max_new_tokens);
        Ask::Generate(Limits { max_new_tokens, stop: |_| false })
    }

    fn outcome(&self, sample: &Sample, answer: Answer, _trained_length: usize) -> Value {
        let generated = answer.generated();
        let scores = self.benchmark.entry().scores;
        let outcome = Outcome::new(sample.bucket, reference(sample), generated, scores);
        serde_json::to_value(outcome).expect("plain data")
    }

    fn metrics(&self) -> &'static [Metric] {
        self.benchmark.entry().metrics
    }

    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error> {
        let outcome = Outcome::deserialize(outcome)?;
        outcome.check().map_err(serde::de::Error::custom)?;
        let mut figures = outcome.likeliest();
        figures.push(("truncated", f64::from(outcome.truncated_tokens > 0)));
        let scores = self.benchmark.entry().scores;
        figures.extend(scores.iter().map(|score| score.metric).zip(outcome.official.iter().copied()));
        let percent: Vec<_> = figures.into_iter().map(|(metric, share)| (metric, 100.0 * share)).collect();
        Ok(Measure::of_sample(&[Group::Bucket(outcome.bucket), Group::All], &percent))
    }
}

impl MultipleChoice {
    /// What a record asks; none where the benchmark's part is another one, or no bucket takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, entry and field.
    fn sample(&self, record: &Record, asker: &Asker) -> Result<Option<Sample>> {
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
            text: prompt.text,
            language: record.language,
            file_starts: prompt.file_starts,
            tokens: prompt.tokens,
            candidates,
            reference: serde_json::to_value(reference).expect("plain data"),
            alone: None,
        }))
    }

    fn none(&self, left_out: &[LeftOut], dataset: &Dataset) -> Error {
        let what = format!("no question of {} whose prompt is in a bucket", self.benchmark.entry().about);
        Error::new(ErrorKind::Dataset, with_left_out(what, left_out))
            .in_file(&dataset.path)
            .fix("change `buckets`, or use the benchmark's own file")
    }
}

/// What [`MultipleChoice::sample`] put into a sample.
fn reference(sample: &Sample) -> Reference {
    Reference::deserialize(&sample.reference).expect("made by this task")
}

/// The letters, and then the options' texts, as they would go on after a prompt, and what an outcome needs to know of them.
fn candidates(
    question: &Question,
    prompt: &Prompt,
    truncated_tokens: usize,
    asker: &Asker,
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
