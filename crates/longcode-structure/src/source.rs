//! The text that is divided.

use std::ops::Range;

use super::Language;

/// A source text, which may consist of several files one after another.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The whole text; below 4 GiB, the range of the parser's offsets.
    pub text: &'a str,
    /// The language of every file; `None` if it is not supported.
    pub language: Option<Language>,
    /// The byte offsets at which the files begin; empty or `[0]` for one file. Text before the first offset
    /// counts as a separate file. Each file is parsed separately, and its start is a boundary.
    pub file_starts: &'a [usize],
}

impl Source<'_> {
    /// The files that are not empty, in order; they cover the text. Offsets in any order or outside of the
    /// text, or inside of a character, do no harm.
    pub(super) fn files(&self) -> Vec<Range<usize>> {
        let mut cuts: Vec<usize> =
            self.file_starts.iter().map(|&at| self.text.floor_char_boundary(at)).collect();
        cuts.extend([0, self.text.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str, file_starts: &[usize]) -> Vec<(usize, usize)> {
        let files = Source { text, language: None, file_starts }.files();
        files.into_iter().map(|file| (file.start, file.end)).collect()
    }

    #[test]
    fn files_cover_the_text() {
        assert_eq!(files("abcd", &[]), [(0, 4)]);
        assert_eq!(files("abcd", &[0]), [(0, 4)]);
        assert_eq!(files("abcd", &[0, 2]), [(0, 2), (2, 4)]);
        assert_eq!(files("abcd", &[3, 1, 1, 4, 99]), [(0, 1), (1, 3), (3, 4)]);
        assert_eq!(files("é", &[1]), [(0, 2)]);
        assert!(files("", &[0, 0]).is_empty());
    }
}
