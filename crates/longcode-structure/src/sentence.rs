//! The unit `sentence` of prose: a boundary at every sentence of a paragraph, by the rules of Unicode (UAX 29).
//!
//! These know no abbreviations: after `Dr.` or `e.g.` a capital begins a sentence. A line's end within a paragraph counts
//! as a space.

use unicode_segmentation::UnicodeSegmentation;

use super::RegionKind;
use super::outline::Outline;
use super::paragraph::paragraphs;
use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "sentence",
    about: "the start of every paragraph, and of every sentence in it by the rules of Unicode, which know no abbreviations",
    divide: Divide::Text(outline),
};

fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    for (start, paragraph) in paragraphs(text) {
        let one_line = paragraph.replace(['\n', '\r'], " ");
        for (at, sentence) in one_line.split_sentence_bound_indices() {
            if !sentence.trim().is_empty() {
                outline.begin_unit(start + at, RegionKind::Sentence, None);
            }
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::super::tests::parts_of_text;

    #[test]
    fn sentences_end_at_full_stops_and_at_paragraphs() {
        let parts = [
            "One goes\non here. ",
            "\"Is it two?\" ",
            "It is 3.5 of it, i.e. no more.\n\n",
            "A heading\n\n",
            "Dr. ",
            "Who.\n",
        ];
        assert_eq!(parts_of_text(&parts.concat(), "sentence"), parts);
    }
}
