//! Rotations of queries and keys by per-position angles.

use std::ops::Range;
use std::sync::Arc;

use longcode_structure::{Blocks, Layout, References};

/// The tokens for which rotations are wanted.
///
/// When scoring these are all tokens of a sequence; when decoding only the newest.
#[derive(Debug, Clone)]
pub struct Positions {
    /// Token indices, counted over the whole sequence.
    pub tokens: Range<usize>,
    /// For each level above the token level, fine to coarse, the segment index of each of `tokens`.
    pub levels: Vec<Vec<u32>>,
    /// Length of the whole sequence, the `L` that `dynamic_ntk` follows; when decoding it includes all tokens
    /// that there is room for.
    pub sequence_length: usize,
    /// Blocks of the whole sequence, if they are known.
    pub blocks: Option<Blocks>,
    /// What the text of the whole sequence points at, if that is known.
    pub references: Option<Arc<References>>,
    /// The run's seed, for draws.
    pub seed: u64,
    /// The text's hash, for draws.
    pub hash: Arc<str>,
    by_token: Arc<[f64]>,
}

impl Positions {
    /// Some tokens of a sequence.
    pub fn new(tokens: Range<usize>, levels: Vec<Vec<u32>>, sequence_length: usize) -> Positions {
        debug_assert!(levels.iter().all(|level| level.len() == tokens.len()));
        let by_token = tokens.clone().map(|i| i as f64).collect();
        let (seed, hash) = (0, Arc::default());
        Positions { tokens, levels, sequence_length, blocks: None, references: None, seed, hash, by_token }
    }

    /// All tokens of a sequence of `length` tokens.
    pub fn whole(length: usize, levels: Vec<Vec<u32>>) -> Positions {
        Positions::new(0..length, levels, length)
    }

    /// All tokens of a sequence with this layout.
    pub fn laid_out(length: usize, layout: Layout) -> Positions {
        Positions::whole(length, Vec::new()).with_layout(layout)
    }

    /// The same with the layout of the whole sequence, but for its levels, which are those of the tokens.
    pub fn with_layout(self, layout: Layout) -> Positions {
        let Layout { levels, blocks, references, seed, hash } = layout;
        debug_assert!(levels.iter().all(|level| level.len() == self.tokens.len()));
        Positions { levels, blocks, references, seed, hash, ..self }
    }

    /// Token indices as numbers; the same ones at every call.
    pub fn by_token(&self) -> Arc<[f64]> {
        self.by_token.clone()
    }

    /// A position for each token, computed from its index.
    pub fn map(&self, position: impl Fn(usize) -> f64) -> Arc<[f64]> {
        self.tokens.clone().map(position).collect()
    }
}

/// A range of pairs that share positions: pair `p` of query `i` turns by `query[i] * theta_p`, of key `j` by
/// `key[j] * theta_p`, so their distance is `query[i] - key[j]`. If two rotations share the same positions
/// (the same `Arc`), queries or keys are rotated and kept once.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Frequency pairs, high frequency first.
    pub pairs: Range<usize>,
    /// Position of each token as a query.
    pub query: Arc<[f64]>,
    /// Position of each token as a key.
    pub key: Arc<[f64]>,
}

/// One rotation of queries and keys: bands that cover all pairs in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// High-frequency band first.
    pub bands: Vec<Band>,
}

impl Rotation {
    /// Every pair turns by the token index, for queries and keys alike: the distance is `i - j`.
    pub fn by_token(pairs: usize, positions: &Positions) -> Rotation {
        Rotation::single(pairs, positions.by_token(), positions.by_token())
    }

    /// Every pair turns by one position of the query and another of the key.
    pub fn single(pairs: usize, query: Arc<[f64]>, key: Arc<[f64]>) -> Rotation {
        Rotation { bands: vec![Band { pairs: 0..pairs, query, key }] }
    }

    /// `delta_p(i, j)`, with `i` and `j` counted from the first token of the rotation.
    pub fn delta(&self, pair: usize, i: usize, j: usize) -> f64 {
        let band = self.bands.iter().find(|band| band.pairs.contains(&pair)).expect("bands cover all pairs");
        band.query[i] - band.key[j]
    }
}
