//! Controls of a unit: segments that share a number with the unit's own but do not follow the text. What an
//! encoding gains from a unit and not from its controls is due to structure; the rest is due to the size of
//! the segments.

use std::fmt;
use std::iter;
use std::ops::Range;

use longcode_base::hash::sha256;

use super::assign::owner;
use super::{Segments, Source, Unit, regions};

/// A control of a unit, written before it: `even:function` (`docs/encodings.md`, "Segments").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Control {
    /// As many segments of equal length: the same mean length, no structure.
    Even,
    /// The same lengths in random order: the same lengths in the wrong places.
    Shuffled,
}

/// The input of one sample's draws, so that they are the same on every machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Draw<'a> {
    /// The run's seed; 0 for commands without one.
    pub seed: u64,
    /// SHA-256, in lowercase hex, of the sample's text as in `samples.jsonl`, or of the bytes of a file.
    pub hash: &'a str,
}

impl Control {
    /// All controls.
    pub const ALL: &[Control] = &[Control::Even, Control::Shuffled];

    /// Its name, as written before the unit.
    pub fn name(self) -> &'static str {
        match self {
            Control::Even => "even",
            Control::Shuffled => "shuffled",
        }
    }

    /// What its segments are, in one line.
    pub fn about(self) -> &'static str {
        match self {
            Control::Even => "as many segments as UNIT finds, of equal length in tokens",
            Control::Shuffled => {
                "UNIT's own segment lengths, in tokens, in an order drawn from seed and text"
            }
        }
    }

    /// How a control is written: `even:UNIT`.
    pub fn form(self) -> String {
        format!("{self}:UNIT")
    }

    /// The control of segments that were found in a text. Each file is treated separately, so that its start
    /// stays a border.
    pub(super) fn of(self, found: &Segments, files: &[FileTokens], draw: Draw) -> Segments {
        let mut index = Vec::with_capacity(found.index.len());
        let mut count = 0;
        for file in files {
            for length in self.lengths(lengths(&found.index[file.tokens.clone()]), file.number, draw) {
                index.extend(iter::repeat_n(count, length));
                count += 1;
            }
        }
        Segments { index, count: count as usize, unit: found.unit.with_control(self) }
    }

    /// New lengths in tokens for one file's segments: as many, with the same sum.
    pub(super) fn lengths(self, mut lengths: Vec<usize>, file: usize, draw: Draw) -> Vec<usize> {
        match self {
            Control::Even => even(lengths.iter().sum(), lengths.len()),
            Control::Shuffled => {
                draw.shuffle(&mut lengths, file);
                lengths
            }
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Draw<'_> {
    /// Shuffles the lengths of a file's segments (Fisher and Yates, from the last one down).
    fn shuffle(&self, lengths: &mut [usize], file: usize) {
        for k in (1..lengths.len()).rev() {
            let r = self.number("shuffled", &[file, k]) % (k as u64 + 1);
            lengths.swap(k, r as usize);
        }
    }

    /// The first 8 bytes, big-endian, of the SHA-256 of these words: purpose, seed, hash and numbers.
    pub fn number(&self, purpose: &str, numbers: &[usize]) -> u64 {
        let mut words = format!("{purpose} {} {}", self.seed, self.hash);
        numbers.iter().for_each(|number| words.push_str(&format!(" {number}")));
        u64::from_str_radix(&sha256(words.as_bytes())[..16], 16).expect("a hash is hex digits")
    }
}

/// The tokens of one file of a prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FileTokens {
    /// The file's number in the prompt, from 0.
    pub(super) number: usize,
    pub(super) tokens: Range<usize>,
}

/// The files that own a token, in order. Their tokens cover all: a token that goes back, as a special token
/// without text at the end may, stays in the file before it.
pub(super) fn files(source: &Source, tokens: &[(usize, usize)]) -> Vec<FileTokens> {
    let regions = regions(source, Unit::FILE).unwrap_or_default();
    let mut files: Vec<FileTokens> = Vec::new();
    for (t, &token) in tokens.iter().enumerate() {
        let number = owner(source.text, token, &regions);
        match files.last_mut() {
            Some(last) if number <= last.number => last.tokens.end = t + 1,
            _ => files.push(FileTokens { number, tokens: t..t + 1 }),
        }
    }
    files
}

/// Tokens of each segment.
fn lengths(index: &[u32]) -> Vec<usize> {
    index.chunk_by(|a, b| a == b).map(<[u32]>::len).collect()
}

/// Lengths of `count` segments of `tokens` tokens, with borders at floor(k tokens / count).
fn even(tokens: usize, count: usize) -> Vec<usize> {
    (0..count).map(|k| (k + 1) * tokens / count - k * tokens / count).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{PYTHON, assert_counts, sample, tokens_of};
    use super::super::{Language, segments};
    use super::*;

    /// Hash of the empty text.
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn unit(name: &str) -> Unit {
        name.parse().unwrap()
    }

    /// The worked example of the definition.
    #[test]
    fn the_draw_is_that_of_the_definition() {
        let draw = Draw { seed: 0, hash: EMPTY };
        assert_eq!(draw.number("shuffled", &[0, 7]), 18215745403479687422);
        let mut lengths = [1, 2, 3, 4, 5, 6, 7, 8];
        draw.shuffle(&mut lengths, 0);
        assert_eq!(lengths, [6, 3, 1, 8, 2, 5, 4, 7]);
    }

    #[test]
    fn seed_text_and_file_each_change_the_order() {
        let shuffled = |seed, hash, file| {
            let mut lengths: Vec<usize> = (1..40).collect();
            Draw { seed, hash }.shuffle(&mut lengths, file);
            lengths
        };
        let of_all = [
            shuffled(0, EMPTY, 0),
            shuffled(1, EMPTY, 0),
            shuffled(0, "", 0),
            shuffled(0, EMPTY, 1),
            (1..40).collect(),
        ];
        for (number, order) in of_all.iter().enumerate() {
            assert!(of_all[..number].iter().all(|other| other != order), "{number}");
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (1..40).collect::<Vec<_>>());
        }
    }

    #[test]
    fn even_segments_have_their_borders_where_the_definition_says() {
        for (tokens, count) in [(300, 24), (7, 3), (5, 5), (9, 1), (1, 1), (1000, 999)] {
            let index = even(tokens, count).into_iter().zip(0..).flat_map(|(n, k)| iter::repeat_n(k, n));
            let expected = (0..tokens).map(|t| ((t + 1) * count - 1) / tokens);
            assert_eq!(index.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{tokens} {count}");
        }
        assert!(even(0, 0).is_empty());
    }

    #[test]
    fn a_control_has_as_many_segments_or_the_same_lengths_in_every_file() {
        for seed in 0..20 {
            let text = sample(seed);
            let tokens = tokens_of(&text);
            let file_starts = [0, text.len() / 3, text.len() / 2];
            let source = Source { text: &text, language: Some(Language::Python), file_starts: &file_starts };
            let files = files(&source, &tokens);
            for name in ["function", "function_authors", "statement", "file", "tokens:5"] {
                let draw = Draw { seed, hash: EMPTY };
                let own = segments(&source, &tokens, unit(name), draw);
                for control in Control::ALL {
                    let got = segments(&source, &tokens, unit(&format!("{control}:{name}")), draw);
                    assert_counts(&got);
                    assert_eq!(got.unit, own.unit.with_control(*control));
                    for FileTokens { tokens, .. } in &files {
                        let (mut a, mut b) =
                            (lengths(&own.index[tokens.clone()]), lengths(&got.index[tokens.clone()]));
                        assert_eq!(a.len(), b.len(), "{control}:{name}");
                        if *control == Control::Shuffled {
                            a.sort_unstable();
                            b.sort_unstable();
                            assert_eq!(a, b, "{name}");
                        }
                        let start = tokens.start;
                        assert!(start == 0 || got.index[start] == got.index[start - 1] + 1, "no border");
                    }
                }
            }
        }
    }

    #[test]
    fn files_are_divided_by_what_tokens_begin_with() {
        let file_tokens = |number, tokens| FileTokens { number, tokens };
        let source = Source { text: "ab\ncd\n\nef\n", language: None, file_starts: &[0, 3, 6, 7] };
        // The second token is the first file's line end with what follows; the third file has no token of its
        // own; the last token has no text.
        let tokens = [(0, 0), (0, 2), (2, 5), (4, 7), (7, 9), (0, 0)];
        assert_eq!(
            files(&source, &tokens),
            [file_tokens(0, 0..2), file_tokens(1, 2..4), file_tokens(3, 4..6)]
        );
        assert_eq!(files(&Source { text: "", ..source }, &[(0, 0)]), [file_tokens(0, 0..1)]);
        assert!(files(&source, &[]).is_empty());
    }

    #[test]
    fn a_control_has_the_fallback_of_its_unit() {
        let text = "x = 1\n".repeat(300);
        let tokens = tokens_of(&text);
        let source = Source { text: &text, language: None, file_starts: &[] };
        let draw = Draw { seed: 3, hash: EMPTY };
        let got = segments(&source, &tokens, unit("even:function"), draw);
        assert_eq!(got, segments(&source, &tokens, unit("even:tokens:128"), draw));
        assert_eq!(got.unit, unit("even:tokens:128"));
        let none = segments(&source, &[], unit("shuffled:function"), draw);
        assert_eq!((none.index.len(), none.count), (0, 0));
    }

    #[test]
    fn one_segment_is_its_own_control() {
        let source = Source { text: PYTHON, language: Some(Language::Python), file_starts: &[9] };
        let tokens = tokens_of(PYTHON);
        let own = segments(&source, &tokens, Unit::FILE, Draw::default());
        for control in Control::ALL {
            let got = segments(&source, &tokens, Unit::FILE.with_control(*control), Draw::default());
            assert_eq!(got.index, own.index);
        }
    }
}
