//! The plan of an attention in the kernel's form: one buffer of numbers.
//!
//! For each zone that is seen, its rotation of queries and, 8 bits up, of keys; for each block, where its
//! stretches begin, and finally where they end; for each zone and token, the zone's first key; for each
//! stretch [`PER_STRETCH`] numbers: its first key, the key after its last, the row of its first key in the
//! tensors, and a bit for each zone that it is seen in. If keys are chosen, each key head has blocks of its own, one
//! key head after another, and each stretch [`PER_CHOSEN`] numbers: also a bit for each token of the block that sees it.

use std::ops::Range;

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
