//! The unit `paragraph` of prose: a boundary at the first line after blank ones.

use super::RegionKind;
use super::outline::Outline;
use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "paragraph",
    about: "the start of every paragraph: the first line after blank ones",
    divide: Divide::Text(outline),
};

fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    paragraphs(text).for_each(|(start, _)| outline.begin_unit(start, RegionKind::Paragraph, None));
    outline
}

/// Every paragraph, from its first line on to the end of its last: where it begins, and its text.
pub(super) fn paragraphs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = lines(text).peekable();
    std::iter::from_fn(move || {
        let is_blank = |line: &(usize, &str)| line.1.trim().is_empty();
        while rest.next_if(is_blank).is_some() {}
        let (start, first) = rest.next()?;
        let mut end = start + first.len();
        while let Some((_, line)) = rest.next_if(|line| !is_blank(line)) {
            end += line.len();
        }
        Some((start, &text[start..end]))
    })
}

/// Every line with its end, and where it begins.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::parts_of_text;

    #[test]
    fn paragraphs_begin_after_blank_lines() {
        let parts = ["\n \nOne\ntwo.\n\t\n\n", "  Three.\r\n\r\n", "# Four\n\n"];
        assert_eq!(parts_of_text(&parts.concat(), "paragraph"), parts);
        assert!(parts_of_text(" \n\n", "paragraph").is_empty());
    }
}
