//! `dual_chunk`: distances within a chunk, to the one before and to all others (An et al. 2024,
//! ChunkLlama).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Border, Encoding, EncodingKind, ModelRope, Positions, Rotation, Rotations, Zone, key_error, kind_of,
};
use longcode_base::error::Result;

/// With `s = chunk - local`, `a = i div s` and `b = j div s`: `t` if `a = b`; `min(i mod s + s, chunk) - j
/// mod s` if `a = b + 1`; else `min(2s - 1, chunk) - j mod s`. Exact up to `t = local + 1`, and not monotone
/// beyond.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DualChunk {
    /// Largest distance, tokens; by default three quarters of the trained length.
    pub chunk: Option<usize>,
    /// Distances that stay exact across a chunk's border; by default an eighth of the trained length.
    pub local: Option<usize>,
    /// Multiply logits by `max(1, 0.1 ln(L / L0) + 1)`, which follows the sequence's length.
    #[serde(default)]
    pub mscale: bool,
    /// Scale logits of queries beyond the trained length by `ln(i + 1) / ln(L0)`.
    #[serde(default)]
    pub logn: bool,
}

impl DualChunk {
    /// `chunk` and `local` for a model.
    fn sizes(&self, model: &ModelRope) -> (usize, usize) {
        let trained = model.trained_length;
        (self.chunk.unwrap_or(3 * trained / 4), self.local.unwrap_or(trained / 8))
    }
}

pub(super) const ENTRY: EncodingKind = kind_of::<DualChunk>(
    "dual_chunk",
    "distances within and between chunks (An et al. 2024, ChunkLlama)",
    "chunk=3/4 L0, local=L0/8, mscale=false, logn=false",
);

impl Encoding for DualChunk {
    fn check(&self, model: &ModelRope) -> Result<()> {
        let (chunk, local) = self.sizes(model);
        if chunk > local {
            return Ok(());
        }
        let key = if self.chunk.is_some() { "chunk" } else { "local" };
        let what = format!("a chunk of {chunk} tokens is not larger than its local part of {local}");
        Err(key_error(key, what, "give a chunk larger than `local`, as chunk=384,local=64"))
    }

    fn notes(&self, model: &ModelRope) -> Vec<String> {
        let (chunk, trained) = (self.sizes(model).0, model.trained_length);
        let beyond = format!("chunk {chunk} makes distances beyond the trained length of {trained} tokens");
        Some(beyond).filter(|_| chunk > trained).into_iter().collect()
    }

    fn follows_length(&self, model: &ModelRope) -> bool {
        self.mscale || model.follows_length()
    }

    fn rotations(&self, model: &ModelRope, positions: &Positions) -> Rotations {
        let (chunk, local) = self.sizes(model);
        let size = chunk - local;
        let key = positions.map(|j| (j % size) as f64);
        let zone = |chunks_back: usize, query: Arc<[f64]>| {
            let first = Border::new(positions, |i| (i / size + 1).saturating_sub(chunks_back) * size);
            Zone::turned(first, Rotation::single(model.pairs(), query, key.clone()))
        };
        let others =
            Rotation::single(model.pairs(), positions.map(|_| (2 * size - 1).min(chunk) as f64), key.clone());
        let zones = vec![
            Zone::turned(Border::start(positions), others),
            zone(2, positions.map(|i| (i % size + size).min(chunk) as f64)),
            zone(1, key.clone()),
        ];
        let mut spectrum = model.own_spectrum(positions.sequence_length);
        if self.mscale {
            let stretch = positions.sequence_length as f64 / model.trained_length as f64;
            spectrum.scale *= (0.1 * stretch.ln() + 1.0).max(1.0);
        }
        Rotations::new(spectrum, positions, zones).with_logn(self.logn, positions, model.trained_length)
    }
}
