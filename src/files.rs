//! Files: read and written whole, locked, and what is said when that fails.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// Reads a whole UTF-8 file, or says what is wrong with it.
///
/// # Errors
/// `kind`, naming the file, when it cannot be read or is not UTF-8 (with the offending byte's offset).
pub fn read_text(path: &Path, kind: ErrorKind) -> Result<String> {
    String::from_utf8(read_bytes(path, kind)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::new(kind, format!("not valid UTF-8 at byte {at}"))
            .in_file(path)
            .fix("convert the file to UTF-8")
    })
}

/// Reads a whole file.
///
/// # Errors
/// `kind`, naming the file, when it cannot be read.
pub fn read_bytes(path: &Path, kind: ErrorKind) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| {
        Error::new(kind, format!("cannot read the file: {e}"))
            .in_file(path)
            .fix("check the path and its permissions")
    })
}

/// Writes a file whole or not at all: beside it first, then moved into place.
///
/// # Errors
/// [`ErrorKind::Write`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path)).map_err(|e| {
        let _ = fs::remove_file(&beside);
        unwritable(path, &e)
    })
}

/// That a file cannot be written.
pub(crate) fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Write, format!("cannot write: {error}")).in_file(path).fix(
        "make room or change the permissions, then run the same command again (`train`: with --resume): what was \
         finished is kept",
    )
}

/// Locks a directory by one of its files, until the file is closed.
///
/// # Errors
/// [`ErrorKind::Results`] when another process has it locked.
pub(crate) fn lock(file: &File, dir: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Results, "another run writes to this directory")
                .in_file(dir)
                .fix("wait for it, or give another --out"))
        }
        // A file system without locks: one run at a time is then up to the user.
        Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Makes a directory, and those above it.
///
/// # Errors
/// [`ErrorKind::Write`].
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| {
        Error::new(ErrorKind::Write, format!("cannot make the directory: {e}"))
            .in_file(path)
            .fix("make room, change the permissions, or give another --out")
    })
}
