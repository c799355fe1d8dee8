//! One vector for each sequence, from its real rows; optionally scaled to length one.
//!
//! Operands: x `[B * T, D]`, lengths `[B]`, y `[B, D]`. A task is a sequence.

use crate::lanes::{add_scaled, dot};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// The mean of the real rows.
pub const MEAN: u32 = 0;
/// Their sum by the square root of the length.
pub const MEAN_SQRT_LEN: u32 = 1;
/// The first row.
pub const FIRST: u32 = 2;
/// The greatest elements.
pub const MAX: u32 = 3;

/// Of a pooling.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub n_cols: u32,
    /// T
    pub seq_len: u32,
    /// One of the numbers above.
    pub mode: u32,
    /// Whether the vector is scaled to length one (0 or 1).
    pub normalize: u32,
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    io.read::<u32>(1).len()
}

pub(crate) fn run(io: &Io, b: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (d, seq_len) = (p.n_cols as usize, p.seq_len as usize);
    let (x, length) = (io.read::<f32>(0), io.read::<u32>(1)[b] as usize);
    let n_real = length.clamp(1, seq_len);
    let y = io.write::<f32>(2, b * d..(b + 1) * d);
    let mut rows = x[b * seq_len * d..].chunks_exact(d).take(if p.mode == FIRST { 1 } else { n_real });
    if let Some(first) = rows.next() {
        y.copy_from_slice(first);
    }
    for row in rows {
        match p.mode {
            MAX => y.iter_mut().zip(row).for_each(|(y, &v)| *y = if v > *y { v } else { *y }),
            _ => add_scaled(y, 1.0, row),
        }
    }
    let mut scale = match p.mode {
        MEAN => 1.0 / n_real as f32,
        MEAN_SQRT_LEN => 1.0 / libm::sqrtf(n_real as f32),
        _ => 1.0,
    };
    if p.normalize == 1 {
        scale /= (scale * libm::sqrtf(dot(y, y))).max(1e-12);
    }
    y.iter_mut().for_each(|v| *v *= scale);
}
