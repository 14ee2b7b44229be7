//! sha256 of files and texts, in hex: what pins a number to the bytes it came from.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

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
    /// When the file cannot be read.
    pub fn update_file(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
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
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// sha256 of some bytes as a page's content security policy names it: `sha256-` and base64.
pub(crate) fn sha256_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let hash = Sha256::digest(bytes);
    let mut text = String::from("sha256-");
    for three in hash.chunks(3) {
        let bits =
            three.iter().enumerate().fold(0, |bits, (n, byte)| bits | u32::from(*byte) << (16 - 8 * n));
        let digit = |n: usize| match n <= three.len() {
            true => char::from(DIGITS[(bits >> (18 - 6 * n)) as usize & 63]),
            false => '=',
        };
        text.extend((0..4).map(digit));
    }
    text
}

/// sha256 of some bytes, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_a_hash() {
        // As of `printf abc | openssl dgst -sha256 -binary | base64`.
        assert_eq!(sha256_base64(b"abc"), "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }
}
