//! `y = x * factor`
//!
//! Operands: x, y of the same shape.

use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a product with a number.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// The number.
    pub factor: f32,
}

pub(crate) fn n_tasks(_io: &Io, _n_threads: usize) -> usize {
    1
}

pub(crate) fn run(io: &Io, _task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    io.write_all::<f32>(1).iter_mut().zip(io.read::<f32>(0)).for_each(|(y, x)| *y = x * p.factor);
}
