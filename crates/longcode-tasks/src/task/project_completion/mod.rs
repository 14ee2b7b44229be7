//! `project_completion`: lines of a file, preceded by the project's other files: Long Code Arena's
//! project-level code completion, JetBrains-Research/lca-baselines at 5b1b564, path_distance_composer.py and
//! line_generators.py (docs/tasks.md, "Long Code Arena").

mod answer;
mod context;
mod project;

use serde::{Deserialize, Serialize};

use self::answer::{Outcome, Reference, has_line};
use self::context::cropped;
use self::project::{Line, Project};
use super::draw::{Wanted, draw_parts};
use super::keys::{number, on};
use super::{Better, Generated, Group, Measure, Metric, Prompts, Sample, Selection, Span, TaskKind, kind_of};
use crate::dataset::Dataset;
use longcode_base::error::{Error, ErrorKind, Result, refuse_zeros};
use longcode_text::{Limits, TextSide, Tokenizer};

/// Suffix of every title.
const OVER: &str = ", by where the line's names are from";

/// Records of Long Code Arena, one sample for each line; greedy. Figures are means over lines, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectCompletion {
    /// Most tokens of a prompt; earlier ones are left out. It has no default: a model's training length would
    /// leave out what is to be tested.
    limit: usize,
    /// Number of lines.
    samples: usize,
    /// Most tokens that are generated: as in Long Code Arena.
    #[serde(default = "number::<100>")]
    max_new_tokens: usize,
    /// Whether each line is also asked for without the project's other files, to see what they are worth, as
    /// in Long Code Arena.
    #[serde(default = "on")]
    alone: bool,
}

pub(super) const ENTRY: TaskKind = kind_of::<ProjectCompletion>(
    "project_completion",
    "lines of a file, given its project and without it: Long Code Arena (Bogomolov et al. 2024)",
    "limit, samples, max_new_tokens=100, alone=true",
);

impl Prompts for ProjectCompletion {
    type Reference = Reference;
    type Outcome = Outcome;

    const METRICS: &'static [Metric] = &[
        Metric::percent("exact_match", Better::Higher).titled("Exact match, percent", OVER),
        Metric::percent("edit_similarity", Better::Higher).titled("Edit similarity (thefuzz), percent", OVER),
        Metric::percent_gain("exact_match_gain", Better::Higher)
            .titled("Exact match less that without the project's other files, percent points", OVER),
        Metric::percent_gain("edit_similarity_gain", Better::Higher)
            .titled("Edit similarity less that without the project's other files, percent points", OVER),
        Metric::truncated(OVER),
    ];

    fn check_keys(&self) -> Result<()> {
        refuse_zeros(&[
            ("limit", self.limit),
            ("samples", self.samples),
            ("max_new_tokens", self.max_new_tokens),
        ])
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let wanted = Wanted {
            count: self.samples,
            name: "lines",
            none: "no line to complete".into(),
            fix: "use a file of Long Code Arena's project-level code completion",
        };
        let lines = |project: &Project| project.lines.len();
        let drawn = draw_parts(dataset, seed, wanted, Project::of, lines, |project, number| {
            self.sample(project, &project.lines[number], model.tokenizer())
        })?;
        Ok(drawn.noting_cuts(self.limit, "their beginning is left out", |of: &Reference| of.is_cut))
    }

    fn limits(&self) -> Limits {
        Limits { max_new_tokens: self.max_new_tokens, stop: has_line }
    }

    fn judge(&self, _sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        Outcome::new(reference, generated)
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        Some(outcome.expected())
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        Measure::of_sample(&[Group::Part(outcome.class()), Group::All], &outcome.figures())
    }
}

impl ProjectCompletion {
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the record: a text that cannot be tokenized, or a prompt without a
    /// token.
    fn sample(&self, project: &Project, line: &Line, tokenizer: &Tokenizer) -> Result<Sample> {
        let sample = |text: String, starts: Vec<usize>| -> Result<(Sample, bool)> {
            let (sample, is_cut) = cropped(text, starts, self.limit, tokenizer)?;
            if sample.tokens.ids.is_empty() {
                return Err(Error::new(ErrorKind::Tokenizer, "nothing comes before the line, not even BOS")
                    .fix("this tokenizer adds no BOS: the line cannot be asked for"));
            }
            Ok((Sample { language: project.language, ..sample }, is_cut))
        };
        let at_project = |e: Error| e.at(&project.origin);
        let (text, starts) = project.prompt(line);
        let (asked, is_cut) = sample(text, starts).map_err(at_project)?;
        let alone = self.alone.then(|| sample(project.before(line), Vec::new()));
        let alone = alone.transpose().map_err(at_project)?.map(|(alone, _)| alone);
        let reference = Reference { class: line.class, truth: project.text(line).into(), is_cut };
        Ok(Sample {
            id: format!("{} {} line {}", project.name, line.class.name(), line.number),
            bucket: Span { from: 0, to: self.limit },
            others: alone.into_iter().collect(),
            ..asked.held_to(&reference)
        })
    }
}

#[cfg(test)]
mod tests;
