//! The plan of an attention in the kernel's form: one buffer of numbers.
//!
//! For each zone that is seen, its rotation of queries and, 8 bits up, of keys; for each block, where its
//! stretches begin, and finally where they end; for each zone and token, the zone's first key; for each
//! stretch [`PER_STRETCH`] numbers: its first key, the key after its last, the row of its first key in the
//! tensors, and a bit for each zone that it is seen in.

use std::ops::Range;

use crate::sight::{Sight, Turn, rows_of};

/// Numbers of a stretch.
pub(super) const PER_STRETCH: usize = 4;

/// The plan for blocks of `rows` rows; each token has `group` of them.
pub(super) fn plan(sight: &Sight, lost: &Range<usize>, rows: usize, group: usize) -> Vec<u32> {
    let zones = 0..sight.zones();
    let mut plan: Vec<u32> = zones
        .clone()
        .map(|zone| sight.turn(zone).map_or(0, |Turn { query, key }| (query | key << 8) as u32))
        .collect();
    let mut stretches = Vec::new();
    for start in (0..sight.rows() * group).step_by(rows) {
        plan.push((stretches.len() / PER_STRETCH) as u32);
        let tokens = start / group..(start + rows).div_ceil(group).min(sight.rows());
        for stretch in sight.stretches(tokens) {
            let seen_in = stretch.zones.iter().fold(0, |bits, zone| bits | 1 << zone);
            let row = rows_of(&stretch.keys, lost).start;
            stretches.extend([stretch.keys.start as u32, stretch.keys.end as u32, row as u32, seen_in]);
        }
    }
    plan.push((stretches.len() / PER_STRETCH) as u32);
    plan.extend(zones.flat_map(|zone| sight.borders(zone)).map(|&key| key as u32));
    plan.extend(stretches);
    plan
}
