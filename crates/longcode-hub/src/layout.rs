//! The layout of the cache, which other programs for the hub share: `blobs/ETAG` holds a content, and
//! `snapshots/COMMIT/FILE` is a link to it. Nothing from outside becomes a part of a path unless it is a
//! plain name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{Name, cache};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::{append, make_directory, make_directory_inside, unfinished_name, write_whole};
use longcode_base::hash::{Hasher, git_blob, sha1, sha256};

/// Contents up to this many bytes are checked against their name whenever they are used, and not only when
/// fetched.
const SMALL: u64 = 16 << 20;

/// How often a lock is tried, a second apart.
const PATIENCE: usize = 5;

/// The hash that a content must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hash {
    /// SHA-256, for large files.
    Sha256(String),
    /// SHA-1, for small files, as git names them; or, from some mirrors, of the bytes alone.
    Sha1(String),
    /// The hub names it by something else, of which this is the hash: it cannot be checked.
    Unknown(String),
}

impl Hash {
    /// What an ETag says; if that is not a hash, one of our own from `what` the ETag belongs to.
    pub(crate) fn of(etag: Option<&str>, what: &str) -> Hash {
        let etag = etag.unwrap_or_default();
        Hash::known(etag).unwrap_or_else(|| Hash::Unknown(sha256(format!("{what}\n{etag}").as_bytes())))
    }

    fn known(etag: &str) -> Option<Hash> {
        let id = etag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
        let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        match id.len() {
            64 if is_hex => Some(Hash::Sha256(id)),
            40 if is_hex => Some(Hash::Sha1(id)),
            _ => None,
        }
    }

    /// The hash in a name in the cache.
    fn of_blob(blob: &Path) -> Option<Hash> {
        Hash::known(blob.file_name()?.to_str()?)
    }

    /// The hash in hexadecimal digits.
    fn id(&self) -> &str {
        let (Hash::Sha256(id) | Hash::Sha1(id) | Hash::Unknown(id)) = self;
        id
    }

    /// A content's hash if it differs from this one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn other(&self, file: &Path) -> io::Result<Option<String>> {
        let (name, found, expected) = match self {
            Hash::Unknown(_) => return Ok(None),
            Hash::Sha256(expected) => ("sha256", of_file(file)?, expected),
            Hash::Sha1(expected) => {
                let git = git_blob(file)?;
                ("sha1", if git == *expected { git } else { sha1(file)? }, expected)
            }
        };
        Ok((found != *expected).then(|| format!("{name} {found}, the hub says {expected}")))
    }
}

fn of_file(file: &Path) -> io::Result<String> {
    let mut hasher = Hasher::default();
    hasher.update_file(file)?;
    Ok(hasher.finish())
}

/// A repository's place in the cache, for writing.
pub(super) struct Layout {
    cache: PathBuf,
    /// `models--org--name`.
    folder: String,
}

/// A content that only this process fetches.
pub(super) struct Place {
    /// What has arrived so far.
    pub partial: PathBuf,
    /// Where it goes when it is complete.
    blob: PathBuf,
    _lock: File,
}

impl Layout {
    /// # Errors
    /// [`ErrorKind::Write`] when the cache cannot be made.
    pub(crate) fn new(name: &Name) -> Result<Layout> {
        let cache = cache();
        make_directory(&cache).map_err(at_cache)?;
        Ok(Layout { cache, folder: name.folder() })
    }

    /// Records which commit a revision is.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub(crate) fn set_revision(&self, revision: &str, commit: &str) -> Result<()> {
        let path = Path::new("refs").join(revision);
        let dir = self.make(path.parent().unwrap_or(Path::new("")))?;
        write_whole(&dir.join(path.file_name().unwrap_or_default()), commit.as_bytes()).map_err(at_cache)
    }

    /// A place for a content, locked against other programs that fetch it.
    ///
    /// # Errors
    /// [`ErrorKind::Write`] if it cannot be made, or another program holds it.
    pub(crate) fn place(&self, hash: &Hash) -> Result<Place> {
        let blobs = self.make(Path::new("blobs"))?;
        let locks =
            make_directory_inside(&self.cache, &Path::new(".locks").join(&self.folder)).map_err(at_cache)?;
        let lock_path = locks.join(format!("{}.lock", hash.id()));
        let lock = append(&lock_path).map_err(at_cache)?;
        let mut tries = 0;
        while let Err(fs::TryLockError::WouldBlock) = lock.try_lock() {
            tries += 1;
            if tries == PATIENCE {
                return Err(Error::new(ErrorKind::Write, "another program is fetching the same file")
                    .in_file(&lock_path)
                    .fix("wait for it, then run the same command again"));
            }
            thread::sleep(Duration::from_secs(1));
        }
        let partial = blobs.join(format!("{}.incomplete", hash.id()));
        Ok(Place { partial, blob: blobs.join(hash.id()), _lock: lock })
    }

    /// Puts a content in a file's place in a commit's snapshot.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub(crate) fn link(&self, commit: &str, file: &str, blob: &Path) -> Result<()> {
        let path = Path::new("snapshots").join(commit).join(file);
        let inside = path.parent().unwrap_or(Path::new(""));
        let dir = self.make(inside)?;
        let mut target: PathBuf = inside.components().map(|_| "..").collect();
        target.extend([Path::new("blobs"), Path::new(blob.file_name().unwrap_or_default())]);
        let beside = dir.join(unfinished_name());
        let to = dir.join(path.file_name().unwrap_or_default());
        make_link(&target, blob, &beside).and_then(|()| fs::rename(&beside, &to)).map_err(|e| {
            let _ = fs::remove_file(&beside);
            unwritable(&e, &to)
        })
    }

    /// Makes a directory in the repository's.
    fn make(&self, inside: &Path) -> Result<PathBuf> {
        make_directory_inside(&self.cache, &Path::new(&self.folder).join(inside)).map_err(at_cache)
    }
}

impl Place {
    /// The content, if it is already there and, if small, matches its name.
    pub(crate) fn there(&self) -> Option<&Path> {
        is_good(&self.blob).then_some(&self.blob)
    }

    /// Takes what has arrived as complete. Without a given hash it is named by its own.
    ///
    /// # Errors
    /// [`ErrorKind::Write`].
    pub(crate) fn finish(&self, hash: &Hash) -> Result<PathBuf> {
        let failed = |e: io::Error| unwritable(&e, &self.partial);
        let blob = match hash {
            Hash::Unknown(_) => self.blob.with_file_name(of_file(&self.partial).map_err(failed)?),
            _ => self.blob.clone(),
        };
        fs::rename(&self.partial, &blob).map_err(failed)?;
        Ok(blob)
    }
}

/// Whether a content or a link to one is there and, if small, matches its name.
pub(super) fn is_good(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    let target = fs::read_link(path).ok();
    let hash = Hash::of_blob(target.as_deref().unwrap_or(path));
    if target.is_some() && hash.is_none() {
        // A link to anything but a content of the cache is not ours.
        return false;
    }
    let hash = hash.filter(|_| metadata.len() <= SMALL);
    metadata.is_file() && hash.is_none_or(|hash| hash.other(path).is_ok_and(|other| other.is_none()))
}

#[cfg(unix)]
fn make_link(target: &Path, _blob: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

/// If links are not possible, the content is stored twice.
#[cfg(windows)]
fn make_link(target: &Path, blob: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path).or_else(|_| fs::copy(blob, path).map(drop))
}

fn at_cache(mut error: Error) -> Error {
    error.fix = Some(FIX.into());
    error
}

/// The error of a cache that cannot be written.
pub(super) fn unwritable(error: &io::Error, path: &Path) -> Error {
    Error::new(ErrorKind::Write, format!("the cache cannot be written: {error}")).in_file(path).fix(FIX)
}

const FIX: &str = "make room, change its permissions or remove what is in the way, or set HF_HUB_CACHE to another directory";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_kind() {
        let (long, short) = ("a".repeat(64), "0".repeat(40));
        assert_eq!(Hash::of(Some(&format!("\"{long}\"")), "a"), Hash::Sha256(long));
        assert_eq!(Hash::of(Some(&format!("W/\"{short}\"")), "a"), Hash::Sha1(short));
        assert_ne!(Hash::of(None, "a"), Hash::of(None, "b"));
        let hostile = [
            "",
            "../../evil",
            "/etc/passwd",
            "\"abc\"",
            "..",
            "a/b",
            "C:\\x",
            &"é".repeat(20),
            &"g".repeat(64),
        ];
        for etag in hostile {
            let Hash::Unknown(id) = Hash::of(Some(etag), "a") else { panic!("{etag}") };
            assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }

    #[test]
    fn a_content_is_held_to_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, "hello\n").unwrap();
            path
        };
        let file = at("config.json");
        assert!(is_good(&at(&git_blob(&file).unwrap())) && is_good(&at(&sha1(&file).unwrap())));
        assert!(is_good(&at(&sha256(b"hello\n"))) && is_good(&at("config.json")));
        assert!(!is_good(&at(&"0".repeat(40))) && !is_good(&at(&"0".repeat(64))));
        assert!(!is_good(dir.path()) && !is_good(&dir.path().join("none")));
    }
}
