//! Where a tensor's bytes are: in a file mapped from disk, or in memory.

use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use super::fault::{self, Watch};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::{open, unreadable};

/// Bytes with shared ownership.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// A part of a mapped file.
    Mapped(Arc<Mapped>, Range<usize>),
    /// In memory.
    Owned(Arc<[u8]>),
}

impl Bytes {
    /// A part of them: in place in a mapped file, otherwise copied.
    pub fn part(&self, range: Range<usize>) -> Bytes {
        match self {
            Bytes::Mapped(file, whole) => {
                let range = whole.start + range.start..whole.start + range.end;
                assert!(range.end <= whole.end, "a part is inside");
                Bytes::Mapped(file.clone(), range)
            }
            whole if range == (0..whole.len()) => whole.clone(),
            Bytes::Owned(bytes) => Bytes::Owned(bytes[range].into()),
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(file, range) => &file[range.clone()],
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// A file mapped from disk.
#[derive(Debug)]
pub struct Mapped {
    path: PathBuf,
    // Dropped before the map, so that no other map takes its place while it is watched.
    _watch: Watch,
    map: Mmap,
}

impl Mapped {
    /// Maps a file, for reading only.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming a file that cannot be read.
    pub fn open(path: &Path) -> Result<Arc<Mapped>> {
        let unreadable = |e: std::io::Error| unreadable(path, ErrorKind::Model, &e);
        let file = open(path).map_err(unreadable)?;
        // SAFETY: the map is read only. If another program writes the file while it is read, the numbers are
        // wrong; a file that is cut short is watched for.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        Ok(Arc::new(Mapped { path: path.to_path_buf(), _watch: Watch::new(path, file, &map), map }))
    }

    /// Refuses a result for which a mapped file was read that was cut short meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the file.
    pub fn check_whole() -> Result<()> {
        match fault::lost() {
            None => Ok(()),
            Some(path) => Err(Error::new(ErrorKind::Model, "the file was cut short while it was read")
                .in_file(&path)
                .fix("download or copy it again, and run again when nothing writes it")),
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
