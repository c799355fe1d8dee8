//! `to[r, :] = x[r, :]` for the first rows of a state.
//!
//! Operands: x `[R, C]`, to `[G, S, C]` (written), region `[1]` (u32), which of the G, or none for the first.

use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a copy.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// G
    pub n_regions: u32,
    /// Elements of a region.
    pub size: u32,
}

pub(crate) fn n_tasks(_io: &Io, _n_threads: usize) -> usize {
    1
}

pub(crate) fn run(io: &Io, _task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let x = io.read::<f32>(0);
    let p: Params = io.params();
    let region = io.optional::<u32>(2).map_or(0, |region| region[0].min(p.n_regions - 1)) as usize;
    let first = region * p.size as usize;
    io.write::<f32>(1, first..first + x.len()).copy_from_slice(x);
}
