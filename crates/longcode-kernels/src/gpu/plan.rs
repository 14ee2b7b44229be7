//! The plan of an attention in the kernel's form: one buffer of numbers.
//!
//! For each zone that is seen, its rotation of queries and, 8 bits up, of keys; for each block, where its
//! stretches begin, and finally where they end; for each zone and token, the zone's first key; for each
//! stretch [`PER_STRETCH`] numbers: its first key, the key after its last, the row of its first key in the
//! tensors, and a bit for each zone that it is seen in. If keys are chosen, each key head has blocks of its own, one
//! key head after another, and each stretch [`PER_CHOSEN`] numbers: also a bit for each token of the block that sees it.

use std::ops::Range;
use std::sync::{Arc, Mutex, Weak};

use burn_cubecl::CubeDevice;
use cubecl::client::Client;
use cubecl::prelude::CubeElement;
use cubecl::server::Handle;

use super::tiles::Sizes;
use crate::Heads;
use crate::chosen::Group;
use crate::sight::{Sight, Turn, rows_of};

/// Numbers of a stretch.
pub(super) const PER_STRETCH: usize = 4;

/// Numbers of a stretch if keys are chosen.
pub(super) const PER_CHOSEN: usize = 6;

/// Key heads that have blocks of their own.
pub(super) fn heads_of_plan(sight: &Sight, key_heads: usize) -> usize {
    if sight.chosen_zone().is_some() { key_heads } else { 1 }
}

/// The plan for blocks of `rows` rows, at most 64; each token has `group` of them.
pub(super) fn plan(
    sight: &Sight,
    lost: &Range<usize>,
    rows: usize,
    group: usize,
    key_heads: usize,
) -> Vec<u32> {
    let zones = 0..sight.zones();
    let mut plan: Vec<u32> = zones
        .clone()
        .map(|zone| sight.turn(zone).map_or(0, |Turn { query, key }| (query | key << 8) as u32))
        .collect();
    let chosen = sight.chosen_zone();
    let per_stretch = if chosen.is_some() { PER_CHOSEN } else { PER_STRETCH };
    let mut stretches = Vec::new();
    for key_head in 0..heads_of_plan(sight, key_heads) {
        for start in (0..sight.rows() * group).step_by(rows) {
            plan.push((stretches.len() / per_stretch) as u32);
            let tokens = start / group..(start + rows).div_ceil(group).min(sight.rows());
            let mut add = |keys: &Range<usize>, zones: u32, seen_by: u64| {
                let row = rows_of(keys, lost).start as u32;
                stretches.extend([keys.start as u32, keys.end as u32, row, zones]);
                if chosen.is_some() {
                    stretches.extend([seen_by as u32, (seen_by >> 32) as u32]);
                }
            };
            for stretch in sight.stretches(tokens.clone()) {
                let zones = stretch.zones.iter().fold(0, |bits, zone| bits | 1 << zone);
                add(&stretch.keys, zones, u64::MAX);
            }
            if let Some(zone) = chosen {
                for Group { rows, keys } in sight.groups(key_head, tokens.clone()) {
                    let seen_by = rows.iter().fold(0, |bits, row| bits | 1 << (row - tokens.start));
                    keys.iter().for_each(|keys| add(keys, 1 << zone, seen_by));
                }
            }
        }
    }
    plan.push((stretches.len() / per_stretch) as u32);
    plan.extend(zones.flat_map(|zone| sight.borders(zone)).map(|&key| key as u32));
    plan.extend(stretches);
    plan
}

/// A plan on a device.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) buffer: Handle,
    /// How many numbers it has, with the sinks.
    pub(super) numbers: usize,
    /// Where the bits of the query heads' sinks are, if there are any.
    pub(super) sinks: usize,
    /// How many keys each block meets, once for each zone.
    pub(super) keys: Vec<usize>,
}

/// A plan and what it was made from.
struct Known {
    sight: Weak<Sight>,
    lost: Range<usize>,
    sinks: Option<Arc<[f32]>>,
    /// Rows of a block, and of a token.
    rows: [usize; 2],
    /// Key heads, which may choose keys each.
    heads: usize,
    device: CubeDevice,
    plan: Arc<Planned>,
}

/// The plans of sights that are in use: the layers of a pass share few of them.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

/// The plan of an attention on a device, made once for all that see alike.
pub(super) fn on_device(
    client: &Client,
    device: &CubeDevice,
    sight: &Arc<Sight>,
    lost: &Range<usize>,
    sinks: Option<&Arc<[f32]>>,
    sizes: Sizes,
    heads: Heads,
) -> Arc<Planned> {
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    known.retain(|known| known.sight.strong_count() > 0);
    let rows = [sizes.rows(), sizes.group];
    let is_same = |known: &&Known| {
        std::ptr::eq(known.sight.as_ptr(), Arc::as_ptr(sight))
            && known.lost == *lost
            && known.sinks.as_ref() == sinks
            && known.rows == rows
            && known.heads == heads.keys
            && known.device == *device
    };
    if let Some(known) = known.iter().find(is_same) {
        return known.plan.clone();
    }
    let mut numbers = plan(sight, lost, sizes.rows(), sizes.group, heads.keys);
    let keys = keys_of_blocks(sight, &numbers, sizes, heads.keys);
    let first_sink = numbers.len();
    numbers.extend(sinks.iter().flat_map(|sinks| sinks.iter().map(|sink| sink.to_bits())));
    let plan = Arc::new(Planned {
        buffer: client.create_from_slice(u32::as_bytes(&numbers)),
        numbers: numbers.len(),
        sinks: first_sink,
        keys,
    });
    known.push(Known {
        sight: Arc::downgrade(sight),
        lost: lost.clone(),
        sinks: sinks.cloned(),
        rows,
        heads: heads.keys,
        device: device.clone(),
        plan: plan.clone(),
    });
    plan
}

/// How many keys each block of a plan meets, once for each zone; of blocks of key heads the mean.
fn keys_of_blocks(sight: &Sight, plan: &[u32], sizes: Sizes, key_heads: usize) -> Vec<usize> {
    let (zones, rows) = (sight.zones(), sight.rows() * sizes.group);
    let (blocks, heads) = (rows.div_ceil(sizes.rows()), heads_of_plan(sight, key_heads));
    let per_stretch = if sight.chosen_zone().is_some() { PER_CHOSEN } else { PER_STRETCH };
    let first_of = &plan[zones..=zones + heads * blocks];
    let stretches = &plan[zones + heads * blocks + 1 + zones * sight.rows()..];
    let keys = |stretch: usize| {
        let at = stretch * per_stretch;
        (stretches[at + 1] - stretches[at]) as usize * stretches[at + 3].count_ones() as usize
    };
    let of_block =
        |block: usize| (first_of[block] as usize..first_of[block + 1] as usize).map(keys).sum::<usize>();
    let of_heads = |block: usize| (0..heads).map(|head| of_block(head * blocks + block)).sum::<usize>();
    (0..blocks).map(|block| of_heads(block).div_ceil(heads)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_causal_blocks() {
        let turn = Some(Turn { query: 0, key: 0 });
        let sight = Sight::new(0..20, 20).with_zone(vec![0; 20], 0, turn);
        let sizes = Sizes { vectors: 4, group: 2, lines: 8, rows_per_unit: 1, sinks: false };
        let plan = plan(&sight, &(0..0), sizes.rows(), sizes.group, 1);
        assert_eq!(keys_of_blocks(&sight, &plan, sizes, 1), [4, 8, 12, 16, 20]);
    }
}
