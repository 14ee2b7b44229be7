//! What several test programs share.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod attention;
pub mod cli;
pub mod decoding;
pub mod gguf;
pub mod golden;
pub mod hub;

use std::path::{Path, PathBuf};

/// A file or directory of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
