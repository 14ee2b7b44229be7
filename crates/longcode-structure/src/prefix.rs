//! Segments that never look ahead, to measure how much a full parse looks ahead.

use std::ops::Range;

use tree_sitter::{InputEdit, Point};

use super::assign::{owner, plain_segments};
use super::outline::Outline;
use super::regions::file_regions;
use super::syntax::{Parsed, Parser, Trees};
use super::unit::Divide;
use super::{Language, Region, Segments, Source, Unit, syntax};
use longcode_base::limits;

/// Like [`super::segments`], but the index of token `t` depends only on the text up to the end of token `t`.
///
/// The text is parsed anew, incrementally, at every line end: a parse at every token costs several times as
/// much and mostly sees errors. Tokens after the last line end so far belong to the last region, as new
/// tokens do while generating. Until a unit has been seen, tokens are numbered by [`Unit::FALLBACK`]; from
/// the first unit on, a token's index rises with the number of its region. An index never changes: what a
/// later parse says about earlier tokens is not used.
///
/// Repairs by a language's entry, for C's conditionals and macros, are not done here.
///
/// The work is one walk over the tree for each line, so quadratic in the text: meant for files, about 50 kB,
/// not for repositories. A text of more than [`limits::PREFIX_BYTES`] is divided by [`Unit::FALLBACK`].
///
/// `None` for a control ([`Unit::control`]), which depends on how many segments the whole text has, or how long
/// they are, and for a unit of prose, whose boundaries depend on what follows ([`Unit::has_prefixes`]).
pub fn segments_prefix_only(source: &Source, tokens: &[(usize, usize)], unit: Unit) -> Option<Segments> {
    if !unit.has_prefixes() {
        return None;
    }
    // Counting tokens or files does not look ahead.
    let Divide::Tree(outline) = *unit.divide() else { return Some(plain_segments(source, tokens, unit)) };
    if source.text.len() > limits::PREFIX_BYTES {
        return Some(plain_segments(source, tokens, Unit::FALLBACK));
    }
    let Some(mut prefix) = source.language.and_then(|language| Prefix::new(source, language, outline)) else {
        return Some(plain_segments(source, tokens, unit));
    };
    let mut numbers = Numbers::default();
    let owners = tokens.iter().enumerate().map(|(t, &token)| {
        prefix.grow(token.1);
        numbers.next(t, prefix.owner(token))
    });
    let mut numbered = Segments::numbered(owners.collect::<Vec<_>>(), unit);
    if numbers.shift.is_none() {
        numbered.unit = Unit::FALLBACK;
    }
    Some(numbered)
}

/// Numbers tokens by what is known so far.
#[derive(Default)]
struct Numbers {
    last: usize,
    /// Number of a region minus its place, fixed when the first unit appears.
    shift: Option<isize>,
}

impl Numbers {
    /// The number of token `t`, whose region is `place` if a unit has been seen in the text so far.
    fn next(&mut self, t: usize, place: Option<usize>) -> usize {
        let number = match place {
            None => t / Unit::FALLBACK_TOKENS,
            Some(place) => {
                // What precedes the first unit has been numbered already, up to `last`.
                let start = self.last as isize + 1 - place.max(1) as isize;
                let shift = *self.shift.get_or_insert(start);
                place.saturating_add_signed(shift)
            }
        };
        self.last = self.last.max(number);
        self.last
    }
}

/// The regions of a text of which only the beginning is known.
struct Prefix<'a> {
    text: &'a str,
    /// How a tree is divided.
    outline: fn(&Parsed, &str) -> Outline,
    parser: Parser,
    /// The files that are not complete yet; the first is in progress.
    files: std::iter::Peekable<std::vec::IntoIter<Range<usize>>>,
    /// How many regions the complete files have.
    complete: usize,
    current: Growing,
    /// Up to here line ends have been looked for.
    seen: usize,
    found: bool,
}

/// The file in progress.
#[derive(Default)]
struct Growing {
    trees: Option<Trees>,
    len: usize,
    point: Point,
    regions: Vec<Region>,
}

impl<'a> Prefix<'a> {
    fn new(source: &Source<'a>, language: Language, outline: fn(&Parsed, &str) -> Outline) -> Option<Self> {
        Some(Prefix {
            text: source.text,
            outline,
            parser: syntax::parser(language)?,
            files: source.files().into_iter().peekable(),
            complete: 0,
            current: Growing::default(),
            seen: 0,
            found: false,
        })
    }

    /// Makes the text known up to byte `to`: the files complete by then, and the complete lines of the one in
    /// progress.
    fn grow(&mut self, to: usize) {
        let to = self.text.floor_char_boundary(to);
        if to <= self.seen {
            return;
        }
        let lines = self.text[self.seen..to].rfind('\n').map(|at| self.seen + at + 1);
        self.seen = to;
        while let Some(file) = self.files.peek().cloned() {
            if to <= file.end {
                if let Some(lines) = lines {
                    self.parse(file.start, lines.saturating_sub(file.start));
                }
                return;
            }
            self.parse(file.start, file.len());
            self.complete += std::mem::take(&mut self.current).regions.len();
            self.files.next();
        }
    }

    /// Parses the file in progress up to `len` bytes, if that is more than before.
    fn parse(&mut self, start: usize, len: usize) {
        let Growing { trees, len: old, point, .. } = &mut self.current;
        if len <= *old {
            return;
        }
        let text = &self.text[start..start + len];
        let end = advance(*point, &text[*old..]);
        if let Some(trees) = trees {
            trees.edit(&InputEdit {
                start_byte: *old,
                old_end_byte: *old,
                new_end_byte: len,
                start_position: *point,
                old_end_position: *point,
                new_end_position: end,
            });
        }
        let trees = self.parser.parse_growing(text, trees.as_ref());
        let parsed = self.parser.best(&trees);
        let outline = parsed.map(|parsed| (self.outline)(&parsed, text)).unwrap_or_default();
        self.found |= outline.found;
        let regions = file_regions(text, start, &outline);
        self.current = Growing { trees: Some(trees), len, point: end, regions };
    }

    /// The place of a token's region, once a unit has been seen.
    fn owner(&self, token: (usize, usize)) -> Option<usize> {
        self.found.then(|| self.complete + owner(self.text, token, &self.current.regions))
    }
}

/// The row and column after `text`.
fn advance(from: Point, text: &str) -> Point {
    match text.rfind('\n') {
        Some(at) => Point::new(from.row + text.matches('\n').count(), text.len() - at - 1),
        None => Point::new(from.row, from.column + text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PYTHON, sample, tokens_of};
    use super::*;

    fn python(text: &str) -> Source<'_> {
        Source { text, language: Some(Language::Python), file_starts: &[] }
    }

    const UNITS: [Unit; 3] = [Unit::FUNCTION, Unit::FUNCTION_AUTHORS, Unit::STATEMENT];

    #[test]
    fn later_text_changes_nothing() {
        let text = format!("{}{PYTHON}", "import os  # 1 2 3 4\n".repeat(40));
        let tokens = tokens_of(&text);
        for file_starts in [&[][..], &[0, 400, 900]] {
            for unit in UNITS {
                let source = Source { file_starts, ..python(&text) };
                let whole = segments_prefix_only(&source, &tokens, unit).unwrap();
                for known in (0..tokens.len()).step_by(7) {
                    let source = Source { text: &text[..tokens[known].1], ..source };
                    let part = segments_prefix_only(&source, &tokens[..=known], unit).unwrap();
                    assert_eq!(part.index, whole.index[..=known], "{unit} at {known}");
                }
            }
        }
    }

    #[test]
    fn incremental_and_fresh_parses_agree() {
        let Divide::Tree(outline) = *Unit::FUNCTION.divide() else { panic!("functions stand in a tree") };
        let mut prefix = Prefix::new(&python(PYTHON), Language::Python, outline).unwrap();
        let mut len = 0;
        for line in PYTHON.split_inclusive('\n') {
            len += line.len();
            prefix.grow(len);
            let fresh = super::super::regions(&python(&PYTHON[..len]), Unit::FUNCTION);
            assert_eq!(prefix.found, fresh.is_some());
            let spans =
                |regions: &[Region]| regions.iter().map(|r| (r.start, r.end, r.kind)).collect::<Vec<_>>();
            if let Some(fresh) = fresh {
                assert_eq!(spans(&prefix.current.regions), spans(&fresh));
            }
        }
    }

    #[test]
    fn a_function_begins_when_its_line_is_complete() {
        let text = "def f():\n  pass\ndef g():\n  pass\n";
        let tokens = [(0, 9), (9, 16), (16, 20), (20, 25), (25, 32)];
        let got = segments_prefix_only(&python(text), &tokens, Unit::FUNCTION).unwrap();
        assert_eq!((got.index, got.count, got.unit), (vec![0, 0, 0, 1, 1], 2, Unit::FUNCTION));
        assert_eq!(plain_segments(&python(text), &tokens, Unit::FUNCTION).index, [0, 0, 1, 1, 1]);
    }

    #[test]
    fn without_units_ahead_it_counts_tokens() {
        let text = "x = 1\n".repeat(300);
        let tokens = tokens_of(&text);
        let got = segments_prefix_only(&python(&text), &tokens, Unit::FUNCTION).unwrap();
        assert_eq!(got, plain_segments(&python(&text), &tokens, Unit::FALLBACK));
        let plain = Source { language: None, ..python(&text) };
        assert_eq!(segments_prefix_only(&plain, &tokens, Unit::STATEMENT).unwrap(), got);
    }

    #[test]
    fn indices_count_without_gaps() {
        for seed in 0..20 {
            let text = sample(seed);
            for unit in UNITS.into_iter().chain([Unit::FILE]) {
                let got = segments_prefix_only(&python(&text), &tokens_of(&text), unit).unwrap();
                super::super::tests::assert_counts(&got);
            }
        }
    }

    #[test]
    fn a_control_is_made_of_the_whole_text() {
        let control: Unit = "even:function".parse().unwrap();
        assert_eq!(segments_prefix_only(&python(PYTHON), &tokens_of(PYTHON), control), None);
    }
}
