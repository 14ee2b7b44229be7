//! Blocks of keys, chosen for the rows of an attention by their queries and keys: on the host, whatever the device.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Tensor;

use super::attention::RelativeAttention;
use crate::encoding::{BlockChoice, BlockScore};
use crate::kernels::blocks::{BlockMemory, Choosing, Near, Score};
use crate::kernels::{Chosen, Sight, Turn};

/// Nanoseconds that this process has spent choosing.
static SPENT: AtomicU64 = AtomicU64::new(0);

/// How long this process has spent choosing blocks, on every device with what is moved from there.
pub fn time_of_choosing() -> Duration {
    Duration::from_nanos(SPENT.load(Ordering::Relaxed))
}

/// Chooses blocks in any layer.
#[derive(Debug, Clone)]
pub(super) struct Chooser {
    choice: BlockChoice,
    /// How queries and keys turn that are scored.
    far: Turn,
    /// How they turn within the window.
    near: Turn,
}

impl Chooser {
    /// None if the rows see no zone but a chosen one, which no encoding has.
    pub(super) fn new(choice: &BlockChoice, sight: &Sight) -> Option<Chooser> {
        let far = sight.turn(sight.chosen_zone()?)?;
        let near = (0..sight.zones()).rev().find_map(|zone| sight.turn(zone))?;
        Some(Chooser { choice: choice.clone(), far, near })
    }

    /// What the rows of a layer's attention choose, with what is remembered of the rows before.
    pub(super) fn choose(
        &self,
        layer: usize,
        attention: &RelativeAttention,
        memory: &mut BlockMemory,
    ) -> Chosen {
        let started = Instant::now();
        let chosen = self.chosen(layer, attention, memory);
        SPENT.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        chosen
    }

    fn chosen(&self, layer: usize, attention: &RelativeAttention, memory: &mut BlockMemory) -> Chosen {
        let heads = attention.heads;
        let (first, rows) = (attention.sight.first(), attention.sight.rows());
        let last = first + rows - 1;
        let score = self.score(layer, heads.keys);
        let choosing = Choosing {
            starts: &self.choice.starts,
            top: self.choice.top,
            window: self.choice.window,
            score: &score,
            together: self.choice.together,
            heads: heads.keys,
            group: heads.queries / heads.keys,
            dim: heads.dim,
        };
        memory.rewind(first);
        if matches!(score, Score::Attended(_)) {
            let keys = rows_of(&attention.keys[self.near.key], choosing.first_near(first)..last + 1);
            let queries = host(attention.queries[self.near.query].clone());
            let cap = attention.softmax.cap;
            memory.attend(&choosing, first, Near { queries: &queries, keys: &keys, cap });
        }
        let missing = memory.missing(&choosing, last);
        let keys =
            if missing.is_empty() { Vec::new() } else { rows_of(&attention.keys[self.far.key], missing) };
        memory.summarise(&choosing, &keys, last);
        let queries = attention.queries[self.far.query].clone();
        let of_groups = queries.reshape([rows * heads.keys, heads.queries / heads.keys, heads.dim]);
        memory.choose(&choosing, first, &host(of_groups.mean_dim(1)))
    }

    fn score(&self, layer: usize, key_heads: usize) -> Score {
        match self.choice.score {
            BlockScore::Mean => Score::Mean,
            BlockScore::Bounds => Score::Bounds,
            BlockScore::Attended(representatives) => Score::Attended(representatives),
            BlockScore::Random => {
                let heads = if self.choice.together { 1 } else { key_heads };
                let blocks = self.choice.starts.len();
                let drawn = |head| (0..blocks).map(|block| self.choice.drawn(layer, head, block)).collect();
                Score::Given((0..heads).map(drawn).collect())
            }
        }
    }
}

/// Some rows of keys, none of which is lost where keys are chosen.
fn rows_of(keys: &Tensor<2>, rows: Range<usize>) -> Vec<f32> {
    host(keys.clone().slice_dim(0, rows))
}

/// The numbers of a tensor.
fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_into_vec().expect("numbers that were converted to f32")
}
