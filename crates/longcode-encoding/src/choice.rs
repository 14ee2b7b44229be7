//! Keys that are chosen, within one zone: by what the text says, or by what queries and keys say.

use std::ops::Range;
use std::sync::Arc;

use longcode_structure::Draw;

/// Which keys of the chosen zone are seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Known from the text alone, and the same in every layer and head.
    Listed(Listed),
    /// Blocks of keys, chosen by each key head of each layer for each query.
    Blocks(BlockChoice),
}

/// Lists of ranges of keys, and the list of each token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The list of each of the tokens that rotations were asked for.
    pub list_of: Vec<u32>,
    /// Ranges in the order of their first keys.
    pub lists: Vec<Vec<Range<usize>>>,
}

/// The best of the blocks that end before a query's window.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockChoice {
    /// The first key of each block, rising from 0.
    pub starts: Arc<[usize]>,
    /// The number of the first block in its text.
    pub first: usize,
    /// Most blocks that a query sees.
    pub top: usize,
    /// Tokens of the window.
    pub window: usize,
    /// How blocks are scored.
    pub score: BlockScore,
    /// Whether all key heads of a layer choose alike, by the sum of their scores.
    pub together: bool,
    /// The run's seed, for draws.
    pub seed: u64,
    /// The text's hash, for draws.
    pub hash: Arc<str>,
}

/// How a block is scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockScore {
    /// By the mean of its keys.
    Mean,
    /// By the largest and smallest number of its keys in each dimension.
    Bounds,
    /// By the mean of this many of its keys, those that got most attention within the window.
    Attended(usize),
    /// By a draw, the same for every query.
    Random,
}

impl Choice {
    /// How many of some keys a token, counted from the first, sees, as far as that can be told without queries.
    pub fn count(&self, token: usize, keys: &Range<usize>) -> usize {
        match self {
            Choice::Listed(listed) => listed.within(token, keys).map(|range| range.len()).sum(),
            Choice::Blocks(blocks) => {
                let ends = blocks.starts.len().saturating_sub(1).max(1);
                let mean = blocks.starts.last().copied().unwrap_or(0).div_ceil(ends);
                keys.len().min(blocks.top.saturating_mul(mean))
            }
        }
    }

    /// Whether a token, counted from the first, may see a key: of blocks each may be chosen.
    pub fn may_see(&self, token: usize, key: usize) -> bool {
        match self {
            Choice::Listed(listed) => listed.within(token, &(key..key + 1)).next().is_some(),
            Choice::Blocks(blocks) => blocks.top > 0,
        }
    }
}

impl Listed {
    fn within(&self, token: usize, keys: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let list = &self.lists[self.list_of[token] as usize];
        list.iter()
            .map(|range| range.start.max(keys.start)..range.end.min(keys.end))
            .filter(|range| !range.is_empty())
    }
}

impl BlockChoice {
    /// The number that `random` draws for a block, counted from the first one here.
    pub fn drawn(&self, layer: usize, key_head: usize, block: usize) -> u64 {
        let draw = Draw { seed: self.seed, hash: &self.hash };
        draw.number("random", &[layer, key_head, self.first + block])
    }
}
