//! Blocks: the segments of a unit with a shortest and a longest length, so that no later token moves a border.

use std::ops::Range;
use std::sync::Arc;

use super::assign::plain_segments;
use super::control::{FileTokens, files};
use super::{Draw, Source, Unit};

/// How a text is divided into blocks (`docs/encodings.md`, "Blocks of keys").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRule {
    /// A block begins where one of its segments begins, if the block before it is long enough.
    pub unit: Unit,
    /// Tokens that a block has before a segment ends it.
    pub shortest: usize,
    /// Most tokens of a block.
    pub longest: usize,
}

/// The blocks of a text, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    /// The number of the first one in the text.
    pub first: usize,
    /// The token at which each begins; the first at 0.
    pub starts: Arc<[usize]>,
    /// Most tokens of a block, which new ones keep to as well.
    longest: usize,
}

/// The blocks of a tokenised text. Those of a control are a control of the unit's blocks. Only
/// [`super::Control::Shuffled`] uses `draw`.
pub fn blocks(source: &Source, tokens: &[(usize, usize)], rule: BlockRule, draw: Draw) -> Blocks {
    let found = plain_segments(source, tokens, rule.unit.without_control());
    blocks_of(&found.index, &files(source, tokens), rule, draw)
}

/// The blocks of tokens in these segments and files.
fn blocks_of(index: &[u32], files: &[FileTokens], rule: BlockRule, draw: Draw) -> Blocks {
    let mut starts = Vec::new();
    for file in files {
        let mut lengths = lengths(&index[file.tokens.clone()], rule);
        if let Some(control) = rule.unit.control() {
            lengths = control.lengths(lengths, file.number, draw);
        }
        let mut start = file.tokens.start;
        for length in lengths {
            starts.push(start);
            start += length;
        }
    }
    Blocks { first: 0, starts: starts.into(), longest: rule.longest }
}

/// Tokens of each block of a file.
fn lengths(index: &[u32], rule: BlockRule) -> Vec<usize> {
    let mut lengths: Vec<usize> = Vec::new();
    for (token, segment) in index.iter().enumerate() {
        let begins = token > 0 && index[token - 1] != *segment;
        match lengths.last_mut() {
            Some(last) if *last < rule.longest && !(begins && *last >= rule.shortest) => *last += 1,
            _ => lengths.push(1),
        }
    }
    lengths
}

impl Blocks {
    /// Blocks that begin at these tokens, the first at 0, and have at most `longest` tokens.
    pub fn new(starts: Vec<usize>, longest: usize) -> Blocks {
        Blocks { first: 0, starts: starts.into(), longest }
    }

    /// Blocks of this many tokens each: where nothing is known of a text.
    pub fn even(tokens: usize, length: usize) -> Blocks {
        Blocks { first: 0, starts: (0..length).step_by(tokens.max(1)).collect(), longest: tokens.max(1) }
    }

    /// Those of some of the tokens, which keep their numbers.
    pub fn part(&self, tokens: Range<usize>) -> Blocks {
        let from = self.starts.partition_point(|&start| start <= tokens.start).saturating_sub(1);
        let to = self.starts.partition_point(|&start| start < tokens.end).max(from);
        let starts = self.starts[from..to].iter().map(|start| start.saturating_sub(tokens.start)).collect();
        Blocks { first: self.first + from, starts, ..*self }
    }

    /// The same with room for a text of `length` tokens: new tokens go on the last block until it is full.
    pub fn extended(&self, length: usize) -> Blocks {
        let last = self.starts.last().copied().unwrap_or(0);
        let new = (last..length).step_by(self.longest).skip(usize::from(!self.starts.is_empty()));
        Blocks { starts: self.starts.iter().copied().chain(new).collect(), ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(unit: &str, shortest: usize, longest: usize) -> BlockRule {
        BlockRule { unit: unit.parse().unwrap(), shortest, longest }
    }

    /// Segments and files by their lengths, all blocks by theirs.
    fn block_lengths(segments: &[usize], file_starts: &[usize], rule: BlockRule, draw: Draw) -> Vec<usize> {
        let index: Vec<u32> =
            segments.iter().zip(0..).flat_map(|(&length, n)| std::iter::repeat_n(n, length)).collect();
        let ends = file_starts.iter().skip(1).copied().chain([index.len()]);
        let files: Vec<FileTokens> = file_starts
            .iter()
            .zip(ends)
            .enumerate()
            .map(|(number, (&start, end))| FileTokens { number, tokens: start..end })
            .collect();
        let blocks = blocks_of(&index, &files, rule, draw);
        let ends = blocks.starts.iter().skip(1).copied().chain([index.len()]);
        blocks.starts.iter().zip(ends).map(|(start, end)| end - start).collect()
    }

    #[test]
    fn short_segments_join_and_long_ones_are_cut() {
        let lengths =
            |segments: &[usize], files: &[usize], rule| block_lengths(segments, files, rule, Draw::default());
        assert_eq!(lengths(&[3, 4, 30, 2, 9], &[0], rule("function", 8, 20)), [20, 17, 11]);
        assert_eq!(lengths(&[9, 1, 8], &[0], rule("function", 8, 20)), [9, 9]);
        assert_eq!(lengths(&[8, 8, 4], &[0], rule("tokens:8", 1, 8)), [8, 8, 4]);
        // A file begins a block, however short the one before it.
        assert_eq!(lengths(&[20], &[0, 3], rule("function", 8, 20)), [3, 17]);
    }

    proptest! {
        /// The first tokens of a text have the blocks that they have in the whole text.
        #[test]
        fn no_later_token_moves_a_border(
            segments in prop::collection::vec(1usize..40, 1..20), cut in any::<prop::sample::Index>(),
        ) {
            let rule = rule("function", 8, 24);
            let index: Vec<u32> = segments.iter().zip(0..).flat_map(|(&n, k)| std::iter::repeat_n(k, n)).collect();
            let length = cut.index(index.len()) + 1;
            let whole = lengths(&index, rule);
            let part = lengths(&index[..length], rule);
            prop_assert_eq!(&part[..part.len() - 1], &whole[..part.len() - 1]);
            prop_assert!(*part.last().unwrap() <= whole[part.len() - 1]);
        }

        /// New tokens go on the last block.
        #[test]
        fn new_tokens_fill_the_last_block(length in 1usize..60, more in 0usize..80) {
            let file = [FileTokens { number: 0, tokens: 0..length }];
            let known = blocks_of(&vec![0; length], &file, rule("tokens:16", 1, 16), Draw::default());
            prop_assert_eq!(known.extended(length + more), Blocks::even(16, length + more));
        }
    }

    #[test]
    fn a_part_keeps_the_numbers() {
        let blocks = Blocks::even(10, 45);
        assert_eq!((blocks.part(25..41).first, &blocks.part(25..41).starts[..]), (2, &[0, 5, 15][..]));
        assert_eq!(blocks.part(0..45), blocks);
        assert_eq!((blocks.part(20..30).first, &blocks.part(20..30).starts[..]), (2, &[0][..]));
    }

    /// Lengths that were computed independently.
    #[test]
    fn blocks_of_the_golden_vectors() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/golden/sight.json")).unwrap();
        let mut checked = 0;
        for case in
            vectors["cases"].as_array().unwrap().iter().chain(vectors["attention"].as_array().unwrap())
        {
            let given = &case["given"];
            let Some(expected) = given["blocks"].as_array() else { continue };
            let expected: Vec<usize> = expected.iter().map(|n| n.as_u64().unwrap() as usize).collect();
            let total: usize = expected.iter().sum();
            let unit: Unit = case["unit"].as_str().unwrap_or("tokens:128").parse().unwrap();
            let number = |key: &str| case[key].as_u64().map(|n| n as usize);
            let of_tokens = unit.number().map(std::num::NonZeroUsize::get);
            let rule = BlockRule {
                unit,
                shortest: number("shortest").unwrap_or(of_tokens.map_or(32, |_| 1)),
                longest: number("longest").unwrap_or(of_tokens.unwrap_or(512)),
            };
            let index: Vec<u32> = match &given["inner"] {
                serde_json::Value::Null => (0..total).map(|t| (t / of_tokens.unwrap()) as u32).collect(),
                inner => serde_json::from_value(inner.clone()).unwrap(),
            };
            let segments: Vec<usize> = index.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
            let files: Vec<usize> = match &given["files"] {
                serde_json::Value::Null => vec![0],
                files => serde_json::from_value(files.clone()).unwrap(),
            };
            let draw = Draw {
                seed: given["seed"].as_u64().unwrap_or(0),
                hash: given["sha256"].as_str().unwrap_or_default(),
            };
            assert_eq!(block_lengths(&segments, &files, rule, draw), expected, "{case}");
            checked += 1;
        }
        assert_eq!(checked, 20, "cases with blocks");
    }
}
