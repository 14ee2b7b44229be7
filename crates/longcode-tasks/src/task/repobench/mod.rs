//! `repobench`: the next line of a file, with code of other files of its repository before it: RepoBench v1.1,
//! Leolty/repobench at 630c865, data/utils.py, run.py and evaluation/metrics.py (docs/tasks.md, "RepoBench v1.1").

mod answer;
mod prompt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::answer::{Outcome, Reference};
use self::prompt::Parts;
use super::buckets::Buckets;
use super::draw::{Drawn, draw};
use super::{
    Answer, Ask, Better, Group, LeftOut, Measure, Metric, Sample, Selection, Task, TaskKind,
    fewer_than_asked, kind_of, with_left_out,
};
use crate::dataset::{Dataset, Record};
use longcode_base::error::{Error, ErrorKind, Result, refuse_zeros};
use longcode_text::{Asker, Limits, PromptStyle, TextSide};

const METRICS: &[Metric] = &[
    Metric::percent("exact_match", Better::Higher).titled("Exact match, percent", OVER),
    Metric::percent("edit_similarity", Better::Higher).titled("Edit similarity, percent", OVER),
    Metric::percent("indel_similarity", Better::Higher)
        .titled("Indel similarity, percent", OVER)
        .not_in_tables(),
    Metric::percent_gain("exact_match_gain", Better::Higher)
        .titled("Exact match less that without the other files, percent points", OVER),
    Metric::percent_gain("edit_similarity_gain", Better::Higher)
        .titled("Edit similarity less that without the other files, percent points", OVER),
    Metric::percent("truncated", Better::Lower).titled("Prompts that were cut, percent", OVER),
];

/// What follows every title.
const OVER: &str = ", by the prompt's tokens";

/// Records of RepoBench v1.1; greedy, where RepoBench samples at temperature 0.2, and the first line that is no comment
/// counts. Figures are means over records, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repobench {
    /// Tokens that a prompt is made to fit, by leaving out lines of the other files from their end (RepoBench: 15800). It
    /// has no default: a model's training length would leave out what is to be tested.
    limit: usize,
    /// Records.
    samples: usize,
    /// Most tokens that are generated.
    #[serde(default = "default_max_new_tokens")]
    max_new_tokens: usize,
    /// Where the buckets begin, by the prompt's tokens; the last is open.
    #[serde(default = "default_buckets")]
    buckets: Buckets,
    /// Whether each line is asked for without the other files too, to see what they are worth.
    #[serde(default = "default_alone")]
    alone: bool,
}

/// RepoBench's.
fn default_max_new_tokens() -> usize {
    128
}

/// The prompts without them are short.
fn default_alone() -> bool {
    true
}

fn default_buckets() -> Buckets {
    Buckets(vec![0, 4096, 8192])
}

pub(super) const ENTRY: TaskKind = kind_of::<Repobench>(
    "repobench",
    "the next line, given other files and without them: RepoBench v1.1 (Liu et al. 2024)",
    "limit, samples, max_new_tokens=128, buckets=[0,4096,8192], alone=true",
)
.with_lists(&["buckets"]);

impl Task for Repobench {
    fn check(&self) -> Result<()> {
        self.buckets.check()?;
        refuse_zeros(&[
            ("limit", self.limit),
            ("samples", self.samples),
            ("max_new_tokens", self.max_new_tokens),
        ])
    }

    fn samples(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = Asker::new(PromptStyle::Raw, model)?;
        let Drawn { samples, left_out } =
            draw(dataset, seed, self.samples, |record| self.sample(record, &asker))?;
        if samples.is_empty() {
            return Err(none(&left_out, dataset));
        }
        let fewer = fewer_than_asked("all", samples.len(), self.samples, "records");
        let notes = fewer.into_iter().chain(self.notes(&samples)).collect();
        Ok(Selection { samples, left_out, notes })
    }

    fn ask(&self) -> Ask {
        Ask::Generate(Limits { max_new_tokens: self.max_new_tokens, stop: |_| false })
    }

    fn outcome(&self, sample: &Sample, answer: Answer, _trained_length: usize) -> Value {
        let generated = answer.generated();
        let language = sample.language.expect("a record without one makes no sample");
        let outcome = Outcome::new(sample.bucket, reference(sample), language, generated);
        serde_json::to_value(outcome).expect("plain data")
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error> {
        let outcome = Outcome::deserialize(outcome)?;
        Ok(Measure::of_sample(&[Group::Bucket(outcome.bucket), Group::All], &outcome.figures()))
    }
}

impl Repobench {
    /// The sample of a record; none where no bucket takes it.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file, line and field.
    fn sample(&self, record: &Record, asker: &Asker) -> Result<Option<Sample>> {
        let parts = Parts::of(record)?;
        let place = |e: Error| e.at(&record.origin);
        let (text, left_out) = parts.prompt(self.limit, asker.tokenizer()).map_err(place)?;
        let sample = |text: String| -> Result<Sample> {
            let prompt = asker.ask(text, Vec::new()).map_err(place)?;
            Ok(Sample {
                file_starts: parts.file_starts(&prompt.text),
                text: prompt.text,
                tokens: prompt.tokens,
                language: Some(parts.language),
                ..Sample::default()
            })
        };
        let asked = sample(text)?;
        let Some(bucket) = self.buckets.of(asked.tokens.ids.len()) else { return Ok(None) };
        let alone = self.alone.then(|| sample(parts.alone())).transpose()?;
        let reference = Reference { next_line: record.text("next_line")?.into(), left_out_lines: left_out };
        Ok(Some(Sample {
            id: record.id.clone(),
            bucket,
            reference: serde_json::to_value(reference).expect("plain data"),
            alone: alone.map(Box::new),
            ..asked
        }))
    }

    fn notes(&self, samples: &[Sample]) -> Option<String> {
        let cut = samples.iter().filter(|sample| reference(sample).left_out_lines > 0).count();
        let (all, limit) = (samples.len(), self.limit);
        (cut > 0).then(|| {
            format!(
                "{cut} of {all} prompts are longer than {limit} tokens: lines of other files are left out"
            )
        })
    }
}

/// What [`Repobench::sample`] put into a sample.
fn reference(sample: &Sample) -> Reference {
    Reference::deserialize(&sample.reference).expect("made by this task")
}

fn none(left_out: &[LeftOut], dataset: &Dataset) -> Error {
    Error::new(ErrorKind::Dataset, with_left_out("no record whose prompt is in a bucket".into(), left_out))
        .in_file(&dataset.path)
        .fix("change `buckets`, or use a file of RepoBench v1.1")
}

#[cfg(test)]
mod tests;
