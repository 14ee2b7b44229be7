//! What each query of an attention sees, and how: the plan that every implementation follows.

use std::ops::Range;
use std::sync::Arc;

use super::chosen::Chosen;

/// The zones of some query rows, at positions `first..first + rows` of a sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    first: usize,
    rows: usize,
    /// Final length of the sequence in tokens.
    sequence_length: usize,
    /// Zones in the order of the keys; the last one holds the keys after a row's own token.
    zones: Vec<Zone>,
    /// What is seen of the zone whose keys are chosen.
    chosen: Option<Arc<Chosen>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Zone {
    /// The first key, for each row.
    first: Vec<usize>,
    /// The first key for the last query of the sequence.
    end: usize,
    turn: Option<Turn>,
    /// Whether only those of its keys are seen that were chosen.
    is_chosen: bool,
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
        let first = positions.clone().map(|i| i + 1).collect();
        let later = Zone { first, end: sequence_length, turn: None, is_chosen: false };
        let (first, rows) = (positions.start, positions.len());
        Sight { first, rows, sequence_length, zones: vec![later], chosen: None }
    }

    /// Adds a zone, with its first key for each row and for the last query of the sequence.
    pub fn with_zone(self, first: Vec<usize>, end: usize, turn: Option<Turn>) -> Sight {
        self.with(Zone { first, end, turn, is_chosen: false })
    }

    /// Adds the zone of which only those keys are seen that are chosen ([`Sight::with_choice`]); there is at most one.
    pub fn with_chosen_zone(self, first: Vec<usize>, end: usize, turn: Turn) -> Sight {
        debug_assert!(self.zones.iter().all(|zone| !zone.is_chosen));
        self.with(Zone { first, end, turn: Some(turn), is_chosen: true })
    }

    fn with(mut self, zone: Zone) -> Sight {
        debug_assert!(
            zone.first.len() == self.rows
                && zone.first.is_sorted()
                && zone.first.last().is_none_or(|&key| key <= zone.end)
        );
        let later = self.zones.len() - 1;
        self.zones.insert(later, zone);
        self
    }

    /// The same, with what was chosen for each key head and row.
    pub fn with_choice(&self, chosen: Arc<Chosen>) -> Sight {
        Sight { chosen: Some(chosen), ..self.clone() }
    }

    /// The zone whose keys are chosen, and what was chosen.
    pub fn choice(&self) -> Option<(usize, &Chosen)> {
        let zone = self.zones.iter().position(|zone| zone.is_chosen)?;
        let chosen = self.chosen.as_deref().expect("nothing is computed before keys are chosen");
        Some((zone, chosen))
    }

    /// The zone whose keys are chosen, if there is one.
    pub fn chosen_zone(&self) -> Option<usize> {
        self.zones.iter().position(|zone| zone.is_chosen)
    }

    /// Whether a zone is seen, all of it.
    pub fn is_open(&self, zone: usize) -> bool {
        self.zones[zone].turn.is_some() && !self.zones[zone].is_chosen
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
            ..*zone
        };
        let beyond = Zone { first: vec![0; self.rows], end: 0, turn: None, is_chosen: false };
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

    /// What the rows see of open zones, in the order of the keys: each key that any of them sees there is in one
    /// stretch. What was chosen is in [`Sight::groups`].
    pub fn stretches(&self, rows: Range<usize>) -> Vec<Stretch> {
        // As borders never move back, the rows meet a zone as one range, from the first row's border to the
        // last row's end.
        let last = rows.end - 1;
        let met: Vec<(usize, Range<usize>)> = (0..self.zones.len() - 1)
            .filter(|&zone| self.is_open(zone))
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

    /// How many keys some rows see, summed over as many key heads.
    pub fn seen(&self, key_heads: usize, rows: Range<usize>) -> u64 {
        let open = (0..self.zones.len()).filter(|&zone| self.is_open(zone));
        let of_open: usize =
            open.map(|zone| rows.clone().map(|row| self.keys(zone, row).len()).sum::<usize>()).sum();
        let of_choice = self.choice().map_or(0, |(zone, chosen)| {
            let of_row = |head, row| {
                chosen.within(head, row, self.keys(zone, row)).map(|keys| keys.len()).sum::<usize>()
            };
            (0..key_heads)
                .flat_map(|head| rows.clone().map(move |row| (head, row)))
                .map(|(head, row)| of_row(head, row))
                .sum()
        });
        (key_heads * of_open + of_choice) as u64
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
        // Keys may be chosen wherever they are; whether they are then seen is another question.
        if self.chosen_zone().is_some() {
            return None;
        }
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
