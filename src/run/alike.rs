//! Samples whose prompts begin alike, as questions on one repository do: they are asked after one another, so that their
//! start is read once.

use super::{Work, WorkSample};
use crate::task::{Ask, Sample};

/// Fewest tokens that are worth to be read once for several prompts.
const FEWEST: usize = 64;

/// Samples that are asked after one another, and how many tokens their prompts begin with together.
pub(super) struct Group<'a> {
    pub(super) samples: Vec<&'a WorkSample>,
    /// 0 if it is not worth to read them by themselves.
    pub(super) shared: usize,
}

/// The samples of a task in groups, each group where its first sample is.
pub(super) fn groups<'a>(work: &'a Work) -> Vec<Group<'a>> {
    let generates = matches!(work.task.task.ask(), Ask::Generate(_));
    let mut groups: Vec<Group> = Vec::new();
    for one in &work.samples {
        let is_of = |group: &&mut Group| generates && belongs(&group.samples[0].sample, &one.sample);
        match groups.iter_mut().find(is_of) {
            Some(group) => group.samples.push(one),
            None => groups.push(Group { samples: vec![one], shared: 0 }),
        }
    }
    for group in groups.iter_mut().filter(|_| generates) {
        group.shared = shared(group.samples.iter().flat_map(|one| one.sample.asked()));
    }
    groups
}

/// Whether half of a sample's prompt or more is the start of another's.
fn belongs(sample: &Sample, other: &Sample) -> bool {
    let (one, other) = (&sample.tokens.ids, &other.tokens.ids);
    let same = alike(one, other);
    same >= FEWEST && 2 * same >= one.len().max(other.len())
}

/// How many tokens several prompts begin with together, less than any of them has; 0 of a single prompt, and of too few
/// tokens.
fn shared<'a>(mut samples: impl Iterator<Item = &'a Sample>) -> usize {
    let Some(first) = samples.next().map(|sample| &sample.tokens.ids) else { return 0 };
    let of_others = samples.map(|sample| {
        let ids = &sample.tokens.ids;
        alike(first, ids).min(ids.len().min(first.len()).saturating_sub(1))
    });
    of_others.min().filter(|&count| count >= FEWEST).unwrap_or(0)
}

fn alike(one: &[u32], other: &[u32]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Tokens;

    fn sample(ids: impl Iterator<Item = u32>) -> Sample {
        let ids: Vec<u32> = ids.collect();
        Sample { tokens: Tokens { offsets: vec![(0, 0); ids.len()], ids }, ..Sample::default() }
    }

    #[test]
    fn what_prompts_begin_with_is_less_than_any_of_them() {
        let long = sample(0..300);
        let other = sample((0..200).chain(900..950));
        let start = sample(0..100);
        assert_eq!(shared([&long, &other].into_iter()), 200);
        assert_eq!(shared([&long, &other, &start].into_iter()), 99);
        assert_eq!(shared([&long].into_iter()), 0);
        assert_eq!(shared([&long, &sample(0..40)].into_iter()), 0, "too few");
        assert!(belongs(&long, &other) && !belongs(&long, &start));
        assert!(!belongs(&long, &sample(5..300)));
    }
}
