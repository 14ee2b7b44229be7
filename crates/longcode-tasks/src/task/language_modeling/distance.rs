//! How far back the source is that a token could be copied or known from.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Sums;
use crate::task::{Back, By, Sample, Span};
use longcode_structure::{Identifier, Language, identifiers};
use longcode_text::{TokenScores, Tokens};

/// The first edges of the groups of distances by default; they double from there on.
const FIRST_EDGES: [usize; 2] = [1, 128];

/// Edges of the groups of distances: 1, 128, doubled up to `longest`, and the trained length.
pub(super) fn default_edges(longest: usize, trained_length: usize) -> Vec<usize> {
    let doubled = std::iter::successors(Some(FIRST_EDGES[1]), |edge| Some(2 * edge));
    let mut edges = vec![FIRST_EDGES[0], trained_length.max(FIRST_EDGES[0])];
    edges.extend(doubled.take_while(|&edge| edge < longest));
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// What is stored for a document's tokens at the positions from `from` on, by the distance to a source.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Distances {
    from: usize,
    /// Edges of the groups, tokens; the last group has no end.
    edges: Vec<usize>,
    /// By the distance to the last occurrence of the same pair of tokens.
    copy: Parts,
    /// At identifiers, by the distance to their last use; none for a text in an unknown language.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Parts>,
    /// At names of functions, methods or classes defined earlier, by the distance to that definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<Parts>,
}

/// Sums over the groups: new ones, those at each distance, and the others.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Parts {
    tokens: Vec<usize>,
    /// Nats.
    nll: Vec<f64>,
    /// Predicted right.
    correct: Vec<usize>,
}

impl Distances {
    /// From a document's scores; none if it does not reach `from`.
    pub(super) fn of(sample: &Sample, scores: &TokenScores, from: usize, edges: Vec<usize>) -> Option<Self> {
        let tokens = &sample.tokens;
        let from = from.max(1);
        if tokens.ids.len() <= from {
            return None;
        }
        let sums = |back: &dyn Fn(usize) -> Place| Parts::of(&edges, scores, from..tokens.ids.len(), back);
        let copies = copies(&tokens.ids);
        let copy = sums(&|token| copies[token].map_or(Place::New, Place::At));
        let names = sample.language.map(|language| identifiers(&sample.text, language));
        let uses = names.map(|names| Uses::of(&names, tokens));
        let reference = uses.as_ref().map(|uses| sums(&|token| uses.last_use[token]));
        let definition = uses.as_ref().map(|uses| sums(&|token| uses.definition[token]));
        Some(Distances { from, copy, reference, definition, edges })
    }

    /// The first position that counts.
    pub(super) fn from(&self) -> usize {
        self.from
    }

    /// Sums of all its tokens.
    pub(super) fn total(&self) -> Sums {
        self.copy.sums().fold(Sums::default(), |all, part| all + part)
    }

    /// The groups of every kind and their sums.
    pub(super) fn groups(&self) -> impl Iterator<Item = (By, Back, Sums)> {
        let ends = self.edges.iter().skip(1).copied().chain([Span::OPEN]);
        let spans = self.edges.iter().zip(ends).map(|(&from, to)| Back::At(Span { from, to }));
        let backs: Vec<Back> = [Back::New].into_iter().chain(spans).chain([Back::Other]).collect();
        let kinds = [
            (By::Copy, Some(&self.copy)),
            (By::Reference, self.reference.as_ref()),
            (By::Definition, self.definition.as_ref()),
        ];
        kinds.into_iter().filter_map(|(by, parts)| Some((by, parts?))).flat_map(move |(by, parts)| {
            let groups: Vec<_> =
                backs.iter().zip(parts.sums()).map(|(&back, sums)| (by, back, sums)).collect();
            groups
        })
    }
}

impl Parts {
    fn of(
        edges: &[usize],
        scores: &TokenScores,
        tokens: std::ops::Range<usize>,
        back: &dyn Fn(usize) -> Place,
    ) -> Parts {
        let count = edges.len() + 2;
        let mut parts = Parts { tokens: vec![0; count], nll: vec![0.0; count], correct: vec![0; count] };
        for token in tokens {
            let group = match back(token) {
                Place::New => 0,
                // A distance below the first edge was not asked for.
                Place::At(distance) if distance < edges[0] => count - 1,
                Place::At(distance) => edges.partition_point(|&edge| edge <= distance),
                Place::Nowhere => count - 1,
            };
            // The prediction at index t is of the token at position t + 1.
            parts.tokens[group] += 1;
            parts.nll[group] += f64::from(scores.nll[token - 1]);
            parts.correct[group] += usize::from(scores.correct[token - 1]);
        }
        parts
    }

    fn sums(&self) -> impl Iterator<Item = Sums> {
        let parts = self.tokens.iter().zip(&self.nll).zip(&self.correct);
        parts.map(|((&tokens, &nll), &correct)| Sums { tokens, nll, correct })
    }
}

/// Where a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// There is none: this is the first occurrence.
    New,
    /// This many tokens back.
    At(usize),
    /// There is nothing to look for.
    Nowhere,
}

/// For each token, the distances to its last copy, to the last use of its identifier, and to its definition; 0 where there is
/// none before, none where there is nothing to look for.
pub(crate) fn sources(text: &str, language: Option<Language>, tokens: &Tokens) -> [Vec<Option<u32>>; 3] {
    let distance = |place: &Place| match *place {
        Place::New => Some(0),
        Place::At(distance) => Some(distance as u32),
        Place::Nowhere => None,
    };
    let copy = copies(&tokens.ids).into_iter().map(|back| Some(back.unwrap_or(0) as u32)).collect();
    match language.map(|language| Uses::of(&identifiers(text, language), tokens)) {
        None => [copy, vec![None; tokens.ids.len()], vec![None; tokens.ids.len()]],
        Some(uses) => [
            copy,
            uses.last_use.iter().map(distance).collect(),
            uses.definition.iter().map(distance).collect(),
        ],
    }
}

/// For each token, how far back the same token last followed the same one; none if it never did.
fn copies(ids: &[u32]) -> Vec<Option<usize>> {
    let mut last: HashMap<[u32; 2], usize> = HashMap::new();
    let mut back = vec![None; ids.len()];
    for token in 1..ids.len() {
        let seen = last.insert([ids[token - 1], ids[token]], token);
        back[token] = seen.map(|seen| token - seen);
    }
    back
}

/// What the identifiers in a text say about each token.
struct Uses {
    /// At the token in which an identifier begins: where it last began.
    last_use: Vec<Place>,
    /// At the token in which a defined name begins: where its definition has it.
    definition: Vec<Place>,
}

impl Uses {
    fn of(names: &[Identifier], tokens: &Tokens) -> Uses {
        let count = tokens.ids.len();
        let mut uses =
            Uses { last_use: vec![Place::Nowhere; count], definition: vec![Place::Nowhere; count] };
        let (mut last, mut defined): (HashMap<&str, usize>, HashMap<&str, usize>) = Default::default();
        let mut taken = None;
        for Identifier { name, at, defines } in names {
            let Some(token) = token_of(tokens, *at) else { continue };
            // If several identifiers begin in one token, the first decides.
            let first = taken.replace(token) != Some(token);
            let seen = last.insert(name, token).filter(|&seen| seen < token);
            if first {
                uses.last_use[token] = seen.map_or(Place::New, |seen| Place::At(token - seen));
                if let Some(definition) = defined.get(name).filter(|&&seen| seen < token && !defines) {
                    uses.definition[token] = Place::At(token - definition);
                }
            }
            if *defines {
                defined.insert(name, token);
            }
        }
        uses
    }
}

/// The token that holds a byte.
fn token_of(tokens: &Tokens, byte: usize) -> Option<usize> {
    let after = tokens.offsets.partition_point(|&(start, _)| start <= byte);
    let holds = |&token: &usize| (tokens.offsets[token].0..tokens.offsets[token].1).contains(&byte);
    // A token or two may be between: special ones, and those that share a character.
    (after.saturating_sub(4)..after).find(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_double_and_hold_the_trained_length() {
        assert_eq!(default_edges(4096, 512), [1, 128, 256, 512, 1024, 2048]);
        assert_eq!(default_edges(1000, 300), [1, 128, 256, 300, 512]);
        assert_eq!(default_edges(100, 64), [1, 64]);
    }

    #[test]
    fn pairs_that_stood_before() {
        let back = copies(&[5, 6, 7, 5, 6, 6, 5, 6]);
        assert_eq!(back, [None, None, None, None, Some(3), None, None, Some(3)]);
    }

    /// One token for each character.
    fn sample(text: &str) -> Sample {
        let tokens = Tokens {
            ids: text.bytes().map(u32::from).collect(),
            offsets: (0..text.len()).map(|at| (at, at + 1)).collect(),
        };
        Sample { text: text.into(), language: Some(Language::Python), tokens, ..Sample::default() }
    }

    fn scores(length: usize) -> TokenScores {
        let nll = (1..length).map(|t| t as f32).collect();
        TokenScores { nll, correct: vec![true; length - 1], details: None }
    }

    #[test]
    fn uses_and_definitions_of_names() {
        let text = "def f(a):\n  return f(a)\nb = f\n";
        let tokens = &sample(text).tokens;
        let uses = Uses::of(&identifiers(text, Language::Python), tokens);
        let at = |places: &[Place]| -> Vec<(usize, Place)> {
            let found = places.iter().enumerate().filter(|(_, place)| **place != Place::Nowhere);
            found.map(|(at, place)| (at, *place)).collect()
        };
        use Place::{At, New};
        assert_eq!(
            at(&uses.last_use),
            [(4, New), (6, New), (19, At(15)), (21, At(15)), (24, New), (28, At(9))]
        );
        assert_eq!(at(&uses.definition), [(19, At(15)), (28, At(24))]);
    }

    #[test]
    fn parts_add_up_and_stay_within_their_groups() {
        let text = "def f(a):\n  return f(a)\nb = f\n";
        let (sample, edges) = (sample(text), vec![1, 10, 20]);
        let distances = Distances::of(&sample, &scores(text.len()), 5, edges).unwrap();
        let sums_of = |by: By, back: Back| {
            let found = distances.groups().find(|group| (group.0, group.1) == (by, back)).unwrap().2;
            (found.tokens, found.nll)
        };
        let span = |from, to| Back::At(Span { from, to });
        // The loss at token t is t.
        assert_eq!(sums_of(By::Reference, span(1, 10)), (1, 28.0));
        assert_eq!(sums_of(By::Reference, span(10, 20)), (2, 19.0 + 21.0));
        assert_eq!(sums_of(By::Reference, Back::New), (2, 6.0 + 24.0));
        assert_eq!(sums_of(By::Definition, span(20, Span::OPEN)), (1, 28.0));
        assert_eq!(sums_of(By::Definition, Back::New), (0, 0.0));
        let total = distances.total();
        assert_eq!(total.tokens, text.len() - 5);
        for by in [By::Copy, By::Reference, By::Definition] {
            let sum = distances.groups().filter(|group| group.0 == by).map(|group| group.2);
            let sum = sum.fold(Sums::default(), |all, part| all + part);
            assert_eq!((sum.tokens, sum.nll, sum.correct), (total.tokens, total.nll, total.correct));
        }
        assert!(Distances::of(&sample, &scores(text.len()), text.len(), vec![1]).is_none());
    }
}
