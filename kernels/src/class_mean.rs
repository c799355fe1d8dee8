//! A picture's class token beside the mean of its patches, as the op `class_mean` defines it.
//!
//! Operands: x `[B * T, D]`, y `[B, 2 * D]`. A task is a picture.

use crate::lanes::add_scaled;
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of the two.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub n_cols: u32,
    /// T
    pub n_tokens: u32,
    /// Tokens before the patches.
    pub n_own: u32,
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    let p: Params = io.params();
    io.read::<f32>(0).len() / (p.n_cols * p.n_tokens) as usize
}

pub(crate) fn run(io: &Io, b: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (d, n_tokens, n_own) = (p.n_cols as usize, p.n_tokens as usize, p.n_own as usize);
    let picture = &io.read::<f32>(0)[b * n_tokens * d..][..n_tokens * d];
    let (class, mean) = io.write::<f32>(1, 2 * b * d..2 * (b + 1) * d).split_at_mut(d);
    class.copy_from_slice(&picture[..d]);
    mean.fill(0.0);
    for patch in picture[n_own * d..].chunks_exact(d) {
        add_scaled(mean, 1.0, patch);
    }
    let n_patches = (n_tokens - n_own) as f32;
    mean.iter_mut().for_each(|v| *v /= n_patches);
}
