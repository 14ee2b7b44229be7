//! `repoqa`: a function of a repository is described, and the model repeats it: RepoQA's search of needle
//! functions, evalplus/repoqa at ae876de, search_needle_function.py and compute_score.py (docs/tasks.md,
//! "RepoQA").

mod answer;
mod bleu;
mod context;
mod prompt;
mod repository;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::answer::{Function, Outcome, Reference};
use self::context::Surroundings;
use self::repository::Repository;
use super::draw::{Wanted, draw_parts};
use super::keys::number;
use super::{
    Better, Generated, Group, Measure, Metric, Prompts, Sample, Selection, Span, TaskKind, kind_of, percent,
};
use crate::dataset::Dataset;
use longcode_base::error::{Error, Result, refuse_zeros};
use longcode_text::{Limits, PromptFormatter, PromptStyle, TextSide, Tokenizer};

/// Suffix of every title.
const OVER: &str = ", by language";

/// Needles of the repositories in RepoQA's file, one a sample; greedy, and judged by BLEU as NLTK 3.10.4
/// computes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepoQa {
    /// Tokens of code around and including the needle: as in RepoQA.
    #[serde(default = "number::<16384>")]
    context_tokens: usize,
    /// Number of needles.
    samples: usize,
    /// Most tokens that are generated: as in RepoQA.
    #[serde(default = "number::<1024>")]
    max_new_tokens: usize,
    /// `raw`: RepoQA's prompt for base models, or `chat`: its prompt for instruct models.
    #[serde(default)]
    prompt: PromptStyle,
    /// The model whose tokens `context_tokens` counts, a path or org/name; by default the run's own model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokenizer: Option<String>,
}

pub(super) const ENTRY: TaskKind = kind_of::<RepoQa>(
    "repoqa",
    "the function that is described in words: RepoQA (Liu et al. 2024)",
    "samples, context_tokens=16384, max_new_tokens=1024, prompt=raw, tokenizer=the run's own",
);

impl Prompts for RepoQa {
    type Reference = Reference;
    type Outcome = Outcome;

    const METRICS: &'static [Metric] = &[
        Metric::percent("pass", Better::Higher)
            .titled("Functions found (BLEU with it at least 0.8, and the best), percent", OVER),
        Metric::percent("similarity", Better::Higher)
            .titled("BLEU with the function asked for, percent", OVER),
    ];

    fn check_keys(&self) -> Result<()> {
        refuse_zeros(&[
            ("context_tokens", self.context_tokens),
            ("samples", self.samples),
            ("max_new_tokens", self.max_new_tokens),
        ])
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = PromptFormatter::new(self.prompt, model).map_err(|e| e.at_key("prompt"))?;
        let named = self.tokenizer.as_ref().map(|name| model.tokenizer_of(Path::new(name)));
        let named = named.transpose().map_err(|e| e.at_key("tokenizer"))?;
        let counter = named.as_ref().unwrap_or(model.tokenizer());
        let wanted = Wanted {
            count: self.samples,
            name: "needles",
            none: "no repository with needles".into(),
            fix: "use RepoQA's own file",
        };
        let needles = |repository: &Repository| repository.needles.len();
        draw_parts(dataset, seed, wanted, Repository::of, needles, |repository, number| {
            self.sample(repository, number, &asker, counter)
        })
    }

    fn limits(&self) -> Limits {
        let stop: fn(&str) -> bool = match self.prompt {
            PromptStyle::Raw => |text| text.contains(prompt::FENCE),
            PromptStyle::Chat => |_| false,
        };
        Limits { max_new_tokens: self.max_new_tokens, stop }
    }

    fn judge(&self, _sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        Outcome::new(reference, self.prompt, generated.generation)
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        Some(outcome.expected())
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        let passes = |tenths: u8| percent(outcome.passes(f64::from(tenths) / 10.0));
        let cell = Group::Cell { length: self.context_tokens, depth: outcome.depth };
        let groups = [Group::Part(outcome.language.name()), Group::All, cell];
        let figures = [("pass", passes(8)), ("similarity", 100.0 * outcome.own_similarity)];
        let mut measures = Measure::of_sample(&groups, &figures);
        for tenths in 0..=10 {
            measures.extend(Measure::of_sample(&[Group::Bar(tenths)], &[("pass", passes(tenths))]));
        }
        measures
    }
}

impl RepoQa {
    /// The sample of a repository's needle.
    ///
    /// # Errors
    /// [`longcode_base::error::ErrorKind::Tokenizer`] when a text cannot be tokenized, naming the repository.
    fn sample(
        &self,
        repository: &Repository,
        number: usize,
        asker: &PromptFormatter,
        counter: &Tokenizer,
    ) -> Result<Sample> {
        let Repository { name, language, needles, .. } = repository;
        let needle = &needles[number];
        // In the middle of its share of the context.
        let share = (number as f64 + 0.5) / needles.len() as f64;
        let at_repository = |e: Error| e.at(&repository.origin);
        let count = |text: &str| Ok(counter.encode_as_it_stands(text)?.ids.len());
        let context = Surroundings::around(repository, needle, share, self.context_tokens, &count)
            .map_err(at_repository)?;
        let (text, file_starts) = prompt::of(&context, &needle.description, *language, self.prompt);
        let asked = asker.ask(text, file_starts).map_err(at_repository)?;
        let function = |needle: &repository::Needle| Function {
            name: needle.name.clone(),
            text: needle.function.clone(),
        };
        let reference = Reference {
            language: *language,
            depth: (100.0 * share).round() as u8,
            asked: number,
            functions: needles.iter().map(function).collect(),
        };
        Ok(Sample {
            id: format!("{language}::{name}::{number}::{}", needle.name),
            bucket: Span { from: 0, to: self.context_tokens },
            language: Some(*language),
            ..Sample::from(asked).held_to(&reference)
        })
    }
}

#[cfg(test)]
mod tests;
