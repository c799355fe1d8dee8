//! `y[r, :] = x[rows[r], :]`, a row past the end clamped.
//!
//! Operands: x `[N, D]`, rows `[R]` (u32), y `[R, D]`. One task copies them all: they are few.

use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a choice of rows.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub n_cols: u32,
}

pub(crate) fn n_tasks(_io: &Io, _n_threads: usize) -> usize {
    1
}

pub(crate) fn run(io: &Io, _task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let d = io.params::<Params>().n_cols as usize;
    let (x, rows) = (io.read::<f32>(0), io.read::<u32>(1));
    for (y, &row) in io.write_all::<f32>(2).chunks_exact_mut(d).zip(rows) {
        y.copy_from_slice(&x[(row as usize).min(x.len() / d - 1) * d..][..d]);
    }
}
