//! The mean of a sequence's real rows, scaled to length one.
//!
//! Operands: x `[B * T, D]`, lengths `[B]`, y `[B, D]`. A task is a sequence.

use crate::lanes::{add_scaled, dot};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a pooling.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub n_cols: u32,
    /// T
    pub seq_len: u32,
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    io.read::<u32>(1).len()
}

pub(crate) fn run(io: &Io, b: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (d, seq_len) = (p.n_cols as usize, p.seq_len as usize);
    let (x, length) = (io.read::<f32>(0), io.read::<u32>(1)[b] as usize);
    let y = io.write::<f32>(2, b * d..(b + 1) * d);
    y.fill(0.0);
    for row in x[b * seq_len * d..].chunks_exact(d).take(length.min(seq_len)) {
        add_scaled(y, 1.0, row);
    }
    // The division by the length cancels out of the unit vector.
    let norm = libm::sqrtf(dot(y, y)).max(1e-12);
    y.iter_mut().for_each(|v| *v /= norm);
}
