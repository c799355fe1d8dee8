//! One row of a prompt: that of start-of-transcript, or the last real one.
//!
//! Operands: x `[R, D]`, the decoder's state, y `[1, D]`.

use crate::decode::DecodeState;
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a choice of a row.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub n_cols: u32,
    /// 1 for start-of-transcript, 0 for the last.
    pub sot: u32,
}

pub(crate) fn n_tasks(_io: &Io, _n_threads: usize) -> usize {
    1
}

pub(crate) fn run(io: &Io, _task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (x, n_cols) = (io.read::<f32>(0), p.n_cols as usize);
    let state = DecodeState::from_words(io.read(1));
    let row = if p.sot == 1 { state.sot_row } else { state.n_rows.saturating_sub(1) } as usize;
    io.write_all::<f32>(2).copy_from_slice(&x[row.min(x.len() / n_cols - 1) * n_cols..][..n_cols]);
}
