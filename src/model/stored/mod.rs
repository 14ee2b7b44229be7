//! Weights in the form in which a checkpoint stores them: [`format`] says what bytes mean, [`bytes`] where
//! they lie ([`fault`]: and when they no longer do), [`blocks`] holds the block formats of ggml.

mod blocks;
mod bytes;
mod fault;
mod format;

pub(crate) use blocks::scale_and_min;
pub use bytes::{Bytes, Mapped};
pub use format::{FORMATS, Format};

use std::ops::Range;
use std::path::PathBuf;

use rayon::prelude::*;

/// A tensor as a checkpoint stores it.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    /// The file that it is from.
    pub file: PathBuf,
    /// Rows first.
    pub shape: Vec<usize>,
    /// What its bytes mean.
    pub format: &'static Format,
    /// Its values, row by row; every row is whole blocks.
    pub bytes: Bytes,
}

impl StoredTensor {
    /// Its values, row by row.
    pub fn values(&self) -> Vec<f32> {
        /// Blocks that one thread decodes at a time.
        const PIECE: usize = 4096;
        let format = self.format;
        let mut values = vec![0.0; self.bytes.len() / format.block_bytes * format.block_values];
        let pieces = values.par_chunks_mut(PIECE * format.block_values);
        pieces
            .zip(self.bytes.par_chunks(PIECE * format.block_bytes))
            .for_each(|(values, bytes)| (format.decode)(bytes, values));
        values
    }

    /// Numbers of a row.
    pub fn columns(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// The bytes of some rows.
    pub fn rows(&self, rows: Range<usize>) -> &[u8] {
        let row = self.columns() / self.format.block_values * self.format.block_bytes;
        &self.bytes[rows.start * row..rows.end * row]
    }

    /// The values of some rows, into `values [rows, columns]`.
    pub fn decode_rows(&self, rows: Range<usize>, values: &mut [f32]) {
        (self.format.decode)(self.rows(rows), values);
    }

    /// The values as they lie, where they are f32 numbers as this machine has them.
    pub fn as_f32(&self) -> Option<&[f32]> {
        let is_native = self.format == Format::f32() && cfg!(target_endian = "little");
        // SAFETY: every pattern of bits is an f32.
        let (before, values, after) = unsafe { self.bytes.align_to::<f32>() };
        (is_native && before.is_empty() && after.is_empty()).then_some(values)
    }
}
