//! Puts the parts of `attention_cross` together: sums rescaled to the greatest score of all, over the sum of all weights.
//!
//! Operands: parts `[R * H * P, E + 4]`, y `[R, H * E]`.

use crate::lanes::add_scaled;
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a combination.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// P
    pub n_parts: u32,
    /// E
    pub head_size: u32,
}

/// Heads of a task.
const HEADS: usize = 32;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    let p: Params = io.params();
    (io.read::<f32>(0).len() / (p.n_parts * (p.head_size + 4)) as usize).div_ceil(HEADS)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (e, n_parts) = (p.head_size as usize, p.n_parts as usize);
    let parts = io.read::<f32>(0);
    let n_heads = parts.len() / (n_parts * (e + 4));
    for head in task * HEADS..((task + 1) * HEADS).min(n_heads) {
        let parts = || parts[head * n_parts * (e + 4)..].chunks_exact(e + 4).take(n_parts);
        let most = parts().map(|part| part[e]).fold(f32::MIN, f32::max);
        let share = |part: &[f32]| libm::expf(part[e] - most);
        let total: f32 = parts().map(|part| part[e + 1] * share(part)).sum();
        let y = io.write::<f32>(1, head * e..(head + 1) * e);
        y.fill(0.0);
        for part in parts() {
            add_scaled(y, share(part) / total, &part[..e]);
        }
    }
}
