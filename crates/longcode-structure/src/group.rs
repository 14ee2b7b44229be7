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

fn outline(text: &str) -> Outline {
    let mut edges: Vec<(usize, RegionKind)> = Vec::new();
    for (start, paragraph) in paragraphs(text) {
        if is_smiles(paragraph) {
            for (at, line) in lines(paragraph) {
                groups_of_smiles(line, |from, to| add(&mut edges, start + at + from, start + at + to));
            }
        } else {
            groups_of_text(paragraph, |from, to| add(&mut edges, start + from, start + to));
        }
    }
    // Where one group ends another may begin.
    edges.sort_by_key(|(at, kind)| (*at, *kind == RegionKind::Group));
    let mut outline = Outline { found: !edges.is_empty(), ..Outline::default() };
    outline.boundaries = edges.into_iter().map(|(at, kind)| Boundary { at, kind, name: None }).collect();
    outline
}

fn add(edges: &mut Vec<(usize, RegionKind)>, from: usize, to: usize) {
    edges.push((from, RegionKind::Group));
    edges.push((to, RegionKind::Between));
}

/// Formulas and outermost brackets of a paragraph, each from its first byte to the one after its last. What is not closed
/// within the paragraph is no group.
fn groups_of_text(text: &str, mut add: impl FnMut(usize, usize)) {
    let mut spans = spans(text);
    spans.sort_unstable_by_key(|&(start, end)| (start, std::cmp::Reverse(end)));
    let mut until = 0;
    for (start, end) in spans {
        if start >= until {
            add(start, end);
            until = end;
        }
    }
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

/// Whether every line of a paragraph begins with a SMILES string of at least two atoms with a branch or a ring in it.
fn is_smiles(paragraph: &str) -> bool {
    let is_string = |line: &str| {
        let string = line.split_whitespace().next().unwrap_or_default();
        let is_sign = |c: char| c.is_ascii_alphanumeric() || "@+-[]()=#$%/\\.:*".contains(c);
        let atoms = string.matches(['C', 'N', 'O', 'S', 'P', 'c', 'n', 'o', 's']).count();
        string.chars().all(is_sign) && atoms * 3 >= string.len() && atoms >= 2
    };
    paragraph.lines().all(is_string) && paragraph.contains(['(', '1'])
}

/// Branches and rings of a SMILES string, each from its first byte to the one after its last.
fn groups_of_smiles(line: &str, mut add: impl FnMut(usize, usize)) {
    let string = line.split_whitespace().next().unwrap_or_default();
    let offset = line.len() - line.trim_start().len();
    let bytes = string.as_bytes();
    let mut branches = Vec::new();
    let mut rings: Vec<(&str, usize)> = Vec::new();
    let (mut at, mut atom) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'[' => {
                atom = at;
                at += string[at..].find(']').unwrap_or(0);
            }
            b'(' => branches.push(at),
            b')' => {
                if let Some(start) = branches.pop() {
                    add(offset + start, offset + at + 1);
                }
            }
            b'0'..=b'9' | b'%' => {
                let end = if bytes[at] == b'%' { (at + 3).min(bytes.len()) } else { at + 1 };
                let number = &string[at..end];
                match rings.iter().position(|(open, _)| *open == number) {
                    Some(open) => add(offset + rings.remove(open).1, offset + end),
                    None => rings.push((number, atom)),
                }
                at = end - 1;
            }
            // Of Cl and Br the second letter is a part of the atom.
            b'l' | b'r' if at > 0 && matches!(bytes[at - 1], b'C' | b'B') => {}
            letter if letter.is_ascii_alphabetic() || letter == b'*' => atom = at,
            _ => {}
        }
        at += 1;
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
    }
}
