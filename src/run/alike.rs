//! Samples whose prompts begin alike: questions on one repository, or one question in several orders of its options. They
//! are run one after another, so that what they share is read once.

use std::collections::HashMap;

use super::{WorkSample, kept};
use crate::config::EncodingEntry;
use crate::model::prefix::shared_tokens;
use crate::structure::Layout;
use crate::task::Ask;

/// Tokens that prompts must share for their samples to leave their order.
const LEAST: usize = 256;

/// What a sample shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alike {
    /// The number of its set; sets of a task are numbered from 0.
    pub(crate) set: usize,
    /// By encoding: first tokens that all prompts of the set share.
    pub(crate) tokens: HashMap<String, usize>,
}

/// Finds the samples of a task that begin alike. `rows`: the encodings under which they can share what was read.
pub(super) fn find(samples: &mut [WorkSample], ask: Ask, rows: &[&EncodingEntry]) {
    let Ask::Generate(_) = ask else { return };
    if rows.is_empty() {
        return;
    }
    for (set, members) in sets(samples).into_iter().enumerate() {
        let of_row = |row: &&EncodingEntry| (row.name.clone(), shared(samples, &members, ask, row));
        let tokens: HashMap<String, usize> = rows.iter().map(of_row).collect();
        if tokens.values().all(|&tokens| tokens == 0) {
            continue;
        }
        for &member in &members {
            samples[member].alike = Some(Alike { set, tokens: tokens.clone() });
        }
    }
}

/// Samples that share half of a prompt with the next one in the order of their tokens, and samples that are asked
/// otherwise too.
fn sets(samples: &[WorkSample]) -> Vec<Vec<usize>> {
    let ids = |number: usize| &samples[number].sample.tokens.ids[..];
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by(|&a, &b| ids(a).cmp(ids(b)));
    let mut sets: Vec<Vec<usize>> = order
        .chunk_by(|&a, &b| {
            let same = same_tokens(ids(a), ids(b));
            same >= LEAST && 2 * same >= ids(a).len().min(ids(b).len())
        })
        .map(<[usize]>::to_vec)
        .filter(|set| set.len() > 1 || !samples[set[0]].sample.others.is_empty())
        .collect();
    sets.iter_mut().for_each(|set| set.sort_unstable());
    sets.sort();
    sets
}

/// How many first tokens all prompts of a set share under an encoding, with one left to read.
fn shared(samples: &[WorkSample], members: &[usize], ask: Ask, row: &EncodingEntry) -> usize {
    let layout = |one: &WorkSample| {
        let levels = row.spec.units().iter().map(|unit| one.segments[unit].index.clone());
        Layout::from(levels.collect::<Vec<_>>())
    };
    let first = &samples[members[0]];
    let (own, own_layout) = (&first.sample.tokens.ids[..], layout(first));
    let mut shared = own.len();
    for &member in members {
        let one = &samples[member];
        let tokens = &one.sample.tokens.ids[..];
        shared = shared.min(shared_tokens((own, &own_layout), (tokens, &layout(one))));
        let room = ask.room(&one.sample).unwrap_or(0);
        for asked in one.sample.asked() {
            let ids = &asked.tokens.ids[..];
            // What is cut to a context begins elsewhere.
            let is_cut = kept(&row.spec, ids.len(), room) < ids.len();
            shared =
                if is_cut { 0 } else { shared.min(same_tokens(own, ids)).min(ids.len().saturating_sub(1)) };
        }
    }
    if shared < LEAST { 0 } else { shared }
}

fn same_tokens(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Samples in the order in which they run: `together` at a time, and those that begin alike one after another.
pub(super) fn in_order(samples: &[WorkSample], together: usize) -> Vec<Vec<&WorkSample>> {
    let (mut order, mut single): (Vec<Vec<&WorkSample>>, Vec<&WorkSample>) = Default::default();
    let set = |one: &WorkSample| one.alike.as_ref().map(|alike| alike.set);
    for (number, one) in samples.iter().enumerate() {
        let of_set =
            samples.iter().enumerate().filter(|(_, other)| set(one).is_some() && set(other) == set(one));
        match of_set.collect::<Vec<_>>()[..] {
            [] | [_] => single.push(one),
            [(first, _), ..] if first < number => {}
            ref members => order.push(members.iter().map(|(_, other)| *other).collect()),
        }
        if single.len() == together {
            order.push(std::mem::take(&mut single));
        }
    }
    order.extend(Some(single).filter(|single| !single.is_empty()));
    order
}

impl Alike {
    /// The share of the set's prompts that read what they share again, if the first of them reads it: 0 for one alone.
    pub(super) fn spared(&self, samples: &[WorkSample]) -> f64 {
        let members =
            samples.iter().filter(|one| one.alike.as_ref().is_some_and(|alike| alike.set == self.set));
        let prompts: usize = members.map(|one| one.sample.asked().count()).sum();
        1.0 - 1.0 / prompts.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::EncodingSpec;
    use crate::structure::{Segments, Unit};
    use crate::task::Sample;
    use crate::text::{Limits, Tokens};

    /// A sample whose first tokens are `of`, up to number `shared`, and whose segments begin at `start`.
    fn sample(of: u32, shared: usize, own: u32, start: usize) -> WorkSample {
        let ids: Vec<u32> = (0..400).map(|at| if at < shared { of } else { own }).collect();
        let tokens = Tokens { offsets: vec![(0, 0); ids.len()], ids };
        let index = (0..400).map(|at| u32::from(at >= start)).collect();
        let segments = Segments { index, count: 2, unit: Unit::FUNCTION };
        WorkSample {
            sample: Sample { tokens, ..Sample::default() },
            sha256: String::new(),
            segments: [(Unit::FUNCTION, segments)].into(),
            rank: 0,
            alike: None,
        }
    }

    #[test]
    fn samples_that_begin_alike_run_one_after_another() {
        let row = |spec: &str| EncodingEntry::new(spec.into(), EncodingSpec::parse(spec).unwrap());
        let rows = ["rope", "hirope:window=8", "rope:context=64"].map(row);
        let mut samples =
            vec![sample(1, 300, 9, 290), sample(2, 0, 8, 9), sample(1, 350, 7, 280), sample(3, 100, 6, 9)];
        let ask = Ask::Generate(Limits { max_new_tokens: 8, stop: |_| false });
        find(&mut samples, ask, &rows.iter().collect::<Vec<_>>());
        let alike = samples[0].alike.clone().unwrap();
        assert_eq!(rows.map(|row| alike.tokens[&row.name]), [300, 280, 0]);
        assert_eq!(samples[2].alike, samples[0].alike);
        assert_eq!((&samples[1].alike, &samples[3].alike, alike.spared(&samples)), (&None, &None, 0.5));
        let order = in_order(&samples, 2);
        let first =
            |set: &[&WorkSample]| set.iter().map(|one| one.sample.tokens.ids[399]).collect::<Vec<_>>();
        assert_eq!(order.iter().map(|set| first(set)).collect::<Vec<_>>(), [vec![9, 7], vec![8, 6]]);
    }
}
