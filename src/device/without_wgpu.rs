//! In place of wgpu's adapters where the feature `wgpu` is off: there is none.

use super::OpenDevice;
use crate::error::Result;

/// Why there is no adapter.
pub const NO_ADAPTER: &str = "this longcode is built without the feature `wgpu`";

/// What to do about it.
pub(super) const FIX: &str = "build it with its default features, or use --device cpu";

/// A wgpu adapter, of which there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adapter {}

impl Adapter {
    /// Its number, as in `--device wgpu:N`.
    pub fn number(&self) -> usize {
        match *self {}
    }

    /// Whether it is a rasteriser in software.
    pub fn is_software(&self) -> bool {
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

/// There is nobody to keep quiet.
pub(crate) fn quiet_mesa() {}
