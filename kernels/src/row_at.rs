//! One row of a prompt: that of start-of-transcript, or the last real one.
//!
//! Operands: x `[R, D]`, the states of S sequences, which have R / S rows each, y `[S, D]`.

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
    let states = io.read(1);
    let len = x.len() / DecodeState::count(states);
    for (seq, y) in io.write_all::<f32>(2).chunks_exact_mut(n_cols).enumerate() {
        let state = DecodeState::of(states, seq);
        let row = if p.sot == 1 { state.sot_row } else { state.n_rows.saturating_sub(1) } as usize;
        y.copy_from_slice(&x[seq * len..][..len][row.min(len / n_cols - 1) * n_cols..][..n_cols]);
    }
}
