//! `fill_in`: a gap in a file, with what stands around it and code of other files of its repository: RepoEval, CCLongEval
//! and CrossCodeEval, as Qwen's Coder models are evaluated (QwenLM/Qwen3-Coder at 0ae30f5, fim-bench) and by
//! CrossCodeEval's own scores (docs/tasks.md, "Fill in the middle").

mod gap;
mod layout;
mod outcome;
mod score;

use serde::{Deserialize, Serialize};

use self::gap::Gap;
use self::layout::{Budget, Change, Form, Layout, Parts, form};
use self::outcome::{Outcome, Reference};
use self::score::Scoring;
use super::buckets::Buckets;
use super::draw::{Wanted, draw};
use super::keys::{number, on};
use super::{Generated, Group, Measure, Metric, Prompts, Sample, Selection, TaskKind, kind_of};
use crate::dataset::{Dataset, Record};
use longcode_base::error::{Error, Result, refuse, refuse_zeros};
use longcode_base::hash::sha256;
use longcode_text::{Limits, TextSide, Tokenizer};

/// Suffix of every title.
const OVER: &str = ", by the prompt's tokens";

/// Gaps of one of the benchmarks' files; greedy. Figures are means over records, in percent; the loss is of the target's
/// tokens, so a model that is too small to fill anything in still shows what each part of the prompt is worth to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FillIn {
    /// `lines`, `function` or `statement`: which part of the text counts.
    #[serde(default)]
    scoring: Scoring,
    /// `published` or `repository`: where the other files stand.
    #[serde(default)]
    layout: Layout,
    /// Tokens of the prompt and the text together.
    #[serde(default = "number::<8192>")]
    limit: usize,
    /// Tokens of what comes after the gap, from its start.
    #[serde(default = "number::<2048>")]
    right_tokens: usize,
    /// Tokens of the other files, from their start.
    #[serde(default = "number::<2048>")]
    cross_tokens: usize,
    /// Number of records.
    samples: usize,
    /// Most tokens that are generated; by default 256 for a function, else 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_new_tokens: Option<usize>,
    /// Lower edges of the buckets, by the prompt's tokens; the last is open.
    #[serde(default = "default_buckets")]
    buckets: Buckets,
    /// Also without the other files, to see what they are worth.
    #[serde(default = "on")]
    alone: bool,
    /// Also with the other files in another order: a control.
    #[serde(default)]
    shuffled_files: bool,
    /// Also without what comes after the gap.
    #[serde(default)]
    without_right: bool,
    /// Also the loss of the target.
    #[serde(default = "on")]
    target_loss: bool,
    /// For a model without markers: the other files, and then what comes before the gap.
    #[serde(default)]
    left_only: bool,
}

fn default_buckets() -> Buckets {
    Buckets(vec![0, 2048, 4096])
}

pub(super) const ENTRY: TaskKind = kind_of::<FillIn>(
    "fill_in",
    "a gap in a file, given its repository and without it: RepoEval, CCLongEval, CrossCodeEval",
    "scoring=lines, layout=published, limit=8192, right_tokens=2048, cross_tokens=2048, samples, max_new_tokens=50 (256 for \
     a function), buckets=[0,2048,4096], alone=true, shuffled_files=false, without_right=false, target_loss=true, \
     left_only=false",
)
.with_lists(&["buckets"]);

impl Prompts for FillIn {
    type Reference = Reference;
    type Outcome = Outcome;

    const METRICS: &'static [Metric] = outcome::METRICS;

    fn check_keys(&self) -> Result<()> {
        self.buckets.check()?;
        refuse_zeros(&[
            ("samples", self.samples),
            ("right_tokens", self.right_tokens),
            ("cross_tokens", self.cross_tokens),
            ("max_new_tokens", self.max_new_tokens()),
        ])?;
        if self.budget().is_none() {
            let what = format!(
                "limit is {}, and {} + {} + {} tokens of other parts leave nothing for what comes before the gap",
                self.limit,
                self.right_tokens,
                self.cross_tokens,
                self.max_new_tokens()
            );
            return refuse("limit", what, "raise it, or lower right_tokens, cross_tokens or max_new_tokens");
        }
        if self.left_only && self.layout == Layout::Repository {
            let what = "left_only reads no markers, and layout = \"repository\" needs them";
            return refuse("left_only", what.into(), "leave one of the two out");
        }
        if self.left_only && self.without_right {
            let what = "left_only never reads what comes after the gap";
            return refuse("without_right", what.into(), "leave it out");
        }
        Ok(())
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let form = form(self.left_only, self.layout, model.tokenizer())?;
        let fix = "change `buckets`, or use a file of RepoEval, CCLongEval or CrossCodeEval";
        let wanted = Wanted::records_in_buckets(self.samples, fix);
        let drawn =
            draw(dataset, seed, wanted, |record| self.sample(record, &form, model.tokenizer(), seed))?;
        let single = |of: &Reference| of.files < 2;
        let count = drawn.samples.iter().filter(|sample| single(&sample.reference())).count();
        let mut drawn =
            drawn.noting_cuts(self.limit, "parts of them are left out", |of: &Reference| of.is_cut);
        if self.shuffled_files && count > 0 {
            drawn.notes.push(format!(
                "{count} prompts have fewer than two other files: shuffled_files changes nothing there"
            ));
        }
        Ok(drawn)
    }

    fn limits(&self) -> Limits {
        Limits { max_new_tokens: self.max_new_tokens(), stop: |_| false }
    }

    fn judge(&self, sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        Outcome::new(sample, reference, generated, self.scoring)
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        outcome.measures(&[Group::Bucket(outcome.bucket), Group::All])
    }
}

impl FillIn {
    fn max_new_tokens(&self) -> usize {
        self.max_new_tokens.unwrap_or(if self.scoring == Scoring::Function { 256 } else { 50 })
    }

    /// None if there is no room for what comes before the gap.
    fn budget(&self) -> Option<Budget> {
        let others = self.max_new_tokens().checked_add(self.right_tokens)?.checked_add(self.cross_tokens)?;
        let left = self.limit.checked_sub(others).filter(|&left| left > 0)?;
        Some(Budget { left, right: self.right_tokens, cross: self.cross_tokens })
    }

    /// What is asked besides the prompt itself.
    fn changes(&self) -> Vec<Change> {
        let wanted = [
            (self.alone, Change::Alone),
            (self.shuffled_files, Change::ShuffledFiles),
            (self.without_right, Change::WithoutRight),
        ];
        wanted.into_iter().filter(|(wanted, _)| *wanted).map(|(_, change)| change).collect()
    }

    /// The sample of a record; none if no bucket takes it.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Dataset`], naming file, line and field.
    fn sample(
        &self,
        record: &Record,
        form: &Form,
        tokenizer: &Tokenizer,
        seed: u64,
    ) -> Result<Option<Sample>> {
        let gap = Gap::of(record)?;
        let at_record = |e: Error| e.at(&record.origin);
        let budget = self.budget().expect("checked with the keys");
        let parts = Parts::new(&gap, form, budget, tokenizer).map_err(at_record)?;
        let seed =
            seed ^ u64::from_str_radix(&sha256(gap.id.as_bytes())[..16], 16).expect("hexadecimal digits");
        let ask = |change: Option<Change>| {
            self.asked(&gap, &parts, form, change, seed, tokenizer).map_err(at_record)
        };
        let whole = ask(None)?;
        let Some(bucket) = self.buckets.of(whole.tokens.ids.len()) else { return Ok(None) };
        let changes = self.changes();
        let others = changes.iter().map(|&change| ask(Some(change))).collect::<Result<_>>()?;
        let reference = Reference {
            before: gap.left.clone(),
            truth: gap.truth.clone(),
            files: parts.other_files(),
            is_cut: parts.is_cut,
            changes,
        };
        Ok(Some(Sample { id: gap.id.clone(), bucket, others, ..whole.held_to(&reference) }))
    }

    fn asked(
        &self,
        gap: &Gap,
        parts: &Parts,
        form: &Form,
        change: Option<Change>,
        seed: u64,
        tokenizer: &Tokenizer,
    ) -> Result<Sample> {
        let prompt = parts.prompt(form, change, seed);
        let tokens = tokenizer.encode(&prompt.text)?;
        let truth = self.target_loss.then(|| tokenizer.continuation(&prompt.text, &gap.truth));
        let candidates = truth.transpose()?.into_iter().collect();
        let ends = match form {
            Form::Markers(markers, _) => markers
                .pad
                .iter()
                .chain(&markers.separator)
                .filter_map(|marker| tokenizer.id(marker))
                .collect(),
            Form::LeftOnly => Vec::new(),
        };
        Ok(Sample {
            language: gap.language,
            file_starts: prompt.starts,
            text: prompt.text,
            tokens,
            candidates,
            ends,
            ..Sample::default()
        })
    }
}

#[cfg(test)]
mod tests;
