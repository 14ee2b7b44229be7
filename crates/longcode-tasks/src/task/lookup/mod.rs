//! `lookup`: a function of a long file is called, and the model says what it returns (`docs/tasks.md`,
//! "lookup"; the needle test of RULER, arXiv 2404.06654, in the form of code).
//!
//! ```text
//! def rank_loads_42():                    a needle of another name with the same number
//!     return 642
//!
//!
//! def read_header(stream):                a real function of the data set, one of many
//!     ...
//!
//!
//! def scale_values_42():                  the function that is asked about, `depth` percent down
//!     return 481
//!
//!
//! def scale_values_17():                  a distractor
//!     return 305
//!
//!
//! assert scale_values_42() ==             the prompt ends here; " 481" is right
//! ```
//!
//! Every generated function returns something else, so that the answer shows which one was read. With `body =
//! "arithmetic"` it must be computed as well:
//!
//! ```text
//! def scale_values_42(a, b):
//!     return 481 + a * 3 - b
//!
//!
//! assert scale_values_42(3, 4) ==         " 486" is right
//! ```
//!
//! With two hops the asked function returns what another one does, which is one of the needles. With constant
//! bodies the distractors then do so too, as far as there are others to call, and fewer different numbers are
//! returned than there are needles.

mod answer;
mod filler;
mod layout;
mod needle;
mod outcome;
mod prompt;

pub(super) use self::layout::PromptLanguage;
pub(super) use self::needle::Body;

use std::collections::HashSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize};

use self::filler::Pool;
use self::needle::Needles;
use self::outcome::{Outcome, Reference, has_whole_integer};
use self::prompt::Recipe;
use super::{
    Better, Generated, Group, Measure, Metric, Prompts, Sample, Selection, Span, TaskKind, by_rank, kind_of,
};
use crate::dataset::Dataset;
use longcode_base::error::{Error, ErrorKind, Result, refuse, refuse_zeros};
use longcode_text::{Limits, TextSide};

/// More generated functions than this could hardly have different return values.
const MOST_NEEDLES: usize = 64;

/// Suffix of every title.
const OVER: &str = ", by the length of the prompt in tokens";

/// Prompts of generated functions among real ones, over a grid of lengths and depths.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Lookup {
    /// Most tokens of a prompt; one more real function would not fit.
    #[serde(deserialize_with = "one_or_more")]
    pub length: Vec<usize>,
    /// Where the asked function is, in percent of the tokens of the other functions.
    #[serde(deserialize_with = "one_or_more")]
    pub depth: Vec<u8>,
    /// Samples for each length and depth.
    pub samples: usize,
    /// Generated functions in all: the asked one, those that it calls, distractors, others.
    pub needles: usize,
    /// How many have a name that differs from the asked one's only in its number.
    pub distractors: usize,
    /// Functions that must be read for the answer: with 2, the asked one calls another.
    pub hops: usize,
    /// What the generated functions return.
    pub body: Body,
    /// The language of the functions; the data set must have some of it.
    pub language: PromptLanguage,
    /// Most tokens that are generated.
    pub max_new_tokens: usize,
}

impl Default for Lookup {
    fn default() -> Lookup {
        Lookup {
            length: vec![1024, 2048, 4096],
            depth: vec![0, 25, 50, 75, 100],
            samples: 10,
            needles: 4,
            distractors: 2,
            hops: 1,
            body: Body::Constant,
            language: PromptLanguage::Python,
            max_new_tokens: 8,
        }
    }
}

pub(super) const ENTRY: TaskKind = kind_of::<Lookup>(
    "lookup",
    "what a generated function far back returns, over lengths and depths",
    "length=[1024,2048,4096], depth=[0,25,50,75,100], samples=10, needles=4, distractors=2, hops=1, \
     body=constant, language=python, max_new_tokens=8",
)
.with_lists(&["length", "depth"]);

impl Prompts for Lookup {
    type Reference = Reference;
    type Outcome = Outcome;

    const METRICS: &'static [Metric] = &[
        Metric::share("exact_match", Better::Higher).titled("Exact match", OVER),
        Metric::share("likelihood_accuracy", Better::Higher)
            .in_lm_eval("likelihood_acc")
            .titled("Share of samples whose own answer is the likeliest", OVER),
        Metric::mean("margin", Better::Higher)
            .titled("Log-likelihood of the answer less that of the best wrong one, nats", OVER),
    ];

    fn check_keys(&self) -> Result<()> {
        if !are_different(&self.length) {
            let what = format!("length {:?} is not a list of different lengths", self.length);
            return refuse("length", what, "give each length once, as [1024, 2048]");
        }
        if !are_different(&self.depth) || self.depth.iter().any(|&depth| depth > 100) {
            let what = format!("depth {:?} is not a list of different percentages", self.depth);
            return refuse("depth", what, "give each depth once, as [0, 50, 100]");
        }
        refuse_zeros(&[
            ("samples", self.samples),
            ("hops", self.hops),
            ("max_new_tokens", self.max_new_tokens),
        ])?;
        if !(2..=MOST_NEEDLES).contains(&self.needles) {
            let what = format!("needles is {}", self.needles);
            return refuse("needles", what, &format!("give 2 to {MOST_NEEDLES}"));
        }
        if self.hops.saturating_add(self.distractors) > self.needles {
            let Lookup { needles, distractors, hops, .. } = self;
            let what = format!("needles is {needles}, fewer than hops {hops} and distractors {distractors}");
            return refuse("needles", what, "give more needles: hops and distractors are among them");
        }
        if self.body == Body::Constant && self.hops == self.needles {
            let what = format!(
                "needles is {0} and hops is {0}: with constant bodies all return one number",
                self.hops
            );
            return refuse("needles", what, "give more needles than hops, or body = \"arithmetic\"");
        }
        Ok(())
    }

    fn prompts(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let tokenizer = model.tokenizer();
        let longest = self.length.iter().copied().max().unwrap_or(0);
        let pool = Pool::read(dataset, tokenizer, self.language, seed, longest)?;
        let answers = answer::alike(tokenizer)?;
        let mut cells = Vec::new();
        for &length in &self.length {
            let fillers = pool.choice(length);
            let recipe = Recipe { tokenizer, language: self.language, length, fillers, answers: &answers };
            for &depth in &self.depth {
                cells.push(
                    (0..self.samples)
                        .into_par_iter()
                        .map(|number| self.sample(&recipe, depth, number, seed))
                        .collect::<Result<_>>()?,
                );
            }
        }
        Ok(Selection { samples: by_rank(cells), ..Selection::default() })
    }

    fn limits(&self) -> Limits {
        Limits { max_new_tokens: self.max_new_tokens, stop: has_whole_integer }
    }

    fn judge(&self, _sample: &Sample, reference: Reference, generated: Generated) -> Outcome {
        Outcome::new(reference, generated)
    }

    fn expected(outcome: &Outcome) -> Option<String> {
        outcome.reference.returns.first().map(i64::to_string)
    }

    fn score(&self, outcome: &Outcome) -> Vec<Measure> {
        let Reference { length, depth, .. } = outcome.reference;
        let margin = outcome.margin();
        let figures = [
            ("exact_match", f64::from(outcome.is_exact())),
            ("likelihood_accuracy", f64::from(margin > 0.0)),
            ("margin", margin),
        ];
        let groups = [Group::Length(length), Group::All, Group::Cell { length, depth }];
        Measure::of_sample(&groups, &figures)
    }
}

impl Lookup {
    /// A sample of a cell of the grid; it does not depend on the other cells.
    fn sample(&self, recipe: &Recipe, depth: u8, number: usize, seed: u64) -> Result<Sample> {
        let mut rng = generator([seed, recipe.length as u64, depth.into(), number as u64]);
        let needles = Needles::generate(self, recipe.answers, &mut rng);
        let (text, tokens) = recipe.prompt(&needles, depth, &mut rng)?;
        let length = recipe.length;
        let returns = needles.returns();
        let candidates = returns.iter().map(|&returns| {
            self.refuse_cut_answer(recipe.tokenizer.continuation(&text, &layout::answer(returns))?)
        });
        Ok(Sample {
            id: format!("length {length} depth {depth} number {number}"),
            bucket: Span { from: 0, to: length },
            candidates: candidates.collect::<Result<_>>()?,
            language: Some(self.language.into()),
            text,
            tokens,
            ..Sample::default().held_to(&Reference { length, depth, returns })
        })
    }

    /// An answer's tokens; refuses more than can be generated.
    fn refuse_cut_answer(&self, answer: Vec<u32>) -> Result<Vec<u32>> {
        if answer.len() <= self.max_new_tokens {
            return Ok(answer);
        }
        let what = format!("max_new_tokens is {}: an answer takes {}", self.max_new_tokens, answer.len());
        Err(Error::new(ErrorKind::Config, what)
            .at_key("max_new_tokens")
            .fix("give at least the tokens of an answer"))
    }
}

/// A separate random generator for each list of numbers.
fn generator(numbers: [u64; 4]) -> ChaCha8Rng {
    let mut seed = [0; 32];
    for (bytes, number) in seed.chunks_exact_mut(8).zip(numbers) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(seed)
}

fn are_different<T: Eq + std::hash::Hash>(values: &[T]) -> bool {
    !values.is_empty() && values.iter().collect::<HashSet<_>>().len() == values.len()
}

/// A list, or one value for a list of one.
fn one_or_more<'de, T, D>(from: D) -> std::result::Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "length and depth take a whole number or a list of them, depth up to 100")]
    enum OneOrMore<T> {
        One(T),
        More(Vec<T>),
    }
    Ok(match OneOrMore::deserialize(from)? {
        OneOrMore::One(value) => vec![value],
        OneOrMore::More(values) => values,
    })
}

#[cfg(test)]
mod tests;
