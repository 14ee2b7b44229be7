//! Exact attention of several zones at about the cost of one attention, without a score matrix.
//!
//! Blocks of query rows of one key head are the parallel tasks ([`Block`]); few rows are handled by
//! [`few_queries`], rows that see chosen keys by [`chosen`].

use rayon::prelude::*;

use super::block::{Block, Scratch};
use super::inputs::Inputs;
use super::shared::Shared;
use super::tiled::Packed;
use super::{chosen, few_queries, few_rows};
use crate::Heads;

/// Target number of query rows of a block, over all heads that share a key head.
const ROWS: usize = 192;

/// `[rows, heads * dim]`.
pub(super) fn attend(inputs: &Inputs) -> Vec<f32> {
    let Heads { queries, keys, dim } = inputs.heads;
    let rows = inputs.sight.rows();
    if rows <= few_rows::MOST {
        return few_queries::attend(inputs);
    }
    let block = (ROWS * keys / queries).clamp(16, 128);
    let packed = Packed::of(inputs);
    let packed = packed.as_ref();
    if inputs.sight.chosen_zone().is_some() {
        return chosen::attend(inputs, packed, block);
    }
    let mut out = vec![0.0; rows * queries * dim];
    let shared = Shared::new(&mut out);
    let blocks: Vec<_> = (0..keys)
        .flat_map(|key_head| (0..rows).step_by(block).map(move |start| (key_head, start)))
        .map(|(key_head, start)| Block { inputs, packed, key_head, rows: start..(start + block).min(rows) })
        .collect();
    // One block for each task: late blocks see more keys than early ones, and work stealing evens that out.
    blocks
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(Scratch::default, |scratch, block| block.attend(scratch, shared));
    out
}
