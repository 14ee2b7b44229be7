//! Samples of records drawn in an order that the seed decides.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{LeftOut, Sample, sift};
use crate::dataset::{Dataset, Record};
use longcode_base::error::Result;

/// Records looked at side by side: some more than are wanted may be.
const TOGETHER: usize = 64;

/// What was drawn.
pub(super) struct Drawn {
    pub samples: Vec<Sample>,
    pub left_out: Vec<LeftOut>,
}

/// Up to `wanted` samples, of records in random order; `make` gives none for a record that is not asked for, and an
/// error for one that is wrong.
///
/// # Errors
/// As [`Dataset::whole_records`].
pub(super) fn draw(
    dataset: &Dataset,
    seed: u64,
    wanted: usize,
    make: impl Fn(&Record) -> Result<Option<Sample>> + Sync,
) -> Result<Drawn> {
    let (mut records, refused) = dataset.whole_records()?;
    let mut left_out: Vec<LeftOut> = refused.into_iter().map(LeftOut::from).collect();
    records.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut samples = Vec::new();
    for some in records.chunks(TOGETHER) {
        if samples.len() >= wanted {
            break;
        }
        let made: Vec<_> = some.par_iter().map(&make).collect();
        samples.extend(sift(made, &mut left_out).into_iter().flatten());
    }
    samples.truncate(wanted);
    Ok(Drawn { samples, left_out })
}
