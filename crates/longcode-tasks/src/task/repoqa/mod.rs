//! `repoqa`: a function of a repository is described, and the model repeats it: RepoQA's search of needle functions,
//! evalplus/repoqa at ae876de, search_needle_function.py and compute_score.py (docs/tasks.md, "RepoQA").

mod answer;
mod bleu;
mod context;
mod prompt;
mod repository;

use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::answer::{Function, Outcome, Reference};
use self::context::Surroundings;
use self::repository::Repository;
use super::{
    Answer, Ask, Better, Group, LeftOut, Measure, Metric, Sample, Selection, Span, Task, TaskKind,
    fewer_than_asked, kind_of, sift, with_left_out,
};
use crate::dataset::Dataset;
use longcode_base::error::{Error, ErrorKind, Result, refuse_zeros};
use longcode_text::{Asker, Limits, PromptStyle, TextSide, Tokenizer};

const METRICS: &[Metric] = &[
    Metric::percent("pass", Better::Higher)
        .titled("Functions found (BLEU with it at least 0.8, and the best), percent", OVER),
    Metric::percent("similarity", Better::Higher).titled("BLEU with the function asked for, percent", OVER),
];

/// What follows every title.
const OVER: &str = ", by language";

/// Needles of the repositories in RepoQA's file, one a sample; greedy, and judged by BLEU as NLTK 3.10.4 computes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepoQa {
    /// Tokens of code around and with the needle.
    #[serde(default = "default_context_tokens")]
    context_tokens: usize,
    /// Needles.
    samples: usize,
    /// Most tokens that are generated.
    #[serde(default = "default_max_new_tokens")]
    max_new_tokens: usize,
    /// `raw`: RepoQA's prompt for base models, or `chat`: its prompt for instruct models.
    #[serde(default)]
    prompt: PromptStyle,
    /// Whose tokens `context_tokens` counts, a model's path or org/name; the run's own model when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokenizer: Option<String>,
}

/// RepoQA's.
fn default_context_tokens() -> usize {
    16 << 10
}

/// RepoQA's.
fn default_max_new_tokens() -> usize {
    1024
}

pub(super) const ENTRY: TaskKind = kind_of::<RepoQa>(
    "repoqa",
    "the function that is described in words: RepoQA (Liu et al. 2024)",
    "samples, context_tokens=16384, max_new_tokens=1024, prompt=raw, tokenizer=the run's own",
);

impl Task for RepoQa {
    fn check(&self) -> Result<()> {
        refuse_zeros(&[
            ("context_tokens", self.context_tokens),
            ("samples", self.samples),
            ("max_new_tokens", self.max_new_tokens),
        ])
    }

    fn samples(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let asker = Asker::new(self.prompt, model).map_err(|e| e.at_key("prompt"))?;
        let named = self.tokenizer.as_ref().map(|name| model.tokenizer_of(Path::new(name)));
        let named = named.transpose().map_err(|e| e.at_key("tokenizer"))?;
        let counter = named.as_ref().unwrap_or(model.tokenizer());
        let (records, refused) = dataset.whole_records()?;
        let mut left_out: Vec<LeftOut> = refused.into_iter().map(LeftOut::from).collect();
        let repositories = sift(records.iter().map(Repository::of), &mut left_out);
        let needles = |repository| {
            let needles: &Repository = repository;
            (0..needles.needles.len()).map(move |number| (repository, number))
        };
        let mut needles: Vec<(&Repository, usize)> = repositories.iter().flat_map(needles).collect();
        needles.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        needles.truncate(self.samples);
        let made: Vec<_> = needles
            .into_par_iter()
            .map(|(repository, number)| self.sample(repository, number, &asker, counter))
            .collect();
        let samples = sift(made, &mut left_out);
        if samples.is_empty() {
            let what = with_left_out("no repository with needles".into(), &left_out);
            return Err(Error::new(ErrorKind::Dataset, what)
                .in_file(&dataset.path)
                .fix("use RepoQA's own file"));
        }
        let notes = fewer_than_asked("all", samples.len(), self.samples, "needles").into_iter().collect();
        Ok(Selection { samples, left_out, notes })
    }

    fn ask(&self) -> Ask {
        let stop: fn(&str) -> bool = match self.prompt {
            PromptStyle::Raw => |text| text.contains(prompt::FENCE),
            PromptStyle::Chat => |_| false,
        };
        Ask::Generate(Limits { max_new_tokens: self.max_new_tokens, stop })
    }

    fn outcome(&self, sample: &Sample, answer: Answer, _trained_length: usize) -> Value {
        let generated = answer.generated();
        let reference = Reference::deserialize(&sample.reference).expect("made by this task");
        let outcome = Outcome::new(reference, self.prompt, generated.generation);
        serde_json::to_value(outcome).expect("plain data")
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error> {
        let outcome = Outcome::deserialize(outcome)?;
        let measure =
            |metric, group, share: f64| Measure { group, metric, numerator: 100.0 * share, denominator: 1.0 };
        let passes = |tenths| f64::from(outcome.passes(f64::from(tenths) / 10.0));
        let cell = Group::Cell { length: self.context_tokens, depth: outcome.depth };
        let groups = [Group::Part(outcome.language.name()), Group::All, cell];
        let of =
            |group| [measure("pass", group, passes(8)), measure("similarity", group, outcome.own_similarity)];
        let bars = (0..=10).map(|tenths| measure("pass", Group::Bar(tenths), passes(tenths)));
        Ok(groups.into_iter().flat_map(of).chain(bars).collect())
    }
}

impl RepoQa {
    /// The sample of a repository's needle.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] when a text cannot be tokenized, naming the repository.
    fn sample(
        &self,
        repository: &Repository,
        number: usize,
        asker: &Asker,
        counter: &Tokenizer,
    ) -> Result<Sample> {
        let Repository { name, language, needles, .. } = repository;
        let needle = &needles[number];
        // In the middle of its share of the context.
        let share = (number as f64 + 0.5) / needles.len() as f64;
        let place = |e: Error| e.at(&repository.origin);
        let count = |text: &str| Ok(counter.encode_as_it_stands(text)?.ids.len());
        let context =
            Surroundings::around(repository, needle, share, self.context_tokens, &count).map_err(place)?;
        let (text, file_starts) = prompt::of(&context, &needle.description, *language, self.prompt);
        let asked = asker.ask(text, file_starts).map_err(place)?;
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
            text: asked.text,
            language: Some(*language),
            file_starts: asked.file_starts,
            tokens: asked.tokens,
            reference: serde_json::to_value(reference).expect("plain data"),
            ..Sample::default()
        })
    }
}

#[cfg(test)]
mod tests;
