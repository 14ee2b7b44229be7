//! From regions of bytes to indices of tokens.

use super::{Region, Source, Unit, regions};

/// The segment index of every token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// One index a token: from 0, never decreasing, skipping no value.
    pub index: Vec<u32>,
    /// The number of segments; 0 only without tokens.
    pub count: usize,
    /// The unit that was used: the one asked for, or [`Unit::FALLBACK`].
    pub unit: Unit,
}

impl Segments {
    /// Numbers the tokens by what they belong to. What goes back, as a special token without text at the
    /// end may, stays in the segment before it.
    pub(super) fn numbered(owners: impl IntoIterator<Item = usize>, unit: Unit) -> Self {
        let mut furthest = None;
        let mut count = 0;
        let number = |owner| {
            if furthest.is_none_or(|furthest| owner > furthest) {
                furthest = Some(owner);
                count += 1;
            }
            count - 1
        };
        let index: Vec<u32> = owners.into_iter().map(number).collect();
        Segments { index, count: count as usize, unit }
    }
}

/// The segments of a tokenised text (`positions.md`, "Segments").
///
/// `tokens` are the byte offsets `[start, end)` of each token. They may overlap, split a character, lie
/// outside of the text, or be `(0, 0)` for a special token. Where no unit is found, [`Unit::FALLBACK`]
/// is used.
pub fn segments(source: &Source, tokens: &[(usize, usize)], unit: Unit) -> Segments {
    match (unit, regions(source, unit)) {
        (Unit::Tokens(n), _) => Segments::numbered((0..tokens.len()).map(|t| t / n), unit),
        (_, None) => segments(source, tokens, Unit::FALLBACK),
        (_, Some(regions)) => {
            Segments::numbered(tokens.iter().map(|&token| owner(source.text, token, &regions)), unit)
        }
    }
}

/// Which of the regions, in order and contiguous, a token belongs to.
pub(super) fn owner(text: &str, token: (usize, usize), regions: &[Region]) -> usize {
    let byte = deciding_byte(text, token);
    regions.partition_point(|region| region.start <= byte).saturating_sub(1)
}

/// The first byte of a token that is not white space, or its first byte if all are. Bytes of a character
/// that is white space are white space, also where the token begins inside of it.
fn deciding_byte(text: &str, (start, end): (usize, usize)) -> usize {
    let from = text.floor_char_boundary(start);
    let visible = text[from..].char_indices().map(|(at, c)| (from + at, c)).take_while(|&(at, _)| at < end);
    visible.into_iter().find(|(_, c)| !c.is_whitespace()).map_or(start, |(at, _)| at.max(start))
}
