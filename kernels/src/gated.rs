//! `y[r, :] = act(x[r, :F]) * x[r, F:]`
//!
//! Operands: x `[R, 2 F]`, y `[R, F]`.

use crate::activation::activate;
use crate::gemm::padded;
use crate::simd::{load8, store8};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a gate.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// F
    pub n_cols: u32,
    /// Its number in `activation.rs`.
    pub activation: u32,
}

/// Elements of y in a task.
const ELEMENTS: usize = 4096;

fn rows_per_task(n_cols: usize) -> usize {
    (ELEMENTS / n_cols).max(1)
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    let n_cols = io.params::<Params>().n_cols as usize;
    (io.read::<f32>(0).len() / (2 * n_cols)).div_ceil(rows_per_task(n_cols))
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (x, n_cols) = (io.read::<f32>(0), p.n_cols as usize);
    let (first, n) = (task * rows_per_task(n_cols), rows_per_task(n_cols));
    for row in first..(first + n).min(x.len() / (2 * n_cols)) {
        let (gate, rest) = x[row * 2 * n_cols..(row + 1) * 2 * n_cols].split_at(n_cols);
        let y = io.write::<f32>(1, row * n_cols..(row + 1) * n_cols);
        for (block, y) in y.chunks_mut(8).enumerate() {
            let gate = activate(p.activation, load8(&padded(gate, block)));
            let rest = load8(&padded(rest, block));
            let mut eight = [0.0; 8];
            store8([gate[0] * rest[0], gate[1] * rest[1]], &mut eight);
            y.copy_from_slice(&eight[..y.len()]);
        }
    }
}
