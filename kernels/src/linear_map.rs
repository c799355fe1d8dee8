//! What `linear` and `conv1d` have in common: rows, possibly overlapping, times a weight, and what surrounds the product.
//!
//! Few rows are scalar products that read each weight once, as fast as the memory gives them (`linear_matvec.rs`); many are a matrix
//! product (`linear_matmul.rs`).

use crate::activation::activate;
use crate::gemm::padded;
use crate::layer_norm::normalize;
use crate::linear_weight::Weight;
use crate::simd::{Eight, F32x4, load8, store8};
use crate::step::Io;
use crate::{linear_matmul, linear_matvec};

/// A linear map with what surrounds it.
pub(crate) struct Map<'a> {
    pub rows: Rows<'a>,
    pub weight: Weight<'a>,
    pub bias: Option<&'a [f32]>,
    pub residual: Option<&'a [f32]>,
    pub activation: u32,
    /// Columns of y.
    pub n_out: usize,
    /// The number of the operand to write.
    pub y: usize,
}

/// The left operand: windows into `x`, which may overlap and reach over its ends, where zeros are read.
pub(crate) struct Rows<'a> {
    pub x: &'a [f32],
    pub n_rows: usize,
    pub n_cols: usize,
    /// Elements from one row's start to the next.
    pub stride: usize,
    /// Elements of row 0 that are before the start of x.
    pub margin: usize,
    pub norm: Option<Norm<'a>>,
}

/// Layer normalisation of rows.
pub(crate) struct Norm<'a> {
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub eps: f32,
}

impl Rows<'_> {
    /// A row; where it does not stand in x as it is, it is made in `buffer`, which holds `n_cols`.
    pub fn row<'s>(&'s self, row: usize, buffer: &'s mut [f32]) -> &'s [f32] {
        let (start, end) = (row * self.stride, row * self.stride + self.n_cols);
        if start < self.margin || end > self.margin + self.x.len() {
            let inside = start.max(self.margin)..end.min(self.margin + self.x.len()).max(self.margin);
            buffer.fill(0.0);
            buffer[inside.start - start..][..inside.len()]
                .copy_from_slice(&self.x[inside.start - self.margin..inside.end - self.margin]);
            return buffer;
        }
        let row = &self.x[start - self.margin..end - self.margin];
        let Some(norm) = &self.norm else { return row };
        normalize(row, norm.weight, norm.bias, norm.eps, buffer);
        buffer
    }
}

impl Map<'_> {
    pub fn n_tasks(&self, n_threads: usize) -> usize {
        if self.rows.n_rows <= linear_matvec::MOST_ROWS {
            return linear_matvec::n_tasks(self, n_threads);
        }
        linear_matmul::n_tasks(self, n_threads)
    }

    pub fn run(&self, io: &Io, task: usize, n_threads: usize, scratch: &mut [f32]) {
        if self.rows.n_rows <= linear_matvec::MOST_ROWS {
            return linear_matvec::run(self, io, task, n_threads, scratch);
        }
        linear_matmul::run(self, io, task, n_threads, scratch);
    }

    /// The bias of up to eight columns.
    #[inline(always)]
    pub fn bias(&self, col: usize, n_cols: usize) -> Eight {
        self.bias.map_or([F32x4::ZERO; 2], |bias| load8(&padded(&bias[col..][..n_cols], 0)))
    }

    /// Writes up to eight neighbours of y, from their sums with the bias.
    #[inline(always)]
    pub fn finish(&self, io: &Io, mut sums: Eight, (row, col): (usize, usize), n_cols: usize) {
        let at = row * self.n_out + col;
        sums = activate(self.activation, sums);
        if let Some(residual) = self.residual {
            let residual = load8(&padded(&residual[at..][..n_cols], 0));
            sums = [sums[0] + residual[0], sums[1] + residual[1]];
        }
        let y = io.write::<f32>(self.y, at..at + n_cols);
        if let Ok(y) = y.try_into() {
            return store8(sums, y);
        }
        let mut eight = [0.0; 8];
        store8(sums, &mut eight);
        y.copy_from_slice(&eight[..n_cols]);
    }
}
