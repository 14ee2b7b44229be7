//! Matrix products over slices.

use gemm::Parallelism;

/// A matrix in memory: element `(r, c)` at `r * row_stride + c * column_stride`.
#[derive(Clone, Copy)]
pub(in super::super) struct Matrix<'a> {
    values: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows `stride` apart.
    pub(in super::super) fn rows(values: &'a [f32], stride: usize) -> Matrix<'a> {
        Matrix { values, row_stride: stride, column_stride: 1 }
    }

    /// Columns `stride` apart: the transpose of [`Matrix::rows`].
    pub(in super::super) fn columns(values: &'a [f32], stride: usize) -> Matrix<'a> {
        Matrix { values, row_stride: 1, column_stride: stride }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.values.len()
    }
}

/// `out [m, n] (+)= lhs [m, k] rhs [k, n]`, on this thread only.
pub(in super::super) fn multiply(lhs: Matrix, rhs: Matrix, out: &mut [f32], dims: [usize; 3], add: bool) {
    multiply_on(lhs, rhs, out, dims, add, Parallelism::None);
}

/// [`multiply`] on every thread.
pub(in super::super) fn multiply_in_parallel(
    lhs: Matrix,
    rhs: Matrix,
    out: &mut [f32],
    dims: [usize; 3],
    add: bool,
) {
    multiply_on(lhs, rhs, out, dims, add, Parallelism::Rayon(0));
}

fn multiply_on(
    lhs: Matrix,
    rhs: Matrix,
    out: &mut [f32],
    [m, k, n]: [usize; 3],
    add: bool,
    parallelism: Parallelism,
) {
    assert!(lhs.covers(m, k) && rhs.covers(k, n) && out.len() == m * n, "matrices lie inside their slices");
    // SAFETY: the assertion keeps every access inside the slices, and `out` is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            lhs.values.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.values.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}
