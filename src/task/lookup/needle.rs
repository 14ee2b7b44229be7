//! Needles: generated functions whose names stand nowhere else, and what each returns.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use rand::Rng;
use rand::seq::{SliceRandom, index};
use rand_chacha::ChaCha8Rng;

use super::Lookup;
use crate::structure::Language;

const VERBS: [&str; 12] = [
    "adjust", "balance", "blend", "combine", "estimate", "mix", "project", "rank", "scale", "shift", "tally",
    "weigh",
];
const NOUNS: [&str; 12] = [
    "budgets", "credits", "grades", "harvests", "loads", "margins", "points", "quotas", "ratings", "scores",
    "values", "weights",
];

/// Two digits, so that no name begins another.
const NUMBERS: RangeInclusive<u8> = 10..=99;

/// Three digits, so that all candidates for an answer have about as many tokens.
const RETURNS: RangeInclusive<i64> = 100..=999;

const CONSTANTS: RangeInclusive<i64> = 200..=899;
const ARGUMENTS: RangeInclusive<i64> = 2..=9;
const FACTORS: RangeInclusive<i64> = 1..=3;

/// Bodies tried for a function before all are drawn again.
const TRIES: usize = 1000;

/// The generated functions of one sample. No two return the same, and no number in a body is what one
/// of them returns.
#[derive(Debug)]
pub(super) struct Needles {
    /// What every function is called with.
    arguments: [i64; 2],
    /// The asked one, those that it calls in turn, those with nearly its name, others.
    pub functions: Vec<Needle>,
}

/// A function of `a` and `b` that returns a base and a multiple of each parameter, added or subtracted:
/// easy to compute for whoever has found it.
#[derive(Debug)]
pub(super) struct Needle {
    name: Name,
    base: Base,
    /// A parameter and its factor, in the order in which they are written; negative: subtracted.
    terms: [(&'static str, i64); 2],
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
    pub fn generate(task: &Lookup, rng: &mut ChaCha8Rng) -> Needles {
        loop {
            if let Some(needles) = Needles::draw(task, rng) {
                return needles;
            }
        }
    }

    /// None where the first draws leave too little for the last ones.
    fn draw(task: &Lookup, rng: &mut ChaCha8Rng) -> Option<Needles> {
        let arguments = two_different(ARGUMENTS, rng);
        let mut taken = HashSet::new();
        // Back to front, so that a function is there before the one that calls it.
        let mut functions: Vec<Needle> = Vec::new();
        for (number, name) in names(task, rng).into_iter().enumerate().rev() {
            let called = functions.last().filter(|_| number + 1 < task.hops);
            let mut drawn = (0..TRIES).map(|_| Needle::draw(name, called, arguments, rng));
            let needle = drawn.find(|needle| needle.is_told_from(&taken))?;
            taken.extend(needle.numbers());
            functions.push(needle);
        }
        functions.reverse();
        Some(Needles { arguments, functions })
    }

    /// The call that is asked about.
    pub fn call(&self, language: Language) -> String {
        let [a, b] = self.arguments;
        format!("{}({a}, {b})", self.functions[0].name(language))
    }
}

impl Needle {
    fn draw(name: Name, called: Option<&Needle>, arguments: [i64; 2], rng: &mut ChaCha8Rng) -> Needle {
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
        let (a, b) = (factor(), factor());
        let mut terms = [("a", a), ("b", b)];
        terms.shuffle(rng);
        Needle { name, base, terms, returns: value + a * arguments[0] + b * arguments[1] }
    }

    fn is_told_from(&self, taken: &HashSet<i64>) -> bool {
        let new = self.numbers().all(|number| !taken.contains(&number));
        new && RETURNS.contains(&self.returns) && self.constant() != Some(self.returns)
    }

    fn numbers(&self) -> impl Iterator<Item = i64> {
        self.constant().into_iter().chain([self.returns])
    }

    fn constant(&self) -> Option<i64> {
        match self.base {
            Base::Constant(constant) => Some(constant),
            Base::Call(_) => None,
        }
    }

    pub fn name(&self, language: Language) -> String {
        self.name.text(language)
    }

    /// The definition, not indented.
    pub fn definition(&self, language: Language) -> String {
        let name = self.name(language);
        let body = self.body(language);
        match language {
            Language::Python => format!("def {name}(a, b):\n    return {body}"),
            _ => format!("static int {name}(int a, int b) {{\n    return {body};\n}}"),
        }
    }

    fn body(&self, language: Language) -> String {
        let base = match self.base {
            Base::Constant(constant) => constant.to_string(),
            Base::Call(called) => format!("{}(a, b)", called.text(language)),
        };
        let term = |(parameter, factor): (&str, i64)| {
            let sign = if factor < 0 { '-' } else { '+' };
            match factor.abs() {
                1 => format!(" {sign} {parameter}"),
                times => format!(" {sign} {parameter} * {times}"),
            }
        };
        format!("{base}{}", self.terms.map(term).concat())
    }
}

impl Name {
    fn text(self, language: Language) -> String {
        let Name { verb, noun, number } = self;
        match language {
            Language::Python => format!("{verb}_{noun}_{number}"),
            _ => {
                let (initial, rest) = noun.split_at(1);
                format!("{verb}{}{rest}{number}", initial.to_uppercase())
            }
        }
    }
}

/// A name for each function. Those of distractors differ from the asked one in the number, the others in
/// a word at least.
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
    let others = names.split_off(task.hops);
    [names, near, others].concat()
}

fn two_different(range: RangeInclusive<i64>, rng: &mut ChaCha8Rng) -> [i64; 2] {
    let mut all: Vec<i64> = range.collect();
    all.shuffle(rng);
    [all[0], all[1]]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn generate(needles: usize, distractors: usize, hops: usize, seed: u64) -> Needles {
        let task = Lookup { needles, distractors, hops, ..Lookup::default() };
        Needles::generate(&task, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// Small sets, and the largest with few and with many hops.
    fn sets() -> impl Iterator<Item = (Needles, usize, usize)> {
        let sizes = [(2, 1, 1), (4, 2, 1), (4, 2, 2), (9, 0, 3), (64, 63, 1), (64, 0, 64), (64, 20, 5)];
        let set = |(needles, distractors, hops)| {
            (0..40).map(move |seed| (generate(needles, distractors, hops, seed), distractors, hops))
        };
        sizes.into_iter().flat_map(set)
    }

    #[test]
    fn no_two_functions_return_the_same() {
        for (needles, ..) in sets() {
            let returns: HashSet<i64> = needles.functions.iter().map(|needle| needle.returns).collect();
            assert_eq!(returns.len(), needles.functions.len());
            let constants = needles.functions.iter().filter_map(Needle::constant);
            assert!(constants.into_iter().all(|constant| !returns.contains(&constant)));
            assert!(returns.iter().all(|returns| (100..1000).contains(returns)));
        }
    }

    #[test]
    fn a_name_stands_in_no_other() {
        for (needles, distractors, hops) in sets() {
            for language in [Language::Python, Language::Java] {
                let names: Vec<String> =
                    needles.functions.iter().map(|needle| needle.name(language)).collect();
                for (n, name) in names.iter().enumerate() {
                    assert!(names.iter().enumerate().all(|(m, other)| m == n || !other.contains(name)));
                }
                let stem = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
                let near = names.iter().enumerate().filter(|(_, name)| stem(name) == stem(&names[0]));
                let expected = std::iter::once(0).chain(hops..hops + distractors);
                assert!(near.map(|(n, _)| n).eq(expected), "{names:?}");
            }
        }
    }

    #[test]
    fn hops_call_one_another() {
        for (needles, _, hops) in sets() {
            for (n, needle) in needles.functions.iter().enumerate() {
                let called = match needle.base {
                    Base::Call(called) => Some(called),
                    Base::Constant(_) => None,
                };
                let expected = (n + 1 < hops).then(|| needles.functions[n + 1].name);
                assert_eq!(called, expected);
            }
        }
    }

    #[test]
    fn a_seed_gives_one_set() {
        let shown = |seed| format!("{:?}", generate(4, 2, 2, seed));
        assert_eq!(shown(1), shown(1));
        assert_ne!(shown(1), shown(2));
    }

    #[test]
    fn definitions_in_both_languages() {
        let name = Name { verb: "scale", noun: "values", number: 42 };
        let called = Name { verb: "mix", noun: "loads", number: 17 };
        let terms = [("b", -1), ("a", 3)];
        let mut needle = Needle { name, base: Base::Constant(481), terms, returns: 0 };
        assert_eq!(
            needle.definition(Language::Python),
            "def scale_values_42(a, b):\n    return 481 - b + a * 3"
        );
        needle.base = Base::Call(called);
        assert_eq!(
            needle.definition(Language::Java),
            "static int scaleValues42(int a, int b) {\n    return mixLoads17(a, b) - b + a * 3;\n}"
        );
    }
}
