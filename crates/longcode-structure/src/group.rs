//! The unit `group` of formulas: a boundary at the start and the end of every group.
//!
//! In a text with mathematics a group is what stands between `$`, `$$`, `\( \)` or `\[ \]`, or an outermost pair of
//! brackets. On a line that is a SMILES string, which writes down a molecule, groups are branches and rings.

use super::RegionKind;
use super::outline::{Boundary, Outline};
use super::paragraph::{lines, paragraphs};
use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "group",
    about: "the start and the end of every formula and outermost pair of brackets; of SMILES, of every branch and ring",
    divide: Divide::Text(outline),
};

/// Fewest atoms of a SMILES string: shorter ones are words and functions.
const FEWEST_ATOMS: usize = 3;

fn outline(text: &str) -> Outline {
    let mut edges: Vec<(usize, RegionKind)> = Vec::new();
    for (start, paragraph) in paragraphs(text) {
        let groups = groups_of_smiles(paragraph).unwrap_or_else(|| groups_of_text(paragraph));
        for (from, to) in groups {
            edges.push((start + from, RegionKind::Group));
            edges.push((start + to, RegionKind::Between));
        }
    }
    // Where one group ends another may begin.
    edges.sort_by_key(|(at, kind)| (*at, *kind == RegionKind::Group));
    let mut outline = Outline { found: !edges.is_empty(), ..Outline::default() };
    outline.boundaries = edges.into_iter().map(|(at, kind)| Boundary { at, kind, name: None }).collect();
    outline
}

/// Formulas and outermost brackets of a paragraph, each from its first byte to the one after its last. What is not closed
/// within the paragraph is no group.
fn groups_of_text(text: &str) -> Vec<(usize, usize)> {
    let mut spans = spans(text);
    spans.sort_unstable_by_key(|&(start, end)| (start, std::cmp::Reverse(end)));
    let mut until = 0;
    spans.retain(|&(start, end)| {
        let is_outermost = start >= until;
        until = until.max(end);
        is_outermost
    });
    spans
}

/// Every formula, and every pair of brackets that is not within one.
fn spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut open: Vec<(usize, u8)> = Vec::new();
    // Whether a formula of each form may still end.
    let mut ends = [true; 2];
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let next = match bytes[at] {
            b'$' => formula(text, at),
            b'\\' => match bytes.get(at + 1) {
                Some(b'(') => closed(text, at, "\\)", &mut ends[0]),
                Some(b'[') => closed(text, at, "\\]", &mut ends[1]),
                _ => None,
            },
            _ => None,
        };
        if let Some(end) = next {
            spans.push((at, end));
            at = end;
            continue;
        }
        match bytes[at] {
            // The sign after it is no bracket.
            b'\\' => at += 1,
            b'(' => open.push((at, b')')),
            b'[' => open.push((at, b']')),
            b'{' => open.push((at, b'}')),
            close @ (b')' | b']' | b'}') => {
                if let Some((start, _)) = open.pop_if(|(_, expected)| *expected == close) {
                    spans.push((start, at + 1));
                }
            }
            _ => {}
        }
        at += 1;
    }
    spans
}

/// The end of a formula that such a mark closes.
fn closed(text: &str, at: usize, mark: &str, may_end: &mut bool) -> Option<usize> {
    let end = may_end.then(|| text[at + 2..].find(mark)).flatten();
    *may_end = end.is_some();
    end.map(|end| at + 2 + end + mark.len())
}

/// The end of a formula that begins with one or two dollars. A dollar before a digit or a space may be money.
fn formula(text: &str, at: usize) -> Option<usize> {
    let mark = if text[at..].starts_with("$$") { "$$" } else { "$" };
    let inner = &text[at + mark.len()..];
    let length = inner.match_indices(mark).map(|(n, _)| n).find(|&n| n > 0 && !inner[..n].ends_with('\\'))?;
    let is_tight = mark == "$$" || !inner.starts_with([' ', '\n']) && !inner[..length].ends_with([' ', '\n']);
    is_tight.then_some(at + length + 2 * mark.len())
}

/// Branches and rings of a paragraph whose lines all begin with a SMILES string, if one of them has any.
fn groups_of_smiles(paragraph: &str) -> Option<Vec<(usize, usize)>> {
    let mut groups = Vec::new();
    for (at, line) in lines(paragraph) {
        let string = line.split_whitespace().next()?;
        let first = at + line.len() - line.trim_start().len();
        groups.extend(groups_of_molecule(string)?.into_iter().map(|(from, to)| (first + from, first + to)));
    }
    Some(groups).filter(|groups| !groups.is_empty())
}

/// Branches and rings of a SMILES string, each from its first byte to the one after its last; none if it is not one.
fn groups_of_molecule(string: &str) -> Option<Vec<(usize, usize)>> {
    let (mut groups, mut branches, mut rings) = (Vec::new(), Vec::new(), Vec::<(&str, usize)>::new());
    let (mut at, mut atom, mut atoms) = (0, 0, 0);
    while let Some(rest) = string.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.as_bytes()[0];
        let mut length = 1;
        match first {
            b'(' => branches.push(at),
            b')' => groups.push((branches.pop()?, at + 1)),
            b'0'..=b'9' | b'%' => {
                length = if first == b'%' { 3 } else { 1 };
                let number = rest.get(..length)?;
                match rings.iter().position(|(open, _)| *open == number) {
                    Some(open) => groups.push((rings.remove(open).1, at + length)),
                    None => rings.push((number, atom)),
                }
            }
            b'-' | b'=' | b'#' | b'$' | b':' | b'/' | b'\\' | b'.' => {}
            _ => {
                length = length_of_atom(rest)?;
                (atom, atoms) = (at, atoms + 1);
            }
        }
        at += length;
    }
    (atoms >= FEWEST_ATOMS && branches.is_empty() && rings.is_empty()).then_some(groups)
}

/// Letters of the atom that a text begins with: one in brackets, or of those that may stand without.
fn length_of_atom(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [b'[', ..] => Some(text.find(']')? + 1),
        [b'C', b'l', ..] | [b'B', b'r', ..] => Some(2),
        [first, ..] => b"BCNOPSFIbcnops*".contains(first).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::parts_of_text;

    #[test]
    fn formulas_and_brackets() {
        let parts = [
            "Let ",
            "$f(x) = y$",
            " and ",
            "\\[ a [b] \\]",
            " be ",
            "(a (b) c)",
            ", \\{ for $5 and a $7 bill.\n",
        ];
        assert_eq!(parts_of_text(&parts.concat(), "group"), parts);
        assert!(parts_of_text("no (group at all\n\n here)", "group").is_empty());
    }

    #[test]
    fn branches_and_rings_of_smiles() {
        // Aspirin: two branches, and a ring that has one of them in it.
        let parts = ["CC", "(=O)", "O", "c1ccccc1", "C", "(=O)", "O aspirin\n"];
        assert_eq!(parts_of_text(&parts.concat(), "group"), parts);
        let parts = ["OC", "[C@H]1OC", "(O)", "[C@H]", "(O)", "[C@@H]1", "O glucose\n"];
        assert_eq!(parts_of_text(&parts.concat(), "group"), parts);
    }

    #[test]
    fn words_are_not_molecules() {
        let parts = ["conth = gcd", "(contf, p)", " in Z", "[y]", "\n\nSo p", "(n)", " is n", "[1]", ".\n"];
        assert_eq!(parts_of_text(&parts.concat(), "group"), parts);
    }
}
