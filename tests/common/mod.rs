//! What several test programs share.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod attention;
pub(crate) mod cli;
pub(crate) mod decoding;
pub(crate) mod gguf;
pub(crate) mod golden;
pub(crate) mod hub;

use std::path::{Path, PathBuf};

/// A file or directory of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
