//! From regions of bytes to indices of tokens.

use super::control::files;
use super::{Draw, Region, Source, Unit, regions};

/// The segment index of every token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// One index a token: from 0, never decreasing, skipping no value.
    pub index: Vec<u32>,
    /// The number of segments; 0 only without tokens.
    pub count: usize,
    /// The unit that was used: the requested one, or [`Unit::FALLBACK`], or the control of that.
    pub unit: Unit,
}

impl Segments {
    /// Numbers the tokens by what they belong to. A token that goes back, as a special token without text at
    /// the end may, stays in the segment before it.
    pub(super) fn numbered(owners: impl IntoIterator<Item = usize>, unit: Unit) -> Self {
        let mut furthest = None;
        let mut count = 0;
        let index: Vec<u32> = owners
            .into_iter()
            .map(|owner| {
                if furthest.is_none_or(|furthest| owner > furthest) {
                    furthest = Some(owner);
                    count += 1;
                }
                count - 1
            })
            .collect();
        Segments { index, count: count as usize, unit }
    }
}

/// The segments of a tokenised text (`docs/encodings.md`, "Segments").
/// `tokens` are the byte offsets `[start, end)` of each token of the text. They may overlap, split a
/// character, lie outside of the text, or be `(0, 0)` for a special token. If no unit is found,
/// [`Unit::FALLBACK`] is used, or a control of it. Only [`super::Control::Shuffled`] uses `draw`.
pub fn segments(source: &Source, tokens: &[(usize, usize)], unit: Unit, draw: Draw) -> Segments {
    let found = plain_segments(source, tokens, unit.without_control());
    match unit.control() {
        None => found,
        Some(control) => control.of(&found, &files(source, tokens), draw),
    }
}

/// The segments by a unit that is not a control.
pub(super) fn plain_segments(source: &Source, tokens: &[(usize, usize)], unit: Unit) -> Segments {
    match (unit.number(), regions(source, unit)) {
        (Some(n), _) => Segments::numbered((0..tokens.len()).map(|t| t / n), unit),
        (None, None) => plain_segments(source, tokens, Unit::FALLBACK),
        (None, Some(regions)) => {
            Segments::numbered(tokens.iter().map(|&token| owner(source.text, token, &regions)), unit)
        }
    }
}

/// Which of the regions, in order and contiguous, a token belongs to.
pub(super) fn owner(text: &str, token: (usize, usize), regions: &[Region]) -> usize {
    let byte = deciding_byte(text, token);
    regions.partition_point(|region| region.start <= byte).saturating_sub(1)
}

/// The first byte of a token that is not white space, or its first byte if all are. Bytes of a white space
/// character are white space, even if the token begins inside of it.
pub(super) fn deciding_byte(text: &str, (start, end): (usize, usize)) -> usize {
    let from = text.floor_char_boundary(start);
    let mut chars = text[from..].char_indices().map(|(at, c)| (from + at, c)).take_while(|&(at, _)| at < end);
    chars.find(|(_, c)| !c.is_whitespace()).map_or(start, |(at, _)| at.max(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    fn python(text: &str) -> Source<'_> {
        Source { text, language: Some(Language::Python), file_starts: &[] }
    }

    fn unit(name: &str) -> Unit {
        name.parse().unwrap()
    }

    /// Figure 2 of the paper: (0,0) ... (0,4), (1,5), (1,6).
    #[test]
    fn figure_2() {
        let text = "def f(): a\ndef g()";
        let tokens = [(0, 3), (3, 5), (5, 8), (8, 10), (10, 11), (11, 14), (14, 18)];
        // The second definition is incomplete, so the boundary is the end of the first.
        let text = &format!("{text}: b");
        assert_eq!(plain_segments(&python(text), &tokens, Unit::FUNCTION).index, [0, 0, 0, 0, 1, 1, 1]);
        // A line end that is in one token with the statement stays with it.
        let tokens = [(0, 3), (3, 5), (5, 8), (8, 9), (9, 11), (11, 14), (14, 18)];
        let got = plain_segments(&python(text), &tokens, Unit::FUNCTION);
        assert_eq!((got.index, got.count, got.unit), (vec![0, 0, 0, 0, 0, 1, 1], 2, Unit::FUNCTION));
    }

    #[test]
    fn a_token_goes_by_its_first_byte_that_is_not_white() {
        let text = "x = 1\u{3000}\ndef f(): pass\n";
        // Region 0 ends at the `def`, byte 9; the second token begins inside of the wide space.
        let tokens = [(0, 5), (6, 12), (8, 9), (12, 14)];
        assert_eq!(deciding_byte(text, (6, 12)), 9);
        assert_eq!(deciding_byte(text, (8, 9)), 8);
        assert_eq!(plain_segments(&python(text), &tokens, Unit::FUNCTION).index, [0, 1, 1, 1]);
    }

    #[test]
    fn tokens_that_split_a_character_lie_in_it() {
        let text = "def f(): 'é€😀'\nx\ndef g(): '😀'\n";
        let tokens: Vec<_> = (0..text.len()).map(|at| (at, at + 1)).collect();
        let got = plain_segments(&python(text), &tokens, Unit::FUNCTION);
        assert_eq!(got.count, 3);
        assert_eq!((got.index[12], got.index[text.len() - 4]), (0, 2));
    }

    #[test]
    fn special_tokens_and_offsets_outside_of_the_text() {
        let text = "def f(): pass\ndef g(): pass\n";
        let tokens = [(0, 0), (0, 13), (13, 17), (17, 99), (0, 0), (99, 120), (5, 2)];
        let got = plain_segments(&python(text), &tokens, Unit::FUNCTION);
        assert_eq!((got.index, got.count), (vec![0, 0, 1, 1, 1, 1, 1], 2));
    }

    #[test]
    fn regions_without_a_token_are_skipped() {
        let text = "def f(): pass\nx\ndef g(): pass\n";
        assert_eq!(plain_segments(&python(text), &[(16, 20), (20, 28)], Unit::FUNCTION).index, [0, 0]);
        assert_eq!(plain_segments(&python(text), &[(0, 15), (16, 29)], Unit::FUNCTION).index, [0, 1]);
    }

    #[test]
    fn every_n_tokens() {
        let tokens = [(0, 0), (0, 1), (1, 2), (2, 3), (3, 4)];
        let got = plain_segments(&python("abcd"), &tokens, unit("tokens:2"));
        assert_eq!((got.index, got.count), (vec![0, 0, 1, 1, 2], 3));
        assert_eq!(plain_segments(&python(""), &[], unit("tokens:2")).count, 0);
    }

    #[test]
    fn without_a_unit_128_tokens() {
        let tokens: Vec<_> = (0..300).map(|at| (at, at + 1)).collect();
        let text = "#".repeat(300);
        let plain = Source { language: None, ..python(&text) };
        for source in [python(&text), plain, python("")] {
            for unit in [Unit::FUNCTION, Unit::FUNCTION_AUTHORS, Unit::STATEMENT] {
                let got = plain_segments(&source, &tokens, unit);
                assert_eq!((got.unit, got.count), (Unit::FALLBACK, 3));
                assert_eq!((got.index[127], got.index[128], got.index[299]), (0, 1, 2));
            }
        }
    }

    #[test]
    fn one_segment_a_file() {
        let source = Source { text: "ab\ncd\nef\n", language: None, file_starts: &[0, 3, 3, 6] };
        let tokens = [(0, 0), (0, 2), (2, 5), (5, 6), (6, 8)];
        // The third token begins with the first file's line end.
        let got = plain_segments(&source, &tokens, Unit::FILE);
        assert_eq!((got.index, got.count, got.unit), (vec![0, 0, 1, 1, 2], 3, Unit::FILE));
        assert_eq!(plain_segments(&python(""), &[(0, 0)], Unit::FILE).index, [0]);
    }
}
