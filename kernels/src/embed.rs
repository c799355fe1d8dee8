//! `y[r, :] = table[id, :] + positions[p, :] + extra`, ids and positions as the op `embed` defines them.
//!
//! Operands: ids (u32), table `[V, D]` (f32 or f16), positions `[P, D]` or absent, extra `[D]` or absent, the decoder's state or absent, y `[R, D]`.

use crate::decode::DecodeState;
use crate::step::Io;
use bytemuck::{Pod, Zeroable};
use half::f16;

/// Of an embedding.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub n_cols: u32,
    /// Length of a sequence; 0 while decoding.
    pub seq_len: u32,
    /// Position of a sequence's first row.
    pub first: u32,
    /// R
    pub n_rows: u32,
    /// Whether the table is f16 (0 or 1).
    pub f16: u32,
}

/// Rows of a task.
const ROWS: usize = 16;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    (io.params::<Params>().n_rows as usize).div_ceil(ROWS)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (ids, d) = (io.read::<u32>(0), p.n_cols as usize);
    let start = io.optional::<u32>(4).map(|words| DecodeState::from_words(words).position as usize);
    let last_row = |len: usize| len / d - 1;
    for r in task * ROWS..((task + 1) * ROWS).min(p.n_rows as usize) {
        let id = ids[(start.unwrap_or(0) + r).min(ids.len() - 1)] as usize;
        let position = start.map_or(p.first as usize + r % (p.seq_len as usize).max(1), |start| start + r);
        let y = io.write::<f32>(5, r * d..(r + 1) * d);
        if p.f16 == 1 {
            let table = io.read::<u16>(1);
            let token = &table[id.min(last_row(table.len())) * d..];
            y.iter_mut().zip(token).for_each(|(y, &token)| *y = f16::from_bits(token).to_f32());
        } else {
            let table = io.read::<f32>(1);
            y.copy_from_slice(&table[id.min(last_row(table.len())) * d..][..d]);
        }
        if let Some(positions) = io.optional::<f32>(2) {
            let place = &positions[position.min(last_row(positions.len())) * d..];
            y.iter_mut().zip(place).for_each(|(y, place)| *y += place);
        }
        if let Some(extra) = io.optional::<f32>(3) {
            y.iter_mut().zip(extra).for_each(|(y, extra)| *y += extra);
        }
    }
}
