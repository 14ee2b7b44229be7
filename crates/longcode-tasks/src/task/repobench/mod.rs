//! `repobench`: the next line of a file, preceded by code of other files of its repository: RepoBench v1.1,
//! Leolty/repobench at 630c865, data/utils.py, run.py and evaluation/metrics.py (docs/tasks.md, "RepoBench
//! v1.1").

mod answer;
mod prompt;

use serde::{Deserialize, Serialize};

use self::answer::{Outcome, Reference};
use self::prompt::Parts;
use super::buckets::Buckets;
use super::draw::{Wanted, draw};
use super::keys::{number, on};
use super::{Better, Generated, Group, Measure, Metric, Prompts, Sample, Selection, TaskKind, kind_of};
use crate::dataset::{Dataset, Record};
use longcode_base::error::{Error, Result, refuse_zeros};
use longcode_text::{Limits, PromptFormatter, PromptStyle, TextSide};

/// Suffix of every title.
const OVER: &str = ", by the prompt's tokens";

/// Records of RepoBench v1.1; greedy, where RepoBench samples at temperature 0.2, and the first line that is
/// not a comment counts. Figures are means over records, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repobench {
    /// Tokens that a prompt is cut to, by leaving out lines from the end of the other files (RepoBench:
    /// 15800). It has no default: a model's training length would leave out what is to be tested.
    limit: usize,
    /// Number of records.
    samples: usize,
    /// Most tokens that are generated: as in RepoBench.
    #[serde(default = "number::<128>")]
    max_new_tokens: usize,
    /// Lower edges of the buckets, by the prompt's tokens; the last is open.
    #[serde(default = "default_buckets")]
    buckets: Buckets,
    /// Whether each line is also asked for without the other files, to see what they are worth: those prompts
    /// are short.
    #[serde(default = "on")]
    alone: bool,
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

impl Prompts for Repobench {
    type Reference = Reference;
    type Outcome = Outcome;

    const METRICS: &'static [Metric] = &[
        Metric::percent("exact_match", Better::Higher).titled("Exact match, percent", OVER),
        Metric::percent("edit_similarity", Better::Higher).titled("Edit similarity, percent", OVER),
        Metric::percent("indel_similarity", Better::Higher)
            .titled("Indel similarity, percent", OVER)
            .not_in_tables(),
        Metric::percent_gain("exact_match_gain", Better::Higher)
            .titled("Exact match less that without the other files, percent points", OVER),
        Metric::percent_gain("edit_similarity_gain", Better::Higher)
            .titled("Edit similarity less that without the other files, percent points", OVER),
        Metric::truncated(OVER),
    ];

    fn check_keys(&self) -> Result<()> {
        self.buckets.check()?;
        refuse_zeros(&[
            ("limit", self.limit),
            ("samples", self.samples),
            ("max_new_tokens", self.max_new_tokens),
        ])
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = PromptFormatter::new(PromptStyle::Raw, model)?;
        let fix = "change `buckets`, or use a file of RepoBench v1.1";
        let wanted = Wanted::records_in_buckets(self.samples, fix);
        let drawn = draw(dataset, seed, wanted, |record| self.sample(record, &asker))?;
        let what = "lines of other files are left out";
        Ok(drawn.noting_cuts(self.limit, what, |of: &Reference| of.left_out_lines > 0))
    }

    fn limits(&self) -> Limits {
        Limits { max_new_tokens: self.max_new_tokens, stop: |_| false }
    }

    fn judge(&self, sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        let language = sample.language.expect("a record without one makes no sample");
        Outcome::new(sample.bucket, reference, language, generated)
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        Some(outcome.expected())
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        Measure::of_sample(&[Group::Bucket(outcome.bucket), Group::All], &outcome.figures())
    }
}

impl Repobench {
    /// The sample of a record; none if no bucket takes it.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Dataset`], naming file, line and field.
    fn sample(&self, record: &Record, asker: &PromptFormatter) -> Result<Option<Sample>> {
        let parts = Parts::of(record)?;
        let at_record = |e: Error| e.at(&record.origin);
        let (text, left_out) = parts.prompt(self.limit, asker.tokenizer()).map_err(at_record)?;
        let sample = |text: String| -> Result<Sample> {
            let prompt = asker.ask(text, Vec::new()).map_err(at_record)?;
            Ok(Sample {
                file_starts: parts.file_starts(&prompt.text),
                language: Some(parts.language),
                ..prompt.into()
            })
        };
        let asked = sample(text)?;
        let Some(bucket) = self.buckets.of(asked.tokens.ids.len()) else { return Ok(None) };
        let alone = self.alone.then(|| sample(parts.alone())).transpose()?;
        let reference = Reference { next_line: record.text("next_line")?.into(), left_out_lines: left_out };
        Ok(Some(Sample {
            id: record.id.clone(),
            bucket,
            others: alone.into_iter().collect(),
            ..asked.held_to(&reference)
        }))
    }
}

#[cfg(test)]
mod tests;
