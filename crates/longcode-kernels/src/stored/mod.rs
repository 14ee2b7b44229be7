//! Weights in the form in which a checkpoint stores them: [`mod@format`] says what bytes mean, [`bytes`]
//! where they are ([`fault`] handles those that disappear), [`blocks`] holds the block formats of ggml.

mod blocks;
mod bytes;
mod fault;
mod format;
mod numbers;

pub(crate) use blocks::{TWICE_FP4, half_scale, scale_and_min};
pub use bytes::{Bytes, Mapped};
pub use format::{FORMATS, Format};

use std::ops::Range;
use std::path::PathBuf;

use rayon::prelude::*;

/// A tensor as a checkpoint stores it.
#[derive(Debug, Clone)]
pub struct StoredTensor {
    /// The file that it comes from.
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

    /// How many numbers a row has.
    pub fn columns(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// The bytes of some rows.
    pub fn rows(&self, rows: Range<usize>) -> &[u8] {
        let row = self.row_bytes();
        &self.bytes[rows.start * row..rows.end * row]
    }

    /// Some rows as a separate tensor, without a copy.
    pub fn some_rows(&self, rows: Range<usize>) -> StoredTensor {
        let row = self.row_bytes();
        let bytes = self.bytes.part(rows.start * row..rows.end * row);
        StoredTensor { shape: self.with_rows(rows.len()), bytes, ..self.clone() }
    }

    /// The matrix with this number of a stack `[count, rows, columns]`, without a copy.
    pub fn matrix(&self, number: usize) -> StoredTensor {
        let one = self.some_rows(number..number + 1);
        StoredTensor { shape: one.shape[1..].to_vec(), ..one }
    }

    /// Rows in another order as a separate tensor, copied.
    pub fn reordered(&self, rows: impl Iterator<Item = usize>) -> StoredTensor {
        let mut count = 0;
        let mut bytes = Vec::new();
        for row in rows {
            bytes.extend_from_slice(self.rows(row..row + 1));
            count += 1;
        }
        StoredTensor { shape: self.with_rows(count), bytes: Bytes::Owned(bytes.into()), ..self.clone() }
    }

    /// A matrix of plain numbers transposed, copied.
    ///
    /// # Panics
    /// If its numbers are in blocks.
    pub fn transposed(&self) -> StoredTensor {
        assert_eq!(self.format.block_values, 1, "plain numbers");
        let ([rows, columns], size) = ([self.shape[0], self.columns()], self.format.block_bytes);
        let mut bytes = vec![0; self.bytes.len()];
        bytes.par_chunks_exact_mut(rows * size).enumerate().for_each(|(column, out)| {
            for (row, out) in out.chunks_exact_mut(size).enumerate() {
                out.copy_from_slice(&self.bytes[(row * columns + column) * size..][..size]);
            }
        });
        StoredTensor { shape: vec![columns, rows], bytes: Bytes::Owned(bytes.into()), ..self.clone() }
    }

    fn with_rows(&self, rows: usize) -> Vec<usize> {
        [rows].into_iter().chain(self.shape[1..].iter().copied()).collect()
    }

    fn row_bytes(&self) -> usize {
        self.columns() / self.format.block_values * self.format.block_bytes
    }

    /// Decodes some rows into `values [rows, columns]`.
    pub fn decode_rows(&self, rows: Range<usize>, values: &mut [f32]) {
        (self.format.decode)(self.rows(rows), values);
    }

    /// The values in place, if they are f32 numbers in this machine's byte order.
    pub fn as_f32(&self) -> Option<&[f32]> {
        let is_native = self.format == Format::f32() && cfg!(target_endian = "little");
        // SAFETY: every pattern of bits is an f32.
        let (before, values, after) = unsafe { self.bytes.align_to::<f32>() };
        (is_native && before.is_empty() && after.is_empty()).then_some(values)
    }
}
