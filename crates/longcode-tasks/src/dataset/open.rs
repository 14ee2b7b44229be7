//! The bytes of data files: plain or gzip, depending on their first bytes, and protected against bombs.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::unreadable;
use longcode_base::error::Result;
use longcode_base::limits;

/// First bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens a file of data.
pub(super) fn file(path: &Path) -> Result<File> {
    longcode_base::files::open(path).map_err(|e| unreadable(path, &e))
}

/// The bytes of a file, decompressed if they are gzip, whatever its name is.
pub(super) fn plain_or_gzip(path: &Path) -> Result<Box<dyn BufRead>> {
    plain_or_gzip_up_to(path, limits::GZIP_BYTES, limits::GZIP_RATIO)
}

/// As [`plain_or_gzip`]; unpacking ends with an error beyond this many bytes and this many times the file's
/// own.
pub(super) fn plain_or_gzip_up_to(path: &Path, bytes: u64, ratio: u64) -> Result<Box<dyn BufRead>> {
    let file = file(path)?;
    let length = file.metadata().map_err(|e| unreadable(path, &e))?.len();
    let mut plain = BufReader::new(file);
    let start = plain.fill_buf().map_err(|e| unreadable(path, &e))?;
    Ok(if start.starts_with(&GZIP_MAGIC) {
        let left = bytes.max(length.saturating_mul(ratio));
        Box::new(BufReader::new(Unpacked { inner: MultiGzDecoder::new(plain), left, ratio }))
    } else {
        Box::new(plain)
    })
}

/// What is unpacked, up to a number of bytes.
struct Unpacked<R> {
    inner: R,
    left: u64,
    ratio: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let what = format!("unpacked it is more than {} times as large as the file", self.ratio);
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
            }
        }
        Ok(read)
    }
}
