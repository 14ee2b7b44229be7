//! Zones: which keys a query sees, and how they turn. Encodings produce these.

use std::sync::Arc;

use super::{Choice, Positions, Rotation, Spectrum};

/// All that attention needs to know about an encoding for some tokens.
///
/// For query `i` the keys `0..=i` fall into consecutive zones, whose borders never move back as `i` grows. In
/// a zone all keys turn by one rotation, or are not seen; of one zone only those may be seen that are chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotations {
    /// Frequencies and constant logit scale.
    pub spectrum: Spectrum,
    /// Zones in the order of the keys; the first begins at key 0, the last ends with the query's own token.
    pub zones: Vec<Zone>,
    /// Factor on the logits of each query besides the spectrum's (`logn` or `temperature`); empty means 1
    /// everywhere.
    pub query_scale: Vec<f64>,
    /// Which keys of the chosen zone are seen, if there is one.
    pub choice: Option<Choice>,
    /// Index of the first token.
    first_token: usize,
}

/// Consecutive keys that turn alike, or are not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// Where the zone begins. It ends where the next one begins.
    pub first: Border,
    /// How its queries and keys turn; none if they are not seen.
    pub rotation: Option<Rotation>,
    /// Whether only those of its keys are seen that are chosen ([`Rotations::choice`]).
    pub is_chosen: bool,
}

/// The first key of a zone, for each query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Border {
    /// One key for each token.
    pub keys: Vec<usize>,
    /// The border for the last query of the sequence: no query sees the border beyond it.
    pub end: usize,
}

/// A checkpoint's own sliding window (Mistral, Qwen2): keys `window` tokens back and more are not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnWindow {
    /// Tokens, including the query's own.
    pub window: usize,
    /// For each layer, whether it slides.
    pub layers: Arc<[bool]>,
}

impl Border {
    /// A border computed from the query's token index, relative to key 0. It must not fall as the index
    /// grows.
    pub fn new(positions: &Positions, first: impl Fn(usize) -> usize) -> Border {
        let keys = positions.tokens.clone().map(&first).collect();
        Border { keys, end: first(positions.sequence_length.max(positions.tokens.end).saturating_sub(1)) }
    }

    /// The border at key 0.
    pub fn start(positions: &Positions) -> Border {
        Border::new(positions, |_| 0)
    }

    /// The first key that is less than `window` tokens back.
    pub fn behind(positions: &Positions, window: usize) -> Border {
        Border::new(positions, first_within(window))
    }
}

/// The first key that is less than `window` tokens before a query.
pub fn first_within(window: usize) -> impl Fn(usize) -> usize + Copy {
    move |i| (i + 1).saturating_sub(window)
}

impl Zone {
    /// A zone in which keys turn.
    pub fn turned(first: Border, rotation: Rotation) -> Zone {
        Zone { first, rotation: Some(rotation), is_chosen: false }
    }

    /// A zone whose keys turn if they are chosen.
    pub fn chosen(first: Border, rotation: Rotation) -> Zone {
        Zone { first, rotation: Some(rotation), is_chosen: true }
    }

    /// A zone that is not seen.
    pub fn unseen(first: Border) -> Zone {
        Zone { first, rotation: None, is_chosen: false }
    }

    /// A zone of token distances, from the first key that is less than `window` tokens back.
    pub fn near(pairs: usize, positions: &Positions, window: usize) -> Zone {
        Zone::turned(Border::behind(positions, window), Rotation::by_token(pairs, positions))
    }
}

impl Rotations {
    /// Zones in the order of the keys.
    pub fn new(spectrum: Spectrum, positions: &Positions, zones: Vec<Zone>) -> Rotations {
        let first_token = positions.tokens.start;
        Rotations { spectrum, zones, query_scale: Vec::new(), choice: None, first_token }
    }

    /// Token distance to all keys.
    pub fn by_token(spectrum: Spectrum, positions: &Positions) -> Rotations {
        let rotation = Rotation::by_token(spectrum.frequencies.len(), positions);
        Rotations::new(spectrum, positions, vec![Zone::turned(Border::start(positions), rotation)])
    }

    /// Token distance below the window, `far` from there on.
    pub fn windowed(spectrum: Spectrum, positions: &Positions, window: usize, far: Rotation) -> Rotations {
        let near = Zone::near(spectrum.frequencies.len(), positions, window);
        Rotations::new(spectrum, positions, vec![Zone::turned(Border::start(positions), far), near])
    }

    /// Token distance below the window; of the keys further back, the first `sinks` turn by `far` and
    /// the others are not seen.
    pub fn with_sinks(
        spectrum: Spectrum,
        positions: &Positions,
        window: usize,
        sinks: usize,
        far: Rotation,
    ) -> Rotations {
        let near = Zone::near(spectrum.frequencies.len(), positions, window);
        let first_unseen = Border::new(positions, move |i| first_within(window)(i).min(sinks));
        let zones = vec![Zone::turned(Border::start(positions), far), Zone::unseen(first_unseen), near];
        Rotations::new(spectrum, positions, zones)
    }

    /// With option `logn` (Su 2021): logits of query `i` are scaled by max(1, ln(i + 1) / ln(L0)).
    pub fn with_logn(mut self, logn: bool, positions: &Positions, trained_length: usize) -> Rotations {
        if logn {
            let log_trained = (trained_length as f64).ln();
            self.query_scale =
                positions.tokens.clone().map(|i| (((i + 1) as f64).ln() / log_trained).max(1.0)).collect();
        }
        self
    }

    /// With key `temperature` (Ministral 3; Llama 4 has it in layers that do not turn, one token earlier):
    /// logits of query `i` are scaled by `1 + beta ln(1 + floor(i / L0))`, in every zone, on top of factors that a table
    /// has. No encoding has it together with `logn`.
    pub fn with_temperature(mut self, beta: f64, positions: &Positions, trained_length: usize) -> Rotations {
        if beta != 0.0 {
            let factor = |i: usize| 1.0 + beta * ((1 + i / trained_length) as f64).ln();
            self.query_scale.resize(positions.tokens.len(), 1.0);
            self.query_scale
                .iter_mut()
                .zip(positions.tokens.clone())
                .for_each(|(scale, i)| *scale *= factor(i));
        }
        self
    }

    /// Says which keys of the chosen zone are seen.
    pub fn with_choice(self, choice: Choice) -> Rotations {
        Rotations { choice: Some(choice), ..self }
    }

    /// `delta_p(i, j)` with `i >= j` counted from the first token; none if `i` does not see `j`. Ignores a
    /// checkpoint's own window; of keys that are chosen by content each counts as seen.
    pub fn delta(&self, pair: usize, i: usize, j: usize) -> Option<f64> {
        let key = self.first_token + j;
        let zone = self.zones.iter().rev().find(|zone| zone.first.keys[i] <= key)?;
        let hides = |choice: &Choice| zone.is_chosen && !choice.may_see(i, key);
        if self.choice.as_ref().is_some_and(hides) {
            return None;
        }
        zone.rotation.as_ref().map(|rotation| rotation.delta(pair, i, j))
    }

    /// Whether query `i` sees key `j`, as [`Rotations::delta`] counts them.
    pub fn sees(&self, i: usize, j: usize) -> bool {
        self.delta(0, i, j).is_some()
    }
}
