//! What each query of an attention sees, and how: the plan that every implementation follows.

use std::ops::Range;

/// The zones of some query rows, at positions `first..first + rows` of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    first: usize,
    rows: usize,
    /// Final length of the sequence in tokens.
    sequence_length: usize,
    /// Zones in the order of the keys; the last one holds the keys after a row's own token.
    zones: Vec<Zone>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Zone {
    /// The first key, for each row.
    first: Vec<usize>,
    /// The first key for the last query of the sequence.
    end: usize,
    turn: Option<Turn>,
}

/// Which of an attention's rotated queries and keys meet in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Its number among the queries.
    pub query: usize,
    /// Its number among the keys.
    pub key: usize,
}

/// Consecutive keys that some rows see in the same zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Positions; not empty.
    pub keys: Range<usize>,
    /// The zones in which rows see them, at least one. Rows may also not see some of the keys.
    pub zones: Vec<usize>,
}

impl Sight {
    /// No zones yet, so nothing is seen; [`Sight::with_zone`] adds them in the order of the keys.
    pub fn new(positions: Range<usize>, sequence_length: usize) -> Sight {
        let later =
            Zone { first: positions.clone().map(|i| i + 1).collect(), end: sequence_length, turn: None };
        Sight { first: positions.start, rows: positions.len(), sequence_length, zones: vec![later] }
    }

    /// Adds a zone, with its first key for each row and for the last query of the sequence.
    pub fn with_zone(mut self, first: Vec<usize>, end: usize, turn: Option<Turn>) -> Sight {
        debug_assert!(
            first.len() == self.rows && first.is_sorted() && first.last().is_none_or(|&key| key <= end)
        );
        let later = self.zones.len() - 1;
        self.zones.insert(later, Zone { first, end, turn });
        self
    }

    /// The same, without the keys that are `window` or more tokens back.
    pub fn within(&self, window: usize) -> Sight {
        // The first key that a row has within the window, which includes its own.
        let bound = |position: usize| (position + 1).saturating_sub(window);
        let clip = |zone: &Zone| Zone {
            first: zone
                .first
                .iter()
                .enumerate()
                .map(|(row, &key)| key.max(bound(self.first + row)))
                .collect(),
            end: zone.end.max(bound(self.sequence_length.saturating_sub(1))),
            turn: zone.turn,
        };
        let beyond = Zone { first: vec![0; self.rows], end: 0, turn: None };
        let zones = std::iter::once(beyond).chain(self.zones.iter().map(clip)).collect();
        Sight { zones, ..self.clone() }
    }

    /// Position of the first row.
    pub fn first(&self) -> usize {
        self.first
    }

    /// How many query rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Final length of the sequence in tokens.
    pub fn sequence_length(&self) -> usize {
        self.sequence_length
    }

    /// How many zones there are, including unseen ones; the last one holds the keys after a row's own token.
    pub fn zones(&self) -> usize {
        self.zones.len()
    }

    /// How queries and keys turn in a zone; none if it is not seen.
    pub fn turn(&self, zone: usize) -> Option<Turn> {
        self.zones[zone].turn
    }

    /// The first key of a zone for each row.
    pub fn borders(&self, zone: usize) -> &[usize] {
        &self.zones[zone].first
    }

    /// The keys of a row in a zone. The last zone has no end.
    pub fn keys(&self, zone: usize, row: usize) -> Range<usize> {
        self.zones[zone].first[row]..self.zones.get(zone + 1).map_or(usize::MAX, |next| next.first[row])
    }

    /// What the rows see, in the order of the keys: each key that any of them sees is in one stretch.
    pub fn stretches(&self, rows: Range<usize>) -> Vec<Stretch> {
        // As borders never move back, the rows meet a zone as one range, from the first row's border to the
        // last row's end.
        let last = rows.end - 1;
        let met: Vec<(usize, Range<usize>)> = (0..self.zones.len() - 1)
            .filter(|&zone| self.zones[zone].turn.is_some())
            .filter(|&zone| rows.clone().any(|row| !self.keys(zone, row).is_empty()))
            .map(|zone| (zone, self.keys(zone, rows.start).start..self.keys(zone, last).end))
            .collect();
        let mut edges: Vec<usize> = met.iter().flat_map(|(_, keys)| [keys.start, keys.end]).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
            .windows(2)
            .filter_map(|edge| {
                let keys = edge[0]..edge[1];
                let seen = met.iter().filter(|(_, met)| met.start <= keys.start && keys.end <= met.end);
                let zones: Vec<usize> = seen.map(|(zone, _)| *zone).collect();
                Some(Stretch { keys, zones }).filter(|stretch| !stretch.zones.is_empty())
            })
            .collect()
    }

    /// Whether all these keys are in the zone for each of the rows.
    pub fn all_in(&self, zone: usize, rows: &Range<usize>, keys: &Range<usize>) -> bool {
        self.keys(zone, rows.end - 1).start <= keys.start && keys.end <= self.keys(zone, rows.start).end
    }

    /// Keys that neither this row nor any later query of the sequence sees, so that they need not be kept:
    /// one range, which starts at the same key for every row of the sequence.
    pub fn lost(&self, row: usize) -> Range<usize> {
        let lost = self.widest_unseen().map_or(0..0, |[zone, next]| zone.end..next.first[row]);
        if lost.is_empty() { 0..0 } else { lost }
    }

    /// How many keys are [`Sight::lost`] for the last query of the sequence.
    pub fn lost_in_the_end(&self) -> usize {
        self.widest_unseen().map_or(0, |[zone, next]| next.end - zone.end)
    }

    /// The zone that finally hides most keys, and the one after it.
    fn widest_unseen(&self) -> Option<&[Zone; 2]> {
        let unseen = self.zones.array_windows().filter(|[zone, _]| zone.turn.is_none());
        unseen.max_by_key(|[zone, next]| next.end - zone.end)
    }
}

/// The rows of a cache that hold these keys, if those of the positions `lost` are left out.
pub fn rows_of(keys: &Range<usize>, lost: &Range<usize>) -> Range<usize> {
    let left_out = if keys.start >= lost.end { lost.len() } else { 0 };
    keys.start - left_out..keys.end - left_out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Zones with borders that rise in steps, some of them unseen, for the rows from `first` on.
    fn sights() -> impl Strategy<Value = Sight> {
        let zone = (0usize..3, 1usize..20, 0usize..40, any::<bool>());
        let zones = prop::collection::vec(zone, 0..4);
        (1usize..60, 0usize..30, 0usize..20, zones, prop::option::of(1usize..40)).prop_map(
            |(rows, first, more, zones, window)| {
                let positions = first..first + rows;
                let length = positions.end + more;
                // Key 0 begins the first zone; each later border is at or after the one before it.
                let mut border: Box<dyn Fn(usize) -> usize> = Box::new(|_| 0);
                let turn = |n: usize| Some(Turn { query: n, key: n });
                let mut sight = Sight::new(positions.clone(), length);
                sight = sight.with_zone(vec![0; rows], 0, turn(0));
                for (n, (rule, a, b, seen)) in zones.into_iter().enumerate() {
                    let before = border;
                    border = Box::new(move |i: usize| {
                        let next = match rule {
                            0 => (i + 1).saturating_sub(a),
                            1 => i / a * a,
                            _ => (i + 1).saturating_sub(a).min(b),
                        };
                        next.max(before(i)).min(i)
                    });
                    let keys = positions.clone().map(&border).collect();
                    sight = sight.with_zone(keys, border(length - 1), turn(n + 1).filter(|_| seen));
                }
                match window {
                    Some(window) => sight.within(window),
                    None => sight,
                }
            },
        )
    }

    /// The zone that a row sees a key in, from the definition.
    fn seen_in(sight: &Sight, row: usize, key: usize) -> Option<usize> {
        let zone = (0..sight.zones()).rev().find(|&zone| sight.borders(zone)[row] <= key)?;
        sight.turn(zone).map(|_| zone)
    }

    proptest! {
        #[test]
        fn stretches_hold_what_is_seen(sight in sights(), at in 0usize..60, count in 1usize..20) {
            let start = at.min(sight.rows() - 1);
            let rows = start..(start + count).min(sight.rows());
            let stretches = sight.stretches(rows.clone());
            for pair in stretches.windows(2) {
                prop_assert!(pair[0].keys.end <= pair[1].keys.start);
            }
            for stretch in &stretches {
                prop_assert!(!stretch.keys.is_empty() && !stretch.zones.is_empty());
            }
            for row in rows.clone() {
                for key in 0..sight.sequence_length() {
                    let holding = stretches.iter().find(|stretch| stretch.keys.contains(&key));
                    if let Some(zone) = seen_in(&sight, row, key) {
                        prop_assert!(key <= sight.first() + row, "a later key is seen");
                        prop_assert!(holding.is_some_and(|stretch| stretch.zones.contains(&zone)));
                        prop_assert!(sight.keys(zone, row).contains(&key));
                    }
                }
            }
            for stretch in &stretches {
                for &zone in &stretch.zones {
                    let all = rows.clone().all(|row| {
                        stretch.keys.clone().all(|key| seen_in(&sight, row, key) == Some(zone))
                    });
                    prop_assert_eq!(sight.all_in(zone, &rows, &stretch.keys), all);
                }
            }
        }

        #[test]
        fn nobody_sees_what_is_lost(sight in sights()) {
            let mut before = 0..0;
            for row in 0..sight.rows() {
                let lost = sight.lost(row);
                prop_assert!(before.is_empty() || (lost.start == before.start && lost.end >= before.end));
                for later in row..sight.rows() {
                    prop_assert!(lost.clone().all(|key| seen_in(&sight, later, key).is_none()));
                }
                prop_assert!(lost.len() <= sight.lost_in_the_end());
                before = lost;
            }
        }
    }

    /// A window after sinks: the keys between them are in no stretch, however long the sequence.
    #[test]
    fn what_is_not_seen_costs_nothing() {
        let (length, window, sinks) = (100_000, 64, 4);
        let near = |i: usize| (i + 1).saturating_sub(window);
        let turn = |n: usize| Some(Turn { query: n, key: n });
        let zone = |first: &dyn Fn(usize) -> usize| ((0..length).map(first).collect(), first(length - 1));
        let mut sight = Sight::new(0..length, length).with_zone(vec![0; length], 0, turn(1));
        for (border, turn) in [(zone(&|i| near(i).min(sinks)), None), (zone(&near), turn(0))] {
            sight = sight.with_zone(border.0, border.1, turn);
        }
        let keys: usize = sight.stretches(99_900..100_000).iter().map(|stretch| stretch.keys.len()).sum();
        assert_eq!(keys, sinks + window + 99);
        assert_eq!(sight.lost(99_999), sinks..near(99_999));
    }
}
