//! Rotations of queries and keys by per-position angles: what an encoding produces.

use std::ops::Range;

use super::Spectrum;

/// The tokens that rotations are wanted for.
///
/// While scoring these are all tokens of a sequence; while decoding the newest ones.
#[derive(Debug, Clone)]
pub struct Positions {
    /// Token indices, counted over the whole sequence.
    pub tokens: Range<usize>,
    /// For each level above the token level, fine to coarse, the segment index of each of `tokens`.
    pub levels: Vec<Vec<u32>>,
    /// Length of the whole sequence, the `L` that `dynamic_ntk` follows.
    pub sequence_length: usize,
}

impl Positions {
    /// All tokens of a sequence of `length` tokens.
    pub fn whole(length: usize, levels: Vec<Vec<u32>>) -> Positions {
        debug_assert!(levels.iter().all(|level| level.len() == length));
        Positions { tokens: 0..length, levels, sequence_length: length }
    }

    /// Token indices as numbers.
    pub fn token_positions(&self) -> Vec<f64> {
        self.tokens.clone().map(|i| i as f64).collect()
    }
}

/// A range of pairs that share positions: pair `p` of query `i` turns by `query[i] * theta_p`, of key
/// `j` by `key[j] * theta_p`, so their distance is `query[i] - key[j]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Frequency pairs, high frequency first.
    pub pairs: Range<usize>,
    /// Position of each token as a query.
    pub query: Vec<f64>,
    /// Position of each token as a key.
    pub key: Vec<f64>,
}

/// One rotation of queries and keys: bands that cover all pairs in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation {
    /// High-frequency band first.
    pub bands: Vec<Band>,
}

impl Rotation {
    /// Every pair turns by the same position, of queries and keys alike.
    pub fn flat(pairs: usize, positions: Vec<f64>) -> Rotation {
        Rotation::single(pairs, positions.clone(), positions)
    }

    /// Every pair turns by one position of the query and another of the key.
    pub fn single(pairs: usize, query: Vec<f64>, key: Vec<f64>) -> Rotation {
        Rotation { bands: vec![Band { pairs: 0..pairs, query, key }] }
    }

    /// `delta_p(i, j)`, with `i` and `j` counted from the first token of the rotation.
    pub fn delta(&self, pair: usize, i: usize, j: usize) -> f64 {
        let band = self.bands.iter().find(|band| band.pairs.contains(&pair)).expect("bands cover all pairs");
        band.query[i] - band.key[j]
    }
}

/// The rotation for distances of at least `window` tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Far {
    /// Smallest token distance that this rotation is used for, at least 1.
    pub window: usize,
    /// How queries and keys turn there.
    pub rotation: Rotation,
}

/// All that attention needs to know of an encoding for some tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotations {
    /// Frequencies and constant logit scale.
    pub spectrum: Spectrum,
    /// For distances below the window; for all distances where there is no `far`.
    pub near: Rotation,
    /// For the other distances.
    pub far: Option<Far>,
    /// Factor on the logits of each query beside the spectrum's (option `logn`); empty: 1 everywhere.
    pub query_scale: Vec<f64>,
}

impl Rotations {
    /// One rotation for all distances.
    pub fn near_only(spectrum: Spectrum, positions: &Positions) -> Rotations {
        let near = Rotation::flat(spectrum.frequencies.len(), positions.token_positions());
        Rotations { spectrum, near, far: None, query_scale: Vec::new() }
    }

    /// Token distance below the window, `far` from there on.
    pub fn windowed(
        spectrum: Spectrum,
        positions: &Positions,
        window: usize,
        rotation: Rotation,
    ) -> Rotations {
        Rotations { far: Some(Far { window, rotation }), ..Rotations::near_only(spectrum, positions) }
    }

    /// With option `logn` (Su 2021): logits of query `i` are scaled by max(1, ln(i + 1) / ln(L0)).
    pub fn with_logn(mut self, logn: bool, positions: &Positions, trained_length: usize) -> Rotations {
        if logn {
            let log_trained = (trained_length as f64).ln();
            let scale = |i: usize| (((i + 1) as f64).ln() / log_trained).max(1.0);
            self.query_scale = positions.tokens.clone().map(scale).collect();
        }
        self
    }

    /// `delta_p(i, j)` under the window rule, with `i >= j` counted from the first token.
    pub fn delta(&self, pair: usize, i: usize, j: usize) -> f64 {
        match &self.far {
            Some(far) if i - j >= far.window => far.rotation.delta(pair, i, j),
            _ => self.near.delta(pair, i, j),
        }
    }
}
