//! The greatest element of each of 64 parts of a tensor.
//!
//! Operands: x, y `[64]`.

use crate::lanes::max;
use crate::step::Io;

/// Parts of a task.
const PARTS: usize = 8;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    n_parts(io).div_ceil(PARTS)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let x = io.read::<f32>(0);
    let size = x.len().div_ceil(n_parts(io));
    let range = task * PARTS..((task + 1) * PARTS).min(n_parts(io));
    for (part, y) in range.clone().zip(io.write::<f32>(1, range)) {
        let start = (part * size).min(x.len());
        *y = max(&x[start..(start + size).min(x.len())], -3.0e38);
    }
}

fn n_parts(io: &Io) -> usize {
    io.read::<f32>(1).len()
}
