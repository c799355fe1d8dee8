//! `y[m, n] = x[m, n] * scale[n] + residual[m, n]`
//!
//! Operands: x `[M, N]`, scale `[N]`, residual `[M, N]`, y `[M, N]`. A task is some rows.

use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a LayerScale.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// N
    pub n_cols: u32,
}

/// Rows of a task.
const ROWS: usize = 64;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    let d = io.params::<Params>().n_cols as usize;
    (io.read::<f32>(0).len() / d).div_ceil(ROWS)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let d = io.params::<Params>().n_cols as usize;
    let (x, scale, residual) = (io.read::<f32>(0), io.read::<f32>(1), io.read::<f32>(2));
    let range = task * ROWS * d..((task + 1) * ROWS * d).min(x.len());
    let y = io.write::<f32>(3, range.clone());
    let rows = y.chunks_exact_mut(d).zip(x[range.clone()].chunks_exact(d)).zip(residual[range].chunks_exact(d));
    for ((y, x), residual) in rows {
        for c in 0..d {
            y[c] = x[c] * scale[c] + residual[c];
        }
    }
}
