//! Segments that never look ahead, to measure how much a full parse does.

use std::ops::Range;

use tree_sitter::{InputEdit, Parser, Point, Tree};

use super::assign::owner;
use super::outline::Outline;
use super::regions::file_regions;
use super::{Language, Region, Segments, Source, Unit, segments, syntax};

/// Like [`segments`], but the index of token `t` depends on the text up to the end of token `t` alone.
///
/// The text is parsed anew at every token, incrementally. While no unit has been seen, tokens are numbered
/// by [`Unit::FALLBACK`]; from the first unit on, a token's index goes up as the number of the region it lies
/// in does. An index that a later token's parse would take back stays: the function whose `def` is only
/// recognised at its colon begins at the colon here.
///
/// The work is that of one walk over the outline a token, so quadratic in the text.
pub fn segments_prefix_only(source: &Source, tokens: &[(usize, usize)], unit: Unit) -> Segments {
    let parsed = source.language.and_then(|language| Prefix::new(source, language, unit));
    // Counting tokens or files looks at nothing ahead.
    let (Unit::Function | Unit::FunctionAuthors | Unit::Statement, Some(mut prefix)) = (unit, parsed) else {
        return segments(source, tokens, unit);
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
    numbered
}

/// Numbers tokens by what is known so far.
#[derive(Default)]
struct Numbers {
    last: usize,
    /// Number of a region less its place, fixed when the first unit appears.
    shift: Option<isize>,
}

impl Numbers {
    /// The number of token `t`, whose region is `place` if a unit has been seen in the text so far.
    fn next(&mut self, t: usize, place: Option<usize>) -> usize {
        let number = match (place, self.shift) {
            (None, None) => segment_of_fallback(t),
            (None, Some(_)) => self.last,
            (Some(place), shift) => {
                // What precedes the first unit has been numbered already, up to `last`.
                let start = self.last as isize + 1 - place.max(1) as isize;
                let shift = *self.shift.insert(shift.unwrap_or(start));
                place.saturating_add_signed(shift)
            }
        };
        self.last = self.last.max(number);
        self.last
    }
}

fn segment_of_fallback(t: usize) -> usize {
    match Unit::FALLBACK {
        Unit::Tokens(n) => t / n,
        _ => 0,
    }
}

/// The regions of a text of which only the beginning is known.
struct Prefix<'a> {
    text: &'a str,
    language: Language,
    unit: Unit,
    parser: Parser,
    /// The files not yet complete; the first is under way.
    files: std::iter::Peekable<std::vec::IntoIter<Range<usize>>>,
    /// Regions of the complete files.
    complete: usize,
    current: Growing,
    found: bool,
}

/// The file under way.
#[derive(Default)]
struct Growing {
    tree: Option<Tree>,
    len: usize,
    point: Point,
    regions: Vec<Region>,
}

impl<'a> Prefix<'a> {
    fn new(source: &Source<'a>, language: Language, unit: Unit) -> Option<Self> {
        Some(Prefix {
            text: source.text,
            language,
            unit,
            parser: syntax::parser(language)?,
            files: source.files().into_iter().peekable(),
            complete: 0,
            current: Growing::default(),
            found: false,
        })
    }

    /// Makes the text known up to byte `to`, less a character that ends after it.
    fn grow(&mut self, to: usize) {
        let to = self.text.floor_char_boundary(to);
        while let Some(file) = self.files.peek().cloned() {
            self.parse(file.start, to.clamp(file.start, file.end) - file.start);
            if to <= file.end {
                return;
            }
            self.complete += std::mem::take(&mut self.current).regions.len();
            self.files.next();
        }
    }

    /// Parses the file under way up to `len` bytes, if that is more than before.
    fn parse(&mut self, start: usize, len: usize) {
        let Growing { tree, len: old, point, .. } = &mut self.current;
        if len <= *old {
            return;
        }
        let text = &self.text[start..start + len];
        let end = advance(*point, &text[*old..]);
        if let Some(tree) = tree {
            tree.edit(&InputEdit {
                start_byte: *old,
                old_end_byte: *old,
                new_end_byte: len,
                start_position: *point,
                old_end_position: *point,
                new_end_position: end,
            });
        }
        let tree = self.parser.parse(text, tree.as_ref());
        let outline =
            tree.as_ref().map(|tree| Outline::new(tree, text, self.language, self.unit)).unwrap_or_default();
        self.found |= outline.found;
        self.current = Growing { tree, len, point: end, regions: file_regions(text, start, &outline) };
    }

    /// The place of the region that a token lies in, once a unit has been seen.
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
