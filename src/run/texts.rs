//! The texts that a run keeps for its reports.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::{Prepared, Work, WorkSample, in_text, sample_segments};
use crate::store::{StoredText, TextOf};
use crate::structure::{Draw, Segments, Unit};
use crate::task::{Sample, Span};

/// Most bytes of a text that are kept.
const LONGEST: usize = 100_000;

/// The texts of the first samples of every bucket of every task, which a report shows whatever comes of them.
pub(super) fn kept(prepared: &Prepared) -> Vec<StoredText> {
    let mut first: Vec<(usize, &Work, &WorkSample)> =
        prepared.work.iter().flat_map(first_of_buckets).collect();
    // As in a report: one of every bucket, then a second one.
    first.sort_by_key(|(number, ..)| *number);
    let mut of_model: HashMap<usize, usize> = HashMap::new();
    let mut known: HashSet<(&str, &str, &str)> = HashSet::new();
    let mut kept = Vec::new();
    for (_, work, one) in first {
        let count = of_model.entry(work.model).or_default();
        let key = (work.task.name.as_str(), one.sample.id.as_str(), one.sha256.as_str());
        if *count < StoredText::OF_A_REPORT && known.insert(key) {
            *count += 1;
            kept.push(of_sample(prepared, work, one));
        }
    }
    kept
}

/// The text of a sample; none if the run does not have it.
pub(super) fn of(prepared: &Prepared, wanted: &TextOf) -> Option<StoredText> {
    let of_task = prepared.work.iter().filter(|work| work.task.name == wanted.task);
    let mut all = of_task.flat_map(|work| work.samples.iter().map(move |one| (work, one)));
    let (work, one) =
        all.find(|(_, one)| (&one.sample.id[..], &one.sha256[..]) == (wanted.sample, wanted.sha256))?;
    Some(of_sample(prepared, work, one))
}

/// A sample's text with its segments by the first unit that an encoding has.
fn of_sample(prepared: &Prepared, work: &Work, one: &WorkSample) -> StoredText {
    let unit = prepared.config.encodings.iter().flat_map(|encoding| encoding.spec.units()).next();
    let unit = unit.copied().unwrap_or(Unit::FUNCTION);
    let draw = Draw { seed: prepared.config.seed, hash: &one.sha256 };
    let segments = one.segments.get(&unit).map_or_else(
        || Cow::Owned(sample_segments(&one.sample, in_text(unit, work.is_prose), draw)),
        Cow::Borrowed,
    );
    stored(&work.task.name, &one.sample, &segments, &one.sha256)
}

/// The first samples of every bucket, each with its number among those that are run here.
fn first_of_buckets<'a>(work: &'a Work) -> Vec<(usize, &'a Work<'a>, &'a WorkSample)> {
    let mut of_bucket: HashMap<Span, usize> = HashMap::new();
    let mut first = Vec::new();
    for one in &work.samples {
        let count = of_bucket.entry(one.sample.bucket).or_default();
        *count += 1;
        if *count <= StoredText::OF_A_BUCKET {
            first.push((*count, work, one));
        }
    }
    first
}

/// A sample's text with the segments of its tokens.
fn stored(task: &str, sample: &Sample, segments: &Segments, sha256: &str) -> StoredText {
    let end = sample.text.floor_char_boundary(LONGEST);
    let firsts = (1..segments.index.len()).filter(|&t| segments.index[t] != segments.index[t - 1]);
    let mut starts: Vec<usize> =
        firsts.map(|t| sample.text.floor_char_boundary(sample.tokens.offsets[t].0)).collect();
    starts.insert(0, 0);
    starts.sort_unstable();
    starts.dedup();
    starts.retain(|start| *start < end || *start == 0);
    StoredText {
        task: task.into(),
        sample: sample.id.clone(),
        sha256: sha256.into(),
        text: sample.text[..end].into(),
        cut: sample.text.len() - end,
        unit: segments.unit,
        starts,
    }
}
