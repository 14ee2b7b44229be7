//! How a search proceeds: rungs of fewer and fewer rows on more and more documents.

use std::collections::BTreeMap;

use crate::task::{Sample, Span};

/// Rows that the last rung compares: the chosen one and the runner-up.
pub(super) const LAST: usize = 2;

/// A step of successive halving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rung {
    /// Rows that are compared.
    pub(super) rows: usize,
    /// Documents that they are compared on, including those of earlier rungs.
    pub(super) documents: usize,
}

/// The rungs of a search of `rows` rows (at least [`LAST`]) on `documents` documents of `buckets` buckets
/// (successive halving, Karnin et al. 2013; Jamieson and Talwalkar 2016): each keeps one row of `factor`, and
/// takes `factor` times the documents, as many of each bucket; the last takes all. Earlier measurements of a
/// row still count, so that the rungs cost about the same each.
pub(super) fn rungs(rows: usize, documents: usize, buckets: usize, factor: usize) -> Vec<Rung> {
    let mut compared = vec![rows];
    let mut left = rows;
    while left > LAST {
        left = left.div_ceil(factor).max(LAST);
        compared.push(left);
    }
    let mut rungs: Vec<Rung> = compared
        .iter()
        .enumerate()
        .map(|(number, &rows)| {
            let above = u32::try_from(compared.len() - 1 - number).unwrap_or(u32::MAX);
            let share = documents.div_ceil(factor.saturating_pow(above).max(1));
            Rung { rows, documents: share.next_multiple_of(buckets.max(1)).min(documents) }
        })
        .collect();
    // On the same documents a rung would only repeat the one before.
    rungs.dedup_by_key(|rung| rung.documents);
    rungs
}

/// Numbers of the samples to choose by, and of those with no part in the choice: the last `check` of each
/// bucket. The former are in the order in which a run takes them; the latter bucket by bucket.
pub(super) fn divide<'a>(
    samples: impl Iterator<Item = &'a Sample>,
    check: usize,
) -> (Vec<usize>, BTreeMap<Span, Vec<usize>>) {
    let mut buckets: BTreeMap<Span, Vec<usize>> = BTreeMap::new();
    for (number, sample) in samples.enumerate() {
        buckets.entry(sample.bucket).or_default().push(number);
    }
    let split = |bucket: &mut Vec<usize>| bucket.split_off(bucket.len().saturating_sub(check));
    let unseen = buckets.iter_mut().map(|(&span, bucket)| (span, split(bucket))).collect();
    let mut choose: Vec<usize> = buckets.into_values().flatten().collect();
    choose.sort_unstable();
    (choose, unseen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: usize, documents: usize, buckets: usize, factor: usize) -> Vec<(usize, usize)> {
        rungs(rows, documents, buckets, factor).into_iter().map(|rung| (rung.rows, rung.documents)).collect()
    }

    #[test]
    fn fewer_rows_on_more_documents() {
        assert_eq!(of(24, 16, 1, 2), [(24, 1), (12, 2), (6, 4), (3, 8), (2, 16)]);
        assert_eq!(of(24, 16, 2, 2), [(24, 2), (6, 4), (3, 8), (2, 16)]);
        assert_eq!(of(27, 18, 2, 3), [(27, 2), (3, 6), (2, 18)]);
        assert_eq!(of(2, 5, 2, 2), [(2, 5)]);
        assert_eq!(of(3, 1, 1, 2), [(3, 1)]);
        assert_eq!(of(5, 3, 2, usize::MAX), [(5, 2), (2, 3)]);
    }

    #[test]
    fn the_last_of_each_bucket_check() {
        let bucket = |from| Span { from, to: from + 1 };
        let samples: Vec<Sample> =
            [0, 1, 0, 1, 0].map(|n| Sample { bucket: bucket(n), ..Sample::default() }).into();
        let (choose, unseen) = divide(samples.iter(), 1);
        assert_eq!(choose, [0, 1, 2]);
        assert_eq!(unseen, [(bucket(0), vec![4]), (bucket(1), vec![3])].into());
        assert!(divide(samples.iter(), 9).0.is_empty());
    }
}
