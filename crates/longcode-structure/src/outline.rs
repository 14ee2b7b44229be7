//! The boundaries that a unit puts into one file.

use std::ops::Range;

use super::RegionKind;

/// A boundary, and what the region that begins there is.
#[derive(Debug, Clone)]
pub(super) struct Boundary {
    /// Byte offset in the file.
    pub at: usize,
    pub kind: RegionKind,
    pub name: Option<String>,
}

/// How one file is divided.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Boundaries in the order of the text.
    pub boundaries: Vec<Boundary>,
    /// The comments, in the order of the text.
    pub comments: Vec<Range<usize>>,
    /// Whether there is any unit.
    pub found: bool,
}

impl Outline {
    /// Adds a boundary that begins a unit.
    pub(crate) fn begin_unit(&mut self, at: usize, kind: RegionKind, name: Option<String>) {
        self.boundaries.push(Boundary { at, kind, name });
        self.found = true;
    }
}
