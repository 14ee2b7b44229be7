//! Samples of records, or of parts of them, drawn in an order that the seed decides.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{LeftOut, Sample, Selection, fewer_than_asked, keep_ok, with_left_out};
use crate::dataset::{Dataset, Record};
use longcode_base::error::{Error, ErrorKind, Result};

/// Records processed in parallel: some more than are wanted may be.
const TOGETHER: usize = 64;

/// How many samples are wanted, and what to say if there are fewer.
pub(super) struct Wanted {
    /// Number of samples.
    pub count: usize,
    /// What they are called, such as "records".
    pub name: &'static str,
    /// What is missing if there are none, such as "no record whose prompt is in a bucket".
    pub none: String,
    /// What to do then.
    pub fix: &'static str,
}

impl Wanted {
    /// Records whose prompts fall into buckets.
    pub(super) fn records_in_buckets(count: usize, fix: &'static str) -> Wanted {
        Wanted { count, name: "records", none: "no record whose prompt is in a bucket".into(), fix }
    }

    fn selection(self, samples: Vec<Sample>, left_out: Vec<LeftOut>, dataset: &Dataset) -> Result<Selection> {
        if samples.is_empty() {
            return Err(Error::new(ErrorKind::Dataset, with_left_out(self.none, &left_out))
                .in_file(&dataset.path)
                .fix(self.fix));
        }
        let fewer = fewer_than_asked("all", samples.len(), self.count, self.name);
        Ok(Selection { samples, left_out, notes: fewer.into_iter().collect() })
    }
}

/// Up to the wanted number of samples, from records in random order; `make` gives none for a record that is
/// not to be asked, and an error for one that is wrong.
///
/// # Errors
/// As [`Dataset::whole_records`]; [`ErrorKind::Dataset`] if there is no sample at all.
pub(super) fn draw(
    dataset: &Dataset,
    seed: u64,
    wanted: Wanted,
    make: impl Fn(&Record) -> Result<Option<Sample>> + Sync,
) -> Result<Selection> {
    let (mut records, mut left_out) = whole_records(dataset)?;
    shuffle(&mut records, seed);
    let mut samples = Vec::new();
    for some in records.chunks(TOGETHER) {
        if samples.len() >= wanted.count {
            break;
        }
        let made: Vec<_> = some.par_iter().map(&make).collect();
        samples.extend(keep_ok(made, &mut left_out).into_iter().flatten());
    }
    samples.truncate(wanted.count);
    wanted.selection(samples, left_out, dataset)
}

/// Up to the wanted number of samples, from the parts of all records in random order. `read` turns a record
/// into something with a number of parts, and `make` makes a sample from it and a part's number.
///
/// # Errors
/// As [`draw`].
pub(super) fn draw_parts<T: Sync>(
    dataset: &Dataset,
    seed: u64,
    wanted: Wanted,
    read: fn(&Record) -> Result<T>,
    parts: fn(&T) -> usize,
    make: impl Fn(&T, usize) -> Result<Sample> + Sync,
) -> Result<Selection> {
    let (records, mut left_out) = whole_records(dataset)?;
    let wholes = keep_ok(records.iter().map(read), &mut left_out);
    let mut drawn: Vec<(&T, usize)> =
        wholes.iter().flat_map(|whole| (0..parts(whole)).map(move |number| (whole, number))).collect();
    shuffle(&mut drawn, seed);
    drawn.truncate(wanted.count);
    let made: Vec<_> = drawn.into_par_iter().map(|(whole, number)| make(whole, number)).collect();
    let samples = keep_ok(made, &mut left_out);
    wanted.selection(samples, left_out, dataset)
}

/// The records of a data set, and those that cannot be read.
///
/// # Errors
/// As [`Dataset::whole_records`].
pub(super) fn whole_records(dataset: &Dataset) -> Result<(Vec<Record>, Vec<LeftOut>)> {
    let (records, refused) = dataset.whole_records()?;
    Ok((records, refused.into_iter().map(LeftOut::from).collect()))
}

/// Puts things into an order that the seed decides.
pub(super) fn shuffle<T>(things: &mut [T], seed: u64) {
    things.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
}
