//! `completion`: the next line of long code, with LongBench's prompts and scores (`docs/tasks.md`,
//! "completion"; Table 6 of the paper).

mod answer;
mod prompt;

pub(super) use prompt::Wording;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::buckets::Buckets;
use super::draw::{shuffle, whole_records};
use super::keys::number;
use super::middle_cut::{self, MiddleCut};
use super::{
    Better, Generated, Group, LeftOut, Measure, Metric, Prompts, Sample, Selection, Span, TaskKind, by_rank,
    empty_buckets, fewer_than_asked, keep_ok, kind_of, percent, with_left_out,
};
use crate::dataset::{Dataset, Record};
use answer::{Outcome, Reference, has_line_of_code};
use longcode_base::error::{Error, ErrorKind, Result, refuse_zeros};
use longcode_text::{Limits, PromptFormatter, TextSide};

/// Suffix of every title.
const OVER: &str = ", by the length of the record in words";

/// Records with `context`, `answers`, `length` and, for RepoBench-P, `input`; greedy, and the first line of
/// code counts. Figures are means over records, in percent: `edit_similarity` is LongBench's (difflib),
/// `indel_similarity` the same with the Levenshtein library, `truncated` the share of prompts that were cut.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Completion {
    /// `lcc`, `repobench-p`, or `chat`: whichever of these fits the record, in the model's chat template.
    pub prompt: Wording,
    /// The longest prompt in the model's tokens, without what a chat template adds; the middle of longer ones
    /// is left out. It has no default: a model's training length would leave out what is to be tested.
    pub limit: usize,
    /// Most tokens that are generated: as in LongBench.
    #[serde(default = "number::<64>")]
    pub max_new_tokens: usize,
    /// Lower edges of the buckets, by the records' `length` (white-space words in LongBench); the last is
    /// open.
    #[serde(default = "default_buckets")]
    pub(super) buckets: Buckets,
    /// Records of each bucket.
    pub samples: usize,
}

/// The buckets that LongBench-E reports.
fn default_buckets() -> Buckets {
    Buckets(vec![0, 4000, 8000])
}

/// A record that can be asked.
struct Question<'a> {
    record: &'a Record,
    context: &'a str,
    /// The file to complete, if the context is other files.
    input: Option<&'a str>,
    answers: Vec<String>,
    length: usize,
}

pub(super) const ENTRY: TaskKind = kind_of::<Completion>(
    "completion",
    "the next line, as LongBench asks and scores (Bai et al. 2024)",
    "prompt, limit, samples, buckets=[0,4000,8000], max_new_tokens=64",
)
.with_lists(&["buckets"]);

impl Prompts for Completion {
    type Reference = Reference;
    type Outcome = Outcome;

    const METRICS: &'static [Metric] = &[
        Metric::percent("edit_similarity", Better::Higher).titled("Edit similarity, percent", OVER),
        Metric::percent("indel_similarity", Better::Higher).titled("Indel similarity, percent", OVER),
        Metric::percent("exact_match", Better::Higher).titled("Exact match, percent", OVER),
        Metric::truncated(OVER),
    ];

    fn check_keys(&self) -> Result<()> {
        self.buckets.check()?;
        middle_cut::check_limit(self.limit)?;
        refuse_zeros(&[("samples", self.samples), ("max_new_tokens", self.max_new_tokens)])
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = PromptFormatter::new(self.prompt.style(), model).map_err(|e| e.at_key("prompt"))?;
        let (mut records, mut left_out) = whole_records(dataset)?;
        shuffle(&mut records, seed);
        let questions = keep_ok(records.iter().map(|record| self.question(record)), &mut left_out);
        let (mut buckets, mut notes, mut empty) = (Vec::new(), Vec::new(), Vec::new());
        for span in self.buckets.spans() {
            let inside = questions.iter().filter(|question| (span.from..span.to).contains(&question.length));
            let chosen: Vec<_> = inside.take(self.samples).collect();
            let made: Vec<_> =
                chosen.into_par_iter().map(|question| self.sample(question, span, &asker)).collect();
            let bucket = keep_ok(made, &mut left_out);
            if bucket.is_empty() {
                empty.push(span);
            }
            notes.extend(fewer_than_asked(&format!("bucket {span}"), bucket.len(), self.samples, "records"));
            buckets.push(bucket);
        }
        if !empty.is_empty() {
            let lengths = questions.iter().map(|question| question.length).collect();
            return Err(none(&empty, lengths, &left_out, dataset));
        }
        let drawn = Selection { samples: by_rank(buckets), left_out, notes };
        Ok(drawn.noting_cuts(self.limit, middle_cut::LEFT_OUT, |of: &Reference| of.truncated_tokens > 0))
    }

    fn limits(&self) -> Limits {
        Limits { max_new_tokens: self.max_new_tokens, stop: has_line_of_code }
    }

    fn judge(&self, sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        Outcome::new(sample.bucket, reference, generated.generation)
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        Some(outcome.expected())
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        let figures = [
            ("edit_similarity", outcome.edit_similarity),
            ("indel_similarity", outcome.indel_similarity),
            ("exact_match", percent(outcome.exact_match)),
            ("truncated", percent(outcome.truncated_tokens > 0)),
        ];
        Measure::of_sample(&[Group::Words(outcome.bucket), Group::All], &figures)
    }
}

impl Completion {
    /// The question of a record.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field.
    fn question<'r>(&self, record: &'r Record) -> Result<Question<'r>> {
        let answers: Vec<String> = record.texts("answers")?.into_iter().map(str::to_string).collect();
        if answers.is_empty() {
            return Err(Error::new(ErrorKind::Dataset, "the list of answers is empty").at(&record.origin));
        }
        let input = match self.prompt {
            Wording::Lcc => None,
            Wording::Chat if record.get("input")?.is_none() => None,
            Wording::Chat | Wording::RepobenchP => Some(record.text("input")?),
        };
        let (context, length) = (record.text("context")?, record.count("length")?);
        Ok(Question { record, context, input, answers, length })
    }

    fn sample(&self, question: &Question, bucket: Span, asker: &PromptFormatter) -> Result<Sample> {
        let Question { record, context, input, answers, .. } = question;
        let ask = |text: String| {
            let (text, truncated) = MiddleCut::LongBench.cut(self.limit, text, asker.tokenizer())?;
            let file_starts = input.map(|input| prompt::file_starts(&text, input)).unwrap_or_default();
            Ok((asker.ask(text, file_starts)?, truncated))
        };
        let (prompt, truncated_tokens) = ask(prompt::whole(context, input.unwrap_or_default()))
            .map_err(|e: Error| e.at(&record.origin))?;
        let reference = Reference { answers: answers.clone(), truncated_tokens };
        Ok(Sample {
            id: record.id.clone(),
            bucket,
            language: record.language,
            ..Sample::from(prompt).held_to(&reference)
        })
    }
}

fn none(empty: &[Span], lengths: Vec<usize>, left_out: &[LeftOut], dataset: &Dataset) -> Error {
    let what = empty_buckets("record with a `length`", empty, lengths, "words");
    Error::new(ErrorKind::Dataset, with_left_out(what, left_out))
        .in_file(&dataset.path)
        .fix("change `buckets`, or use a data set with records of that length")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Task;
    use crate::task::testing::{dataset, nano};

    fn task(keys: &str) -> Result<Completion> {
        let task: Completion = toml::from_str(&format!("prompt = \"lcc\"\nlimit = 64\nsamples = 2\n{keys}"))
            .map_err(|e| Error::new(ErrorKind::Config, e.to_string()))?;
        task.check().map(|()| task)
    }

    fn selection(task: &Completion, lines: &str) -> Result<Selection> {
        let (_dir, dataset) = dataset(lines.lines());
        task.samples(&dataset, &nano(), 0)
    }

    fn line(id: &str, answers: &str, length: usize) -> String {
        let context = "x = 1\\n".repeat(length);
        format!(
            "{{\"_id\":\"{id}\",\"context\":\"{context}\",\"answers\":{answers},\"length\":{length},\
             \"language\":\"python\"}}\n"
        )
    }

    #[test]
    fn records_fall_into_buckets_and_what_is_wrong_is_named() {
        let lines = [
            line("a", "[\"y\"]", 3),
            line("b", "[]", 3),
            line("c", "[\"y\"]", 40),
            "{\"_id\":\"d\",\"answers\":[\"y\"],\"length\":1}\n".into(),
            "{\"_id\"\n".into(),
        ];
        let task = task("buckets = [0, 10]").unwrap();
        let Selection { samples, mut left_out, notes } = selection(&task, &lines.concat()).unwrap();
        let found: Vec<_> =
            samples.iter().map(|sample| (&sample.id[..], sample.bucket.to_string())).collect();
        assert_eq!(found, [("a", "0-10".to_string()), ("c", "10+".to_string())]);
        let truncated: Vec<usize> =
            samples.iter().map(|sample| sample.reference::<Reference>().truncated_tokens).collect();
        assert!(truncated[0] == 0 && truncated[1] > 0, "{truncated:?}");
        let fewer = ["bucket 0-10: 1 of 2 records asked for", "bucket 10+: 1 of 2 records asked for"];
        assert!(notes[..2] == fewer && notes.len() == 3 && notes[2].contains("1 of 2 prompts"), "{notes:?}");
        left_out.sort_by(|a, b| a.record.cmp(&b.record));
        let why = ["the list of answers is empty", "no field `context`", "cut short"];
        for ((number, why), left_out) in [2, 4, 5].into_iter().zip(why).zip(&left_out) {
            assert!(left_out.record.ends_with(&format!("d.jsonl:{number}")), "{left_out:?}");
            assert!(left_out.why.contains(why), "{left_out:?}");
        }
        assert_eq!(left_out.len(), 3);
    }

    #[test]
    fn an_empty_bucket_says_what_was_left_out() {
        let task = task("").unwrap();
        let error = selection(&task, &[line("a", "[\"y\"]", 3), line("b", "[]", 3)].concat()).unwrap_err();
        let empty = "of 4000 to 8000 words, nor of 8000 words and more; the only one there is has 3";
        assert!(error.what.contains(empty) && error.what.contains("1 left out"), "{error}");
        assert!(error.what.contains("d.jsonl:2: the list of answers is empty"), "{error}");
    }

    #[test]
    fn keys_that_make_no_sense_are_refused() {
        for keys in ["buckets = []", "buckets = [4, 4]", "max_new_tokens = 0", "limits = 3"] {
            assert!(task(keys).is_err(), "{keys}");
        }
    }
}
