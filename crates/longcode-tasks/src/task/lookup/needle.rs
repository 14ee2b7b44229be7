//! Needles: generated functions whose names occur nowhere else, and what each returns.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use rand::Rng;
use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::Lookup;
use super::layout::PromptLanguage;

const VERBS: [&str; 12] = [
    "adjust", "balance", "blend", "combine", "estimate", "mix", "project", "rank", "scale", "shift", "tally",
    "weigh",
];
const NOUNS: [&str; 12] = [
    "budgets", "credits", "grades", "harvests", "loads", "margins", "points", "quotas", "ratings", "scores",
    "values", "weights",
];

/// Two digits, so that no name is the beginning of another.
const NUMBERS: RangeInclusive<u8> = 10..=99;

const CONSTANTS: RangeInclusive<i64> = 200..=899;
const ARGUMENTS: RangeInclusive<i64> = 2..=9;
const FACTORS: RangeInclusive<i64> = 1..=3;

/// Bodies tried for a function before all are drawn again.
const TRIES: usize = 1000;

/// What generated functions return. Written `constant`, `arithmetic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Body {
    /// A number, or what another function returns: to be found and copied. These take no arguments.
    Constant,
    /// A number, or what another function returns, plus or minus a multiple of each of two parameters: to be
    /// found and computed.
    Arithmetic,
}

/// The generated functions of one sample. No two return the same unless one returns what the other does, and
/// none returns a number that is used in computing.
#[derive(Debug)]
pub(super) struct Needles {
    /// The arguments of every call.
    arguments: Vec<i64>,
    /// The asked one, those that it calls in turn, those with nearly its name, others.
    pub functions: Vec<Needle>,
}

/// A function that returns a base and the sum of its terms.
#[derive(Debug)]
pub(super) struct Needle {
    name: Name,
    base: Base,
    /// A parameter and its factor, in the order in which they are written; negative means subtracted.
    terms: Vec<(&'static str, i64)>,
    /// What it returns for the sample's arguments.
    pub returns: i64,
}

/// Written `scale_values_42` in Python and `scaleValues42` in Java.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    verb: &'static str,
    noun: &'static str,
    number: u8,
}

#[derive(Debug, Clone, Copy)]
enum Base {
    Constant(i64),
    /// Another function, called with the same arguments.
    Call(Name),
}

impl Needles {
    /// Functions that return some of the numbers in `answers`, which is sorted.
    pub(super) fn generate(task: &Lookup, answers: &[i64], rng: &mut ChaCha8Rng) -> Needles {
        loop {
            if let Some(needles) = Needles::draw(task, answers, rng) {
                return needles;
            }
        }
    }

    /// None if the first draws leave too little for the last ones.
    fn draw(task: &Lookup, answers: &[i64], rng: &mut ChaCha8Rng) -> Option<Needles> {
        let arguments = match task.body {
            Body::Constant => vec![],
            Body::Arithmetic => two_different(ARGUMENTS, rng),
        };
        let mut taken = HashSet::new();
        // From back to front, so that a function exists before the one that calls it.
        let mut functions: Vec<Needle> = Vec::new();
        for (number, name) in names(task, rng).into_iter().enumerate().rev() {
            let called = called(task, number).map(|further| &functions[functions.len() - further]);
            let draw = || match task.body {
                Body::Constant => Needle::constant(name, called, answers, rng),
                Body::Arithmetic => Needle::arithmetic(name, called, &arguments, rng),
            };
            let mut drawn = std::iter::repeat_with(draw).take(TRIES);
            let is_answer = |needle: &Needle| answers.binary_search(&needle.returns).is_ok();
            let needle = drawn.find(|needle| is_answer(needle) && needle.differs_from(&taken))?;
            taken.extend(needle.own_numbers());
            functions.push(needle);
        }
        functions.reverse();
        Some(Needles { arguments, functions })
    }

    /// The call that is asked about.
    pub(super) fn call(&self, language: PromptLanguage) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(i64::to_string).collect();
        format!("{}({})", self.functions[0].name(language), arguments.join(", "))
    }

    /// The different numbers that the functions return, the asked one's first.
    pub(super) fn returns(&self) -> Vec<i64> {
        let mut seen = HashSet::new();
        self.functions.iter().map(|needle| needle.returns).filter(|&returns| seen.insert(returns)).collect()
    }
}

/// How many places later the function is that function `number` calls; none if it calls none.
fn called(task: &Lookup, number: usize) -> Option<usize> {
    let Lookup { needles, distractors, hops, body, .. } = *task;
    if number + 1 < hops {
        return Some(1);
    }
    // If the asked function were the only one that calls another, its name would not have to be read.
    let is_distractor = (hops..hops + distractors).contains(&number);
    let other = number + distractors;
    (body == Body::Constant && hops > 1 && is_distractor && other < needles).then_some(distractors)
}

impl Needle {
    /// Returns a number, or what another function returns.
    fn constant(name: Name, called: Option<&Needle>, answers: &[i64], rng: &mut ChaCha8Rng) -> Needle {
        let (base, returns) = match called {
            Some(called) => (Base::Call(called.name), called.returns),
            None => {
                let constant = answers[rng.random_range(0..answers.len())];
                (Base::Constant(constant), constant)
            }
        };
        Needle { name, base, terms: vec![], returns }
    }

    /// Returns a number, or what another function returns, and a multiple of each parameter.
    fn arithmetic(name: Name, called: Option<&Needle>, arguments: &[i64], rng: &mut ChaCha8Rng) -> Needle {
        let (base, value) = match called {
            Some(called) => (Base::Call(called.name), called.returns),
            None => {
                let constant = rng.random_range(CONSTANTS);
                (Base::Constant(constant), constant)
            }
        };
        let mut factor = || {
            let times = rng.random_range(FACTORS);
            if rng.random() { times } else { -times }
        };
        let factors = [factor(), factor()];
        let added: i64 = factors.iter().zip(arguments).map(|(factor, argument)| factor * argument).sum();
        let mut terms = vec![("a", factors[0]), ("b", factors[1])];
        terms.shuffle(rng);
        Needle { name, base, terms, returns: value + added }
    }

    fn differs_from(&self, taken: &HashSet<i64>) -> bool {
        let mut own = HashSet::new();
        self.own_numbers().all(|number| !taken.contains(&number) && own.insert(number))
    }

    /// The number in the body, if there is one, and the returned number, if it is computed.
    fn own_numbers(&self) -> impl Iterator<Item = i64> {
        let computed = (!self.terms.is_empty()).then_some(self.returns);
        self.number().into_iter().chain(computed)
    }

    fn number(&self) -> Option<i64> {
        match self.base {
            Base::Constant(constant) => Some(constant),
            Base::Call(_) => None,
        }
    }

    pub(super) fn name(&self, language: PromptLanguage) -> String {
        self.name.text(language)
    }

    /// The definition, not indented.
    pub(super) fn definition(&self, language: PromptLanguage) -> String {
        let name = self.name(language);
        let body = self.body(language);
        let parameters = match (self.terms.is_empty(), language) {
            (true, _) => "",
            (false, PromptLanguage::Python) => "a, b",
            (false, PromptLanguage::Java) => "int a, int b",
        };
        match language {
            PromptLanguage::Python => format!("def {name}({parameters}):\n    return {body}"),
            PromptLanguage::Java => format!("static int {name}({parameters}) {{\n    return {body};\n}}"),
        }
    }

    fn body(&self, language: PromptLanguage) -> String {
        let base = match self.base {
            Base::Constant(constant) => constant.to_string(),
            Base::Call(called) => {
                let arguments = if self.terms.is_empty() { "" } else { "a, b" };
                format!("{}({arguments})", called.text(language))
            }
        };
        let terms: String = self
            .terms
            .iter()
            .map(|&(parameter, factor)| {
                let sign = if factor < 0 { '-' } else { '+' };
                match factor.abs() {
                    1 => format!(" {sign} {parameter}"),
                    times => format!(" {sign} {parameter} * {times}"),
                }
            })
            .collect();
        format!("{base}{terms}")
    }
}

impl Name {
    fn text(self, language: PromptLanguage) -> String {
        let Name { verb, noun, number } = self;
        match language {
            PromptLanguage::Python => format!("{verb}_{noun}_{number}"),
            PromptLanguage::Java => {
                let (initial, rest) = noun.split_at(1);
                format!("{verb}{}{rest}{number}", initial.to_uppercase())
            }
        }
    }
}

/// A name for each function. Those of distractors have the asked one's words and another number; all others
/// have other words, and the first that the asked one does not call has its number: neither words nor number
/// alone distinguish it from all the others.
fn names(task: &Lookup, rng: &mut ChaCha8Rng) -> Vec<Name> {
    let mut numbers: Vec<u8> = NUMBERS.collect();
    numbers.shuffle(rng);
    let unlike = task.needles - task.distractors;
    let stems = index::sample(rng, VERBS.len() * NOUNS.len(), unlike).into_iter();
    let mut names: Vec<Name> = stems
        .zip(&numbers)
        .map(|(stem, &number)| Name {
            verb: VERBS[stem / NOUNS.len()],
            noun: NOUNS[stem % NOUNS.len()],
            number,
        })
        .collect();
    let near: Vec<Name> =
        numbers[1..=task.distractors].iter().map(|&number| Name { number, ..names[0] }).collect();
    let mut others = names.split_off(task.hops);
    if let Some(other) = others.first_mut() {
        other.number = names[0].number;
    }
    [names, near, others].concat()
}

fn two_different(range: RangeInclusive<i64>, rng: &mut ChaCha8Rng) -> Vec<i64> {
    let mut all: Vec<i64> = range.collect();
    all.shuffle(rng);
    all.truncate(2);
    all
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn task(needles: usize, distractors: usize, hops: usize, body: Body) -> Lookup {
        Lookup { needles, distractors, hops, body, ..Lookup::default() }
    }

    fn generate(task: &Lookup, seed: u64) -> Needles {
        let answers: Vec<i64> = (100..1000).filter(|number| number % 3 > 0).collect();
        Needles::generate(task, &answers, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// Small sets, and the largest with few and with many hops.
    fn sets() -> impl Iterator<Item = (Lookup, Needles)> {
        let sizes =
            [(2, 1, 1), (4, 2, 1), (4, 2, 2), (9, 0, 3), (9, 3, 2), (64, 63, 1), (64, 1, 63), (64, 20, 5)];
        let tasks = sizes.into_iter().flat_map(|(needles, distractors, hops)| {
            [Body::Constant, Body::Arithmetic].map(|body| task(needles, distractors, hops, body))
        });
        tasks.flat_map(|task| (0..40).map(move |seed| (task.clone(), generate(&task, seed))))
    }

    #[test]
    fn no_two_functions_return_the_same_by_chance() {
        for (task, needles) in sets() {
            let returns = needles.returns();
            assert_eq!(returns[0], needles.functions[0].returns);
            assert!(returns.iter().all(|number| (100..1000).contains(number) && number % 3 > 0));
            let numbers: Vec<i64> = needles.functions.iter().filter_map(Needle::number).collect();
            let different: HashSet<i64> = numbers.iter().chain(&returns).copied().collect();
            match task.body {
                Body::Arithmetic => {
                    assert_eq!(returns.len(), task.needles);
                    assert_eq!(different.len(), numbers.len() + returns.len());
                }
                Body::Constant => {
                    let others = task.needles - task.hops - task.distractors;
                    let called = if task.hops > 1 { others.min(task.distractors) } else { 0 };
                    assert_eq!(returns.len(), task.needles - (task.hops - 1) - called);
                    assert_eq!((numbers.len(), different.len()), (returns.len(), returns.len()));
                }
            }
        }
    }

    #[test]
    fn a_name_stands_in_no_other() {
        for (task, needles) in sets() {
            let Lookup { distractors, hops, .. } = task;
            for language in [PromptLanguage::Python, PromptLanguage::Java] {
                let names: Vec<String> =
                    needles.functions.iter().map(|needle| needle.name(language)).collect();
                for (n, name) in names.iter().enumerate() {
                    assert!(names.iter().enumerate().all(|(m, other)| m == n || !other.contains(name)));
                }
                let split = |name: &str| {
                    let (stem, number) = name.split_at(name.len() - 2);
                    (stem.to_string(), number.to_string())
                };
                let (stem, number) = split(&names[0]);
                let numbers_of = |same: &dyn Fn(&(String, String)) -> bool| -> Vec<usize> {
                    (0..names.len()).filter(|&n| same(&split(&names[n]))).collect()
                };
                let near: Vec<usize> = std::iter::once(0).chain(hops..hops + distractors).collect();
                assert_eq!(numbers_of(&|name| name.0 == stem), near, "{names:?}");
                let other = Some(hops + distractors).filter(|&other| other < task.needles);
                let of_number: Vec<usize> = [0].into_iter().chain(other).collect();
                assert_eq!(numbers_of(&|name| name.1 == number), of_number, "{names:?}");
            }
        }
    }

    #[test]
    fn hops_call_one_another() {
        for (task, needles) in sets() {
            let Lookup { distractors, hops, .. } = task;
            for (n, needle) in needles.functions.iter().enumerate() {
                let called = match needle.base {
                    Base::Call(called) => Some(called),
                    Base::Constant(_) => None,
                };
                let decoy =
                    task.body == Body::Constant && hops > 1 && (hops..hops + distractors).contains(&n);
                let expected = if decoy {
                    needles.functions.get(n + distractors).map(|other| other.name)
                } else {
                    (n + 1 < hops).then(|| needles.functions[n + 1].name)
                };
                assert_eq!(called, expected);
            }
        }
    }

    #[test]
    fn a_seed_gives_one_set() {
        for body in [Body::Constant, Body::Arithmetic] {
            let shown = |seed| format!("{:?}", generate(&task(4, 2, 2, body), seed));
            assert_eq!(shown(1), shown(1));
            assert_ne!(shown(1), shown(2));
        }
    }

    #[test]
    fn definitions_in_both_languages() {
        let name = Name { verb: "scale", noun: "values", number: 42 };
        let called = Name { verb: "mix", noun: "loads", number: 17 };
        let terms = vec![("b", -1), ("a", 3)];
        let written = |base, terms: &[(&'static str, i64)], language| {
            Needle { name, base, terms: terms.to_vec(), returns: 0 }.definition(language)
        };
        assert_eq!(
            written(Base::Constant(481), &terms, PromptLanguage::Python),
            "def scale_values_42(a, b):\n    return 481 - b + a * 3"
        );
        assert_eq!(
            written(Base::Call(called), &terms, PromptLanguage::Java),
            "static int scaleValues42(int a, int b) {\n    return mixLoads17(a, b) - b + a * 3;\n}"
        );
        assert_eq!(
            written(Base::Call(called), &[], PromptLanguage::Python),
            "def scale_values_42():\n    return mix_loads_17()"
        );
        assert_eq!(
            written(Base::Constant(481), &[], PromptLanguage::Java),
            "static int scaleValues42() {\n    return 481;\n}"
        );
    }
}
