//! Keys that are chosen for each key head and row, within one zone of a [`Sight`].

use std::collections::HashMap;
use std::ops::Range;

use super::Sight;

/// For each key head and row, the keys that were chosen: lists of ranges, in order and without overlap. Rows that see
/// the same may share a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Rows of each key head.
    rows: usize,
    /// The list of each row, one key head after another; of one head, if all choose alike.
    list_of: Vec<u32>,
    lists: KeyLists,
}

/// Lists of ranges of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyLists {
    /// Where each list ends among the ranges.
    ends: Vec<usize>,
    /// First key, and the key after the last.
    ranges: Vec<[u32; 2]>,
}

/// Rows that see the same keys of those that were chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Rows of the sight, in order.
    pub rows: Vec<usize>,
    /// In order, without overlap, not empty. At the borders of the zone a row sees only those that it has there.
    pub keys: Vec<Range<usize>>,
}

impl KeyLists {
    /// Adds a list and returns its number. Ranges that touch are joined, empty ones left out; they must be in order.
    pub fn push(&mut self, ranges: impl IntoIterator<Item = Range<usize>>) -> u32 {
        let first = self.ranges.len();
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            let [start, end] = [range.start, range.end].map(|key| key as u32);
            match self.ranges[first..].last_mut() {
                Some(last) if last[1] >= start => last[1] = last[1].max(end),
                _ => self.ranges.push([start, end]),
            }
        }
        self.ends.push(self.ranges.len());
        (self.ends.len() - 1) as u32
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds all lists of another.
    pub fn append(&mut self, other: &KeyLists) {
        let before = self.ranges.len();
        self.ends.extend(other.ends.iter().map(|end| before + end));
        self.ranges.extend(&other.ranges);
    }

    /// The parts of a list's ranges that lie within `keys`.
    fn within(&self, list: u32, keys: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let list = list as usize;
        let first = list.checked_sub(1).map_or(0, |before| self.ends[before]);
        let ranges = &self.ranges[first..self.ends[list]];
        let skipped = ranges.partition_point(|range| range[1] as usize <= keys.start);
        ranges[skipped..]
            .iter()
            .map(move |range| (range[0] as usize).max(keys.start)..(range[1] as usize).min(keys.end))
            .take_while(|range| !range.is_empty())
    }
}

impl Chosen {
    /// The list of each row, one key head after another, or of one head if all choose alike.
    pub fn new(rows: usize, list_of: Vec<u32>, lists: KeyLists) -> Chosen {
        debug_assert!(rows > 0 && list_of.len().is_multiple_of(rows) && !list_of.is_empty());
        debug_assert!(list_of.iter().all(|&list| (list as usize) < lists.len()));
        Chosen { rows, list_of, lists }
    }

    /// The list of a row of a key head.
    fn list(&self, key_head: usize, row: usize) -> u32 {
        let heads = self.list_of.len() / self.rows;
        self.list_of[key_head.min(heads - 1) * self.rows + row]
    }

    /// The chosen keys of a row that lie within `keys`.
    pub fn within(
        &self,
        key_head: usize,
        row: usize,
        keys: Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> {
        self.lists.within(self.list(key_head, row), keys)
    }
}

impl Sight {
    /// What rows of a key head see of the zone whose keys are chosen: each key that a row sees there is in one group
    /// with that row.
    pub fn groups(&self, key_head: usize, rows: Range<usize>) -> Vec<Group> {
        let Some((zone, chosen)) = self.choice() else { return Vec::new() };
        let met = self.keys(zone, rows.start).start..self.keys(zone, rows.end - 1).end;
        let rows = rows.filter(|&row| !self.keys(zone, row).is_empty());
        let of_lists = rows_of_lists(rows.map(|row| (row, chosen.list(key_head, row))));
        let pieces = Pieces::of(met, of_lists.iter().map(|(list, _)| *list), &chosen.lists);
        let mut groups: Vec<Group> = Vec::new();
        let mut known: HashMap<&[u32], usize> = HashMap::new();
        for (keys, lists) in
            pieces.starts.iter().zip(pieces.ends()).map(|(&start, end)| start..end).zip(&pieces.lists)
        {
            if lists.is_empty() {
                continue;
            }
            let group = *known.entry(lists).or_insert_with(|| {
                let mut rows: Vec<usize> =
                    lists.iter().flat_map(|&list| &of_lists[list as usize].1).copied().collect();
                rows.sort_unstable();
                groups.push(Group { rows, keys: Vec::new() });
                groups.len() - 1
            });
            groups[group].keys.push(keys);
        }
        groups
    }
}

/// The rows of each list, lists in the order of their first rows.
fn rows_of_lists(rows: impl Iterator<Item = (usize, u32)>) -> Vec<(u32, Vec<usize>)> {
    let mut all: Vec<(u32, Vec<usize>)> = Vec::new();
    let mut places: HashMap<u32, usize> = HashMap::new();
    for (row, list) in rows {
        let place = *places.entry(list).or_insert_with(|| {
            all.push((list, Vec::new()));
            all.len() - 1
        });
        all[place].1.push(row);
    }
    all
}

/// The keys of several lists, cut wherever a list begins or ends a range.
struct Pieces {
    starts: Vec<usize>,
    end: usize,
    /// The lists that hold each piece, by their place among those that were given.
    lists: Vec<Vec<u32>>,
}

impl Pieces {
    fn of(met: Range<usize>, lists: impl Iterator<Item = u32> + Clone, all: &KeyLists) -> Pieces {
        // A bit for each key at which a piece begins.
        let mut edges = vec![0u64; met.len() / 64 + 1];
        let mut mark = |key: usize| edges[(key - met.start) / 64] |= 1 << ((key - met.start) % 64);
        mark(met.start);
        for range in lists.clone().flat_map(|list| all.within(list, met.clone())) {
            mark(range.start);
            mark(range.end);
        }
        let before: Vec<usize> = edges
            .iter()
            .scan(0, |sum, word| {
                let before = *sum;
                *sum += word.count_ones() as usize;
                Some(before)
            })
            .collect();
        // How many pieces begin before a key.
        let number = |key: usize| {
            let (word, bit) = ((key - met.start) / 64, (key - met.start) % 64);
            before[word] + (edges[word] & ((1 << bit) - 1)).count_ones() as usize
        };
        let starts: Vec<usize> = met
            .clone()
            .filter(|key| edges[(key - met.start) / 64] >> ((key - met.start) % 64) & 1 == 1)
            .collect();
        let mut of_pieces = vec![Vec::new(); starts.len()];
        for (place, list) in (0..).zip(lists) {
            for range in all.within(list, met.clone()) {
                of_pieces[number(range.start)..number(range.end)]
                    .iter_mut()
                    .for_each(|lists| lists.push(place));
            }
        }
        Pieces { starts, end: met.end, lists: of_pieces }
    }

    fn ends(&self) -> impl Iterator<Item = usize> {
        self.starts.iter().skip(1).copied().chain([self.end])
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of ranges of keys")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Turn;

    const LENGTH: usize = 90;

    /// Two sinks, a zone of which some keys are chosen, and a window of 9; two key heads.
    fn sights() -> impl Strategy<Value = Sight> {
        let list = prop::collection::vec((0..LENGTH, 0usize..12), 0..6);
        let lists = prop::collection::vec(list, 1..7);
        (lists, prop::collection::vec(any::<prop::sample::Index>(), 2 * LENGTH)).prop_map(
            |(lists, choice)| {
                let mut all = KeyLists::default();
                for mut list in lists {
                    list.sort_unstable();
                    all.push(list.into_iter().map(|(start, count)| start..start + count));
                }
                let list_of = choice.iter().map(|index| index.index(all.len()) as u32).collect();
                plain().with_choice(Chosen::new(LENGTH, list_of, all).into())
            },
        )
    }

    fn plain() -> Sight {
        let turn = |n: usize| Turn { query: n, key: n };
        let near = |i: usize| (i + 1).saturating_sub(9);
        let border = |first: &dyn Fn(usize) -> usize| ((0..LENGTH).map(first).collect(), first(LENGTH - 1));
        let (chosen, window) = (border(&|i| near(i).min(2)), border(&near));
        Sight::new(0..LENGTH, LENGTH)
            .with_zone(vec![0; LENGTH], 0, Some(turn(1)))
            .with_chosen_zone(chosen.0, chosen.1, turn(1))
            .with_zone(window.0, window.1, Some(turn(0)))
    }

    proptest! {
        #[test]
        fn groups_hold_what_is_chosen_once(sight in sights(), start in 0..LENGTH, count in 1usize..50, head in 0usize..2) {
            let rows = start..(start + count).min(LENGTH);
            let (zone, chosen) = sight.choice().unwrap();
            let groups = sight.groups(head, rows.clone());
            for row in rows.clone() {
                let mut seen = vec![0; LENGTH];
                for group in groups.iter().filter(|group| group.rows.contains(&row)) {
                    group.keys.iter().flat_map(Clone::clone).for_each(|key| seen[key] += 1);
                }
                let own = sight.keys(zone, row);
                for key in own.clone() {
                    let expected = chosen.within(head, row, own.clone()).any(|range| range.contains(&key));
                    prop_assert_eq!(seen[key], usize::from(expected), "row {}, key {}", row, key);
                }
            }
            prop_assert!(groups.iter().all(|group| group.rows.is_sorted() && !group.keys.is_empty()));
        }

        #[test]
        fn seen_keys_are_counted(sight in sights()) {
            let count: usize = (0..2).map(|head| {
                let seen = |row: usize, key: usize| {
                    let zone = (0..sight.zones()).rev().find(|&zone| sight.borders(zone)[row] <= key).unwrap();
                    sight.is_open(zone) || sight.groups(head, row..row + 1).iter().any(|group| group.keys.iter().any(|keys| keys.contains(&key)))
                };
                (10..70).map(|row| (0..=row).filter(|&key| seen(row, key)).count()).sum::<usize>()
            }).sum();
            prop_assert_eq!(sight.seen(2, 10..70), count as u64);
        }
    }

    /// A window of the model's own hides chosen keys as any.
    #[test]
    fn a_window_goes_over_what_is_chosen() {
        let mut lists = KeyLists::default();
        lists.push([0..LENGTH]);
        let sight = plain().with_choice(Chosen::new(LENGTH, vec![0; LENGTH], lists).into());
        let within = sight.within(20);
        let keys = |sight: &Sight| -> Vec<Range<usize>> {
            sight.groups(0, 80..81).into_iter().flat_map(|group| group.keys).collect()
        };
        assert_eq!((keys(&sight), keys(&within)), (vec![2..72], vec![61..72]));
        assert_eq!(within.seen(1, 80..81), 20);
        assert_eq!(within.lost(80), 0..0, "what was chosen from is kept");
    }
}
