//! Regions: the bytes between consecutive boundaries.

use std::ops::Range;

use serde::Serialize;

use super::outline::{Boundary, Outline};
use super::unit::Divide;
use super::{Source, Unit, syntax};

/// What a region is. Written in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegionKind {
    /// A function or method.
    Function,
    /// Code of a class outside of its methods: the header, fields, the closing brace.
    Class,
    /// A statement, up to the next one's start.
    Statement,
    /// A paragraph of prose, with the blank lines after it.
    Paragraph,
    /// A sentence of prose.
    Sentence,
    /// A section of prose or markup, from its heading on.
    Section,
    /// A formula, a pair of brackets, or a branch or ring of a molecule.
    Group,
    /// A whole file.
    File,
    /// Code outside of every unit.
    Between,
}

/// A stretch of the text that makes one segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Region {
    /// First byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
    /// The region's number, from 0. Token numbers may be lower, as they skip regions without tokens.
    pub segment: u32,
    /// What it is; comments that joined it do not change that.
    pub kind: RegionKind,
    /// The name, unqualified, of the function or of the innermost class.
    pub name: Option<String>,
}

/// Whether some file of a text takes far more parsing than sources do, so that it has no units.
pub fn is_given_up(source: &Source) -> bool {
    let Some(mut parser) = source.language.and_then(syntax::parser) else { return false };
    source.files().into_iter().any(|file| parser.parse(&source.text[file]).is_given_up())
}

/// Divides a text into regions, which are contiguous and cover it (`docs/encodings.md`, "Segments").
///
/// `None` if no unit was found (for [`Unit::FUNCTION`], no function or method definition), the language is
/// unknown, or the unit is not defined by bytes ([`Unit::needs_tokens`]).
pub fn regions(source: &Source, unit: Unit) -> Option<Vec<Region>> {
    if unit.control().is_some() {
        return None;
    }
    match *unit.divide() {
        Divide::Tokens => None,
        // An empty text has no file that could lack a unit.
        Divide::Text(outline) => divided(source, outline).or_else(|| source.text.is_empty().then(Vec::new)),
        Divide::Tree(outline) => {
            let mut parser = syntax::parser(source.language?)?;
            divided(source, |text| {
                let trees = parser.parse(text);
                parser.best(&trees).map(|parsed| outline(&parsed, text)).unwrap_or_default()
            })
        }
    }
}

/// The regions of all files, each of which has an outline; `None` if none has a unit.
fn divided(source: &Source, mut outline: impl FnMut(&str) -> Outline) -> Option<Vec<Region>> {
    let mut regions = Vec::new();
    let mut found = false;
    for file in source.files() {
        let text = &source.text[file.clone()];
        let outline = outline(text);
        found |= outline.found;
        regions.extend(file_regions(text, file.start, &outline));
    }
    found.then(|| numbered(regions))
}

fn numbered(mut regions: Vec<Region>) -> Vec<Region> {
    for (segment, region) in (0..).zip(&mut regions) {
        region.segment = segment;
    }
    regions
}

/// The regions, not yet numbered, of one file that begins at byte `offset` of the text.
pub(super) fn file_regions(text: &str, offset: usize, outline: &Outline) -> Vec<Region> {
    let mut regions = join_blank(cut(text.len(), &outline.boundaries), text, &outline.comments);
    for region in &mut regions {
        region.start += offset;
        region.end += offset;
    }
    regions
}

/// Cuts `0..len` at the boundaries; of several at one place, the last says what begins there.
fn cut(len: usize, boundaries: &[Boundary]) -> Vec<Region> {
    let top = Boundary { at: 0, kind: RegionKind::Between, name: None };
    let mut begun = std::iter::once(&top).chain(boundaries).peekable();
    let mut regions = Vec::new();
    while let Some(Boundary { at: start, kind, name }) = begun.next() {
        let end = begun.peek().map_or(len, |next| next.at);
        if *start < end {
            regions.push(Region { start: *start, end, segment: 0, kind: *kind, name: name.clone() });
        }
    }
    regions
}

/// Joins every region of only white space and comments to the region after it, or to the one before it at
/// the end of the file.
fn join_blank(regions: Vec<Region>, text: &str, comments: &[Range<usize>]) -> Vec<Region> {
    let mut joined: Vec<Region> = Vec::with_capacity(regions.len());
    let mut blank: Option<Region> = None;
    let mut comments = comments;
    for mut region in regions {
        if is_blank(&region, text, &mut comments) {
            blank.get_or_insert_with(|| region.clone()).end = region.end;
        } else {
            region.start = blank.take().map_or(region.start, |blank| blank.start);
            joined.push(region);
        }
    }
    if let Some(blank) = blank {
        match joined.last_mut() {
            Some(last) => last.end = blank.end,
            None => joined.push(blank),
        }
    }
    joined
}

/// Whether a region holds only white space and comments; drops the comments before its end from `comments`.
fn is_blank(region: &Region, text: &str, comments: &mut &[Range<usize>]) -> bool {
    let inside = comments.partition_point(|comment| comment.end <= region.end);
    let (here, later) = comments.split_at(inside);
    *comments = later;
    let mut at = region.start;
    for comment in here.iter().filter(|comment| comment.start >= region.start) {
        if !is_white(&text[at..comment.start]) {
            return false;
        }
        at = comment.end;
    }
    is_white(&text[at..region.end])
}

/// White space; a byte order mark counts as white space too.
fn is_white(text: &str) -> bool {
    text.chars().all(|c| c.is_whitespace() || c == '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::super::tests::shown;
    use super::*;

    fn python<'a>(text: &'a str, file_starts: &'a [usize]) -> Source<'a> {
        Source { text, language: Some(Language::Python), file_starts }
    }

    #[test]
    fn the_json_of_a_region() {
        let text = "def f(): pass\nx\n";
        assert_eq!(
            serde_json::to_string(&regions(&python(text, &[]), Unit::FUNCTION)).unwrap(),
            concat!(
                r#"[{"start":0,"end":13,"segment":0,"kind":"function","name":"f"},"#,
                r#"{"start":13,"end":16,"segment":1,"kind":"between","name":null}]"#
            )
        );
    }

    #[test]
    fn no_unit_no_regions() {
        for text in ["", "\n \n", "# c\n"] {
            for unit in [Unit::FUNCTION, Unit::FUNCTION_AUTHORS, Unit::STATEMENT, Unit::FALLBACK] {
                assert_eq!(regions(&python(text, &[]), unit), None, "{text:?} {unit}");
            }
        }
        assert_eq!(regions(&Source { language: None, ..python("def f(): pass", &[]) }, Unit::FUNCTION), None);
        assert_eq!(regions(&python("", &[]), Unit::FILE), Some(vec![]));
    }

    #[test]
    fn files_are_divided_by_themselves() {
        // The first file ends in a comment, the second is only a comment, the third has an open bracket.
        let files = ["def f(): pass\n# end\n", "# nothing\n", "x = (\n", "def g(): pass\n"];
        let starts: Vec<usize> = (0..4).map(|n| files[..n].concat().len()).collect();
        let text = files.concat();
        let found = regions(&python(&text, &starts), Unit::FUNCTION).unwrap();
        assert_eq!(
            shown(&text, &found),
            [
                "function f|def f(): pass\n# end\n",
                "between|# nothing\n",
                "between|x = (\n",
                "function g|def g(): pass\n"
            ]
        );
        for unit in [Unit::FUNCTION_AUTHORS, Unit::STATEMENT, Unit::FILE] {
            let found = regions(&python(&text, &starts), unit).unwrap();
            assert!(starts.iter().all(|&start| found.iter().any(|region| region.start == start)), "{unit}");
        }
    }

    #[test]
    fn comments_in_a_row_join_one_region() {
        let text = "class A:\n  def f(self): pass\n\n  # a\n\n# b\n\nx = 1 # c\n# d\n";
        assert_eq!(
            shown(text, &regions(&python(text, &[]), Unit::FUNCTION).unwrap()),
            [
                "class A|class A:\n  ",
                "function f|def f(self): pass",
                "between|\n\n  # a\n\n# b\n\nx = 1 # c\n# d\n"
            ]
        );
    }
}
