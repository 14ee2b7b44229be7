//! References: what a code itself points at. The unit of each token, the lines and statements that say what there is, and
//! which units a unit uses by name (`docs/encodings.md`, "What the code points at").

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::assign::deciding_byte;
use super::syntax::{self, Parsed};
use super::{Draw, Source, Unit, segments};

/// Which units the queries of a unit see, besides their own, and which tokens every query sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// The number of each token's unit.
    pub units: Vec<u32>,
    /// Whether each token lies in an import statement.
    pub imports: Vec<bool>,
    /// Whether it lies on a line on which the name of a definition stands.
    pub signatures: Vec<bool>,
    /// Whether it lies in a statement at module level that assigns to or declares a variable or a constant.
    pub globals: Vec<bool>,
    /// The token from which on a use counts, for the queries of that token's unit, and the unit that it points at: one
    /// before its own, each once, by token and unit.
    pub uses: Vec<(usize, u32)>,
}

/// The references of a tokenised text, whose units are the segments of `unit`.
pub fn references(source: &Source, tokens: &[(usize, usize)], unit: Unit, draw: Draw) -> References {
    let units = segments(source, tokens, unit, draw).index;
    let found = Found::of(source);
    let bytes: Vec<usize> = tokens.iter().map(|&token| deciding_byte(source.text, token)).collect();
    let flags = |ranges: &[Range<usize>]| bytes.iter().map(|&byte| holds(ranges, byte)).collect();
    References {
        imports: flags(&found.imports),
        signatures: flags(&found.signatures),
        globals: flags(&found.globals),
        uses: found.uses(tokens, &units),
        units,
    }
}

impl References {
    /// Those of a text of which nothing is known, to measure what it costs: functions of 128 tokens, each with a line of 8
    /// for its name, which use four that come before.
    pub fn stand_in(length: usize) -> References {
        const UNIT: usize = 128;
        let uses = (0..length.div_ceil(UNIT))
            .flat_map(|unit| (1..=4).map(move |n| (unit * UNIT + n * UNIT / 8, (unit * n / 5) as u32)));
        References {
            units: (0..length).map(|token| (token / UNIT) as u32).collect(),
            imports: vec![false; length],
            signatures: (0..length).map(|token| token % UNIT < 8).collect(),
            globals: vec![false; length],
            uses: uses
                .filter(|&(token, _)| token < length)
                .filter(|&(token, unit)| unit < (token / UNIT) as u32)
                .collect(),
        }
    }

    /// Those of some of the tokens; units keep their numbers, and a use before them counts from the first.
    pub fn part(&self, tokens: Range<usize>) -> References {
        let flags = |flags: &[bool]| flags[tokens.clone()].to_vec();
        let units = self.units[tokens.clone()].to_vec();
        let of_first = units.first().copied();
        // Uses that count before these tokens are of this part if their unit goes on in it.
        let is_here = |token: usize| token >= tokens.start || Some(self.units[token]) == of_first;
        let uses = self.uses.iter().filter(|(token, _)| *token < tokens.end && is_here(*token));
        References {
            units,
            imports: flags(&self.imports),
            signatures: flags(&self.signatures),
            globals: flags(&self.globals),
            uses: uses.map(|&(token, unit)| (token.saturating_sub(tokens.start), unit)).collect(),
        }
    }

    /// The control: every unit points at as many units, from the same tokens on, which are drawn by chance.
    pub fn shuffled(&self, draw: Draw) -> References {
        let mut targets: HashMap<u32, Vec<u32>> = HashMap::new();
        // Uses are in the order of their tokens, and of one token by number.
        for &(token, target) in &self.uses {
            let of_unit = targets.entry(self.units[token]).or_default();
            if !of_unit.contains(&target) {
                of_unit.push(target);
            }
        }
        let drawn: HashMap<(u32, u32), u32> = targets
            .into_iter()
            .flat_map(|(unit, targets)| {
                let drawn = drawn(unit, targets.len(), draw);
                targets.into_iter().zip(drawn).map(move |(target, drawn)| ((unit, target), drawn))
            })
            .collect();
        let mut uses: Vec<(usize, u32)> =
            self.uses.iter().map(|&(token, target)| (token, drawn[&(self.units[token], target)])).collect();
        uses.sort_unstable();
        References { uses, ..self.clone() }
    }
}

/// The first `count` of the units before `unit`, after as many swaps.
fn drawn(unit: u32, count: usize, draw: Draw) -> Vec<u32> {
    let mut all: Vec<u32> = (0..unit).collect();
    for k in 0..count.min(all.len()) {
        let r = draw.number("edges", &[unit as usize, k]) % (all.len() - k) as u64;
        all.swap(k, k + r as usize);
    }
    all.truncate(count);
    all
}

/// What the trees of a text's files say, in bytes of the text.
#[derive(Default)]
struct Found<'t> {
    imports: Vec<Range<usize>>,
    signatures: Vec<Range<usize>>,
    globals: Vec<Range<usize>>,
    /// Where the names of definitions are.
    names: Vec<Range<usize>>,
    /// Every identifier that is not the name of a definition.
    identifiers: Vec<(usize, &'t str)>,
    text: &'t str,
}

impl<'t> Found<'t> {
    fn of(source: &Source<'t>) -> Found<'t> {
        let mut found = Found { text: source.text, ..Found::default() };
        if let Some(mut parser) = source.language.and_then(syntax::parser) {
            for file in source.files() {
                let trees = parser.parse(&source.text[file.clone()]);
                if let Some(parsed) = parser.best(&trees) {
                    found.read(&parsed, &source.text[file.clone()], file.start);
                }
            }
        }
        found.signatures = found.names.iter().map(|name| lines(source.text, name)).collect();
        [&mut found.imports, &mut found.signatures, &mut found.globals].into_iter().for_each(joined);
        found
    }

    /// What the tree of a file that begins at byte `offset` says.
    fn read(&mut self, parsed: &Parsed, text: &'t str, offset: usize) {
        let mut named = HashSet::new();
        parsed.walk(text, |place, entry| {
            let range = place.node.byte_range();
            let here = offset + range.start..offset + range.end;
            if entry.imports.contains(&place.kind()) {
                self.imports.push(here.clone());
            }
            if place.is_in_top && (entry.is_global)(place) {
                self.globals.push(here.clone());
            }
            if entry.defines(place)
                && let Some(name) = (entry.name)(place).filter(|name| !name.is_empty())
            {
                // A destructor's name is its class's after a sign.
                let signs = text[name.clone()].trim_start_matches(['~', ' ']).len();
                named.insert(name.end - signs);
                self.names.push(offset + name.end - signs..offset + name.end);
            }
            if entry.is_identifier(place) && !range.is_empty() && !named.contains(&range.start) {
                self.identifiers.push((here.start, &text[range]));
            }
        });
    }

    /// From which token on a unit uses which other.
    fn uses(&self, tokens: &[(usize, usize)], units: &[u32]) -> Vec<(usize, u32)> {
        // A special token may go back.
        let ends: Vec<usize> = tokens
            .iter()
            .scan(0, |furthest, &(_, end)| {
                *furthest = end.max(*furthest);
                Some(*furthest)
            })
            .collect();
        let first_beyond = |byte: usize| ends.partition_point(|&end| end <= byte);
        let mut defined: HashMap<&str, Vec<u32>> = HashMap::new();
        for name in &self.names {
            let of_name = defined.entry(&self.text[name.clone()]).or_default();
            if let Some(&unit) = units.get(first_beyond(name.start))
                && !of_name.contains(&unit)
            {
                of_name.push(unit);
            }
        }
        let mut known = HashSet::new();
        let mut uses = Vec::new();
        for (at, name) in &self.identifiers {
            let Some(targets) = defined.get(name) else { continue };
            let (begins, counts) = (first_beyond(*at), first_beyond(at + name.len()));
            let Some(&unit) = units.get(counts).filter(|&unit| *unit == units[begins]) else { continue };
            let new = targets.iter().filter(|&&target| target < unit && known.insert((unit, target)));
            uses.extend(new.map(|&target| (counts, target)));
        }
        uses.sort_unstable();
        uses
    }
}

/// The whole lines that a range lies on.
fn lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = text[..range.start].rfind('\n').map_or(0, |end| end + 1);
    let end = text[range.end..].find('\n').map_or(text.len(), |end| range.end + end + 1);
    start..end
}

/// Sorts ranges and joins those that overlap or touch.
fn joined(ranges: &mut Vec<Range<usize>>) {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut all: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    *ranges = all;
}

/// Whether a byte lies in one of the ranges, which are in order.
fn holds(ranges: &[Range<usize>], byte: usize) -> bool {
    let after = ranges.partition_point(|range| range.start <= byte);
    after.checked_sub(1).is_some_and(|last| byte < ranges[last].end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;
    use serde_json::Value;

    /// A token for each word, with the white space before it, and for each sign.
    fn words(text: &str) -> Vec<(usize, usize)> {
        let mut tokens = Vec::new();
        let mut start = 0;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        for (at, c) in text.char_indices() {
            let next = text[at + c.len_utf8()..].chars().next();
            if !(c.is_whitespace() || is_word(c) && next.is_some_and(is_word)) {
                tokens.push((start, at + c.len_utf8()));
                start = at + c.len_utf8();
            }
        }
        tokens.extend((start < text.len()).then_some((start, text.len())));
        tokens
    }

    fn of(text: &str, language: Language) -> (References, Vec<String>) {
        let source = Source { text, language: Some(language), file_starts: &[] };
        let tokens = words(text);
        let found = references(&source, &tokens, Unit::FUNCTION, Draw::default());
        (found, tokens.iter().map(|&(a, b)| text[a..b].trim().to_string()).collect())
    }

    fn flagged(flags: &[bool], words: &[String]) -> String {
        // The last line's end is a token too.
        let words = words.iter().zip(flags).filter(|(word, flag)| **flag && !word.is_empty());
        let words = words.map(|(word, _)| word.as_str());
        words.collect::<Vec<_>>().join(" ")
    }

    const PYTHON: &str = "\
import os
from a import (b,
               c)
LIMIT: int = 3
x = y = 2
def f(a):
    import late
    z = LIMIT
    return z
class C:
    k = 1
    def g(self):
        return f(self.g) + f(2) + h(1)
def h(a, C): return C.g(f)
";

    #[test]
    fn flags_of_python() {
        let (found, words) = of(PYTHON, Language::Python);
        assert_eq!(flagged(&found.imports, &words), "import os from a import ( b , c ) import late");
        assert_eq!(flagged(&found.globals, &words), "LIMIT : int = 3 x = y = 2");
        let signatures = "def f ( a ) : class C : def g ( self ) : def h ( a , C ) : return C . g ( f )";
        assert_eq!(flagged(&found.signatures, &words), signatures);
    }

    /// Units: 0 what is before f, 1 f, 2 the class, 3 g, 4 h.
    #[test]
    fn uses_count_from_the_token_after_the_name_and_point_back() {
        let (found, words) = of(PYTHON, Language::Python);
        let shown: Vec<_> =
            found.uses.iter().map(|&(at, unit)| (found.units[at], words[at].as_str(), unit)).collect();
        // h is after g, and g within g is its own. `C` in the parameters is an identifier as any.
        assert_eq!(shown, [(3, "(", 1), (4, ")", 2), (4, "(", 3), (4, ")", 1)]);
    }

    #[test]
    fn a_name_at_the_end_of_its_unit_is_no_use() {
        let (found, _) = of("def f(): pass\ndef g(): return f\ndef h(): return f()\n", Language::Python);
        let units: Vec<_> = found.uses.iter().map(|&(at, unit)| (found.units[at], unit)).collect();
        // After the last name of `g` comes the next function.
        assert_eq!(units, [(2, 0)]);
    }

    #[test]
    fn other_languages() {
        let cases = [
            (
                Language::C,
                "#include <a.h>\nint f(int);\nstatic int x = 1, *y;\nint (*p)(int);\nint f(int a) { int z = 0; return z; }\n",
                "#include <a.h>",
                "static int x = 1 , * y ; int ( * p ) ( int ) ;",
            ),
            (
                Language::Cpp,
                "#include <a>\nusing std::b;\nconst int x = 1;\nint f() { return x; }\n",
                "#include <a> using std : : b ;",
                "const int x = 1 ;",
            ),
            (
                Language::CSharp,
                "using A;\nint x = 1;\nclass C { int y; void F() {} }\n",
                "using A ;",
                "int x = 1 ;",
            ),
            (
                Language::Go,
                "package p\nimport \"a\"\nvar x = 1\nconst y = 2\nfunc f() { var z = 1 }\n",
                "import \" a \"",
                "var x = 1 const y = 2",
            ),
            (
                Language::Java,
                "package p;\nimport a.B;\nclass C { int x = 1; void f() {} }\n",
                "import a . B ;",
                "",
            ),
            (
                Language::JavaScript,
                "import a from 'b';\nexport const x = 1;\nlet f = () => { let z; };\ny = 2;\nm.n = 3;\n",
                "import a from ' b ' ;",
                "const x = 1 ; y = 2 ;",
            ),
            (
                Language::Rust,
                "use a::b;\nextern crate c;\nstatic X: u8 = 1;\nconst Y: u8 = 2;\nfn f() { const Z: u8 = 1; }\n",
                "use a : : b ; extern crate c ;",
                "static X : u8 = 1 ; const Y : u8 = 2 ;",
            ),
            (
                Language::TypeScript,
                "import { a } from 'b';\nconst x: number = 1;\nconst f = function () {};\n",
                "import { a } from ' b ' ;",
                "const x : number = 1 ;",
            ),
        ];
        for (language, text, imports, globals) in cases {
            let (found, words) = of(text, language);
            let shown = |flags: &[bool]| flagged(flags, &words).replace(' ', "");
            assert_eq!(shown(&found.imports), imports.replace(' ', ""), "{language}");
            assert_eq!(shown(&found.globals), globals.replace(' ', ""), "{language}");
        }
    }

    #[test]
    fn files_point_at_one_another() {
        let (first, second) = ("def f(): pass\n", "def g(): return f()\n");
        let text = [first, second].concat();
        let source = Source { text: &text, language: Some(Language::Python), file_starts: &[0, first.len()] };
        let found = references(&source, &words(&text), Unit::FUNCTION, Draw::default());
        assert_eq!(found.uses.iter().map(|&(_, unit)| unit).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn without_a_language_there_is_nothing_to_point_at() {
        let text = "f f f";
        let source = Source { text, language: None, file_starts: &[] };
        let found = references(&source, &words(text), Unit::FUNCTION, Draw::default());
        assert_eq!((found.units, found.uses), (vec![0; 3], vec![]));
        assert!(!found.imports.contains(&true) && !found.signatures.contains(&true));
    }

    #[test]
    fn a_part_keeps_what_counts_in_it() {
        let (whole, _) = of(PYTHON, Language::Python);
        let start = whole.uses[0].0 + 2;
        let part = whole.part(start..whole.units.len());
        assert_eq!(part.units, whole.units[start..]);
        let expected: Vec<_> =
            whole.uses.iter().map(|&(at, unit)| (at.saturating_sub(start), unit)).collect();
        assert_eq!(part.uses, expected, "its unit goes on");
        let later = whole.uses[1].0;
        assert_eq!(whole.part(later..whole.units.len()).uses.len(), 3, "g is not there any more");
        assert_eq!(whole.part(0..whole.units.len()), whole);
    }

    /// Edges that were drawn independently.
    #[test]
    fn shuffled_edges_of_the_golden_vectors() {
        let vectors: Value = serde_json::from_str(include_str!("../../../tests/golden/sight.json")).unwrap();
        let mut checked = 0;
        for case in
            vectors["cases"].as_array().unwrap().iter().chain(vectors["attention"].as_array().unwrap())
        {
            let given = &case["given"];
            let Ok(expected) = serde_json::from_value::<Vec<(usize, u32)>>(given["uses_shuffled"].clone())
            else {
                continue;
            };
            let own = References {
                units: serde_json::from_value(given["units"].clone()).unwrap(),
                uses: serde_json::from_value(given["uses"].clone()).unwrap(),
                ..References::default()
            };
            let draw =
                Draw { seed: given["seed"].as_u64().unwrap(), hash: given["sha256"].as_str().unwrap() };
            let mut shuffled = own.shuffled(draw).uses;
            let mut expected = expected;
            shuffled.sort_unstable();
            expected.sort_unstable();
            assert_eq!(shuffled, expected);
            checked += 1;
        }
        assert_eq!(checked, 2);
    }
}
