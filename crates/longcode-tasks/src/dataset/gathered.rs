//! The records of a data set while they are read, limited to what a data set may take.

use std::path::Path;

use super::record::Record;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::limits;

/// Records so far.
#[derive(Debug)]
pub(super) struct Gathered {
    /// In file order: each record, or what is wrong with it.
    pub records: Vec<Result<Record>>,
    bytes: usize,
    most: usize,
}

/// How much had been gathered at some point.
#[derive(Debug, Clone, Copy)]
pub(super) struct SoFar {
    records: usize,
    bytes: usize,
}

impl Default for Gathered {
    fn default() -> Gathered {
        Gathered::up_to(limits::DATA_BYTES)
    }
}

impl Gathered {
    /// No records yet, and a limit in bytes.
    pub(super) fn up_to(most: usize) -> Gathered {
        Gathered { records: Vec::new(), bytes: 0, most }
    }

    /// Takes the next record of a file, given the bytes of its fields.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] if all together take more than a data set may.
    pub(super) fn take(&mut self, record: Result<Record>, bytes: usize, file: &Path) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(limits::RECORD_COST);
        if self.bytes > self.most {
            return Err(too_much(self.records.len(), self.most).in_file(file));
        }
        self.records.push(record);
        Ok(())
    }

    /// The state so far, to go back to.
    pub(super) fn so_far(&self) -> SoFar {
        SoFar { records: self.records.len(), bytes: self.bytes }
    }

    /// Forgets what was taken since then.
    pub(super) fn go_back(&mut self, to: SoFar) {
        self.records.truncate(to.records);
        self.bytes = to.bytes;
    }

    /// Whether this many records with this many bytes together would still be taken.
    ///
    /// # Errors
    /// As [`Gathered::take`].
    pub(super) fn check_room(&self, records: usize, bytes: usize, file: &Path) -> Result<()> {
        let cost = records.saturating_mul(limits::RECORD_COST).saturating_add(bytes);
        if self.bytes.saturating_add(cost) <= self.most {
            Ok(())
        } else {
            Err(too_much(self.records.len() + records, self.most).in_file(file))
        }
    }
}

fn too_much(records: usize, most: usize) -> Error {
    let what = format!("{records} records of the data set take more than {most} bytes");
    Error::new(ErrorKind::Dataset, what).fix(
        "take a part of the data, or name under [fields] of a manifest only what the task asks for; SECURITY.md \
         lists the limits",
    )
}
