//! `y[t, :] = (max(x[t, :], loudest - 8) + 4) / 4`, zero from a frame on: see the op `mel_scale`.
//!
//! Operands: x `[T, M]`, parts, limits `[2]`, y `[T, M]`.

use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a scaling.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// M
    pub n_mels: u32,
}

/// Frames of a task.
const FRAMES: usize = 256;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    io.read::<f32>(0).len().div_ceil(FRAMES * io.params::<Params>().n_mels as usize)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let n_mels = io.params::<Params>().n_mels as usize;
    let (x, parts, limits) = (io.read::<f32>(0), io.read::<f32>(1), io.read::<f32>(2));
    let floor = parts.iter().copied().fold(limits[0], f32::max) - 8.0;
    let n_real = (limits[1] as usize).saturating_mul(n_mels);
    let range = task * FRAMES * n_mels..((task + 1) * FRAMES * n_mels).min(x.len());
    let y = io.write::<f32>(3, range.clone());
    let (real, padding) = y.split_at_mut(n_real.saturating_sub(range.start).min(range.len()));
    for (y, x) in real.iter_mut().zip(&x[range.start..]) {
        *y = (x.max(floor) + 4.0) / 4.0;
    }
    padding.fill(0.0);
}
