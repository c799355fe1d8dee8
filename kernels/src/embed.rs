//! `y[r, :] = table[id, :] + positions[p, :] + extra`, ids and positions as the op `embed` defines them.
//!
//! Operands: ids (u32), table `[V, D]` (`linear_weight.rs`), positions `[P, D]` or absent, extra `[D]` or absent, the states of S
//! sequences that are decoded, which have R / S rows and as many ids each, or absent, y `[R, D]`.

use crate::decode::DecodeState;
use crate::linear_weight::Weight;
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

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
    /// V
    pub vocab: u32,
}

/// Rows of a task.
const ROWS: usize = 16;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    (io.params::<Params>().n_rows as usize).div_ceil(ROWS)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (ids, d) = (io.read::<u32>(0), p.n_cols as usize);
    let states = io.optional::<u32>(4);
    let n_seqs = states.map_or(1, DecodeState::count);
    let (n_rows, n_ids) = ((p.n_rows as usize / n_seqs).max(1), ids.len() / n_seqs);
    let table = Weight::new(io.read(1), p.vocab as usize, d);
    let last_row = |len: usize| len / d - 1;
    for r in task * ROWS..((task + 1) * ROWS).min(p.n_rows as usize) {
        let (at, position) = match states {
            Some(states) => {
                let (seq, row) = (r / n_rows, r % n_rows);
                let position = DecodeState::of(states, seq).position as usize + row;
                (seq * n_ids + position.min(n_ids - 1), position)
            }
            None => (r.min(ids.len() - 1), p.first as usize + r % (p.seq_len as usize).max(1)),
        };
        let id = ids[at] as usize;
        let y = io.write::<f32>(5, r * d..(r + 1) * d);
        table.row(id.min(p.vocab as usize - 1), d, y);
        if let Some(positions) = io.optional::<f32>(2) {
            let place = &positions[position.min(last_row(positions.len())) * d..];
            y.iter_mut().zip(place).for_each(|(y, place)| *y += place);
        }
        if let Some(extra) = io.optional::<f32>(3) {
            y.iter_mut().zip(extra).for_each(|(y, extra)| *y += extra);
        }
    }
}
