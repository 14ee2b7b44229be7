//! Replaces wgpu's adapters if the feature `wgpu` is off: there are none.

use super::OpenDevice;
use crate::error::Result;

/// Why there is no adapter.
pub const NO_ADAPTER: &str = "this longcode is built without the feature `wgpu`";

/// What to do about it.
pub(super) const FIX: &str = "build it with its default features, or use --device cpu";

/// A wgpu adapter; there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adapter {}

impl Adapter {
    /// Its number, as in `--device wgpu:N`.
    pub fn number(&self) -> usize {
        match *self {}
    }

    /// Whether it is a software rasteriser.
    pub fn is_software(&self) -> bool {
        match *self {}
    }

    /// Whether it has its own memory.
    pub fn has_own_memory(&self) -> bool {
        match *self {}
    }

    /// Opens it.
    ///
    /// # Errors
    /// None.
    pub fn open(&self) -> Result<OpenDevice> {
        match *self {}
    }
}

/// No adapters.
pub fn adapters() -> Vec<Adapter> {
    Vec::new()
}

/// There is nothing to keep quiet.
pub(crate) fn quiet_mesa() {}
