//! The texts that a run keeps for its reports.

use std::collections::{HashMap, HashSet};

use super::{Prepared, WorkSample, sample_segments};
use crate::store::StoredText;
use crate::structure::{Draw, Unit};
use crate::task::{Sample, Span};

/// Most samples whose text is kept: of a model, task and bucket, and of a model in all.
const OF_A_BUCKET: usize = 2;
const OF_A_MODEL: usize = 40;

/// Most bytes of a text that are kept.
const LONGEST: usize = 100_000;

/// The texts of the first samples of every bucket of every task, which are those that a report shows.
pub(super) fn kept(prepared: &Prepared) -> Vec<StoredText> {
    let unit = prepared.config.encodings.iter().flat_map(|encoding| encoding.spec.units()).next();
    let unit = unit.copied().unwrap_or(Unit::FUNCTION);
    let mut of_model: HashMap<usize, usize> = HashMap::new();
    let mut known: HashSet<(&str, &str, &str)> = HashSet::new();
    let mut kept = Vec::new();
    for work in &prepared.work {
        let count = of_model.entry(work.model).or_default();
        for one in first_of_buckets(&work.samples) {
            let id = one.sample.id.as_str();
            if *count < OF_A_MODEL && known.insert((&work.task.name, id, &one.sha256)) {
                *count += 1;
                let draw = Draw { seed: prepared.config.seed, hash: &one.sha256 };
                kept.push(stored(&work.task.name, &one.sample, unit, draw));
            }
        }
    }
    kept
}

fn first_of_buckets(samples: &[WorkSample]) -> impl Iterator<Item = &WorkSample> {
    let mut of_bucket: HashMap<Span, usize> = HashMap::new();
    samples.iter().filter(move |one| {
        let count = of_bucket.entry(one.sample.bucket).or_default();
        *count += 1;
        *count <= OF_A_BUCKET
    })
}

/// A sample's text with the segments of its tokens.
fn stored(task: &str, sample: &Sample, unit: Unit, draw: Draw) -> StoredText {
    let end = sample.text.floor_char_boundary(LONGEST);
    let segments = sample_segments(sample, unit, draw);
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
        sha256: draw.hash.into(),
        text: sample.text[..end].into(),
        cut: sample.text.len() - end,
        unit: segments.unit,
        starts,
    }
}
