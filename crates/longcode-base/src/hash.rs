//! sha256 of files and texts, in hex, which pins a number to the bytes it came from; and the sha1 by which
//! the hub names small files.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::files::open;

/// A running sha256.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a file's bytes, read in pieces.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a regular file.
    pub fn update_file(&mut self, path: &Path) -> io::Result<()> {
        let mut file = open(path)?;
        let mut piece = vec![0; 1 << 20];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(()),
                read => self.0.update(&piece[..read]),
            }
        }
    }

    /// The hash in hex.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// sha256 of some bytes, in the form of a page's content security policy: `sha256-` and base64.
pub fn sha256_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let hash = Sha256::digest(bytes);
    let mut text = String::from("sha256-");
    for three in hash.chunks(3) {
        let bits =
            three.iter().enumerate().fold(0, |bits, (n, byte)| bits | u32::from(*byte) << (16 - 8 * n));
        text.extend((0..4).map(|n| {
            if n <= three.len() { char::from(DIGITS[(bits >> (18 - 6 * n)) as usize & 63]) } else { '=' }
        }));
    }
    text
}

/// sha256 of some bytes, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// sha1 of a file's bytes, in hex.
///
/// # Errors
/// When the file cannot be read, or is not a regular file.
pub fn sha1(path: &Path) -> io::Result<String> {
    sha1_behind("", open(path)?)
}

/// Git's name for a file with these bytes: the sha1 of its length and the bytes, in hex.
///
/// # Errors
/// As [`sha1()`].
pub fn git_blob(path: &Path) -> io::Result<String> {
    let file = open(path)?;
    sha1_behind(&format!("blob {}\0", file.metadata()?.len()), file)
}

fn sha1_behind(head: &str, mut file: impl Read) -> io::Result<String> {
    let mut hasher = sha1::Sha1::new_with_prefix(head);
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&piece[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello\n").unwrap();
        assert_eq!(sha1(file.path()).unwrap(), "f572d396fae9206628714fb2ce00f72e94f2258f");
        // The output of `printf 'hello\n' | git hash-object --stdin`.
        assert_eq!(git_blob(file.path()).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn base64_of_a_hash() {
        // The output of `printf abc | openssl dgst -sha256 -binary | base64`.
        assert_eq!(sha256_base64(b"abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }
}
