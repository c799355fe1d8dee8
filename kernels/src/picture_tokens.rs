//! `y[b, t, :] = row(t) + place(t)`: a picture's patches behind the model's own tokens, as the op `picture_tokens` defines it.
//!
//! Operands: patches `[B * P, D]`, tokens `[K, D]`, positions `[K + P - U, D]`, y `[B * (K + P), D]`. A task is some rows.

use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a row of tokens.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub n_cols: u32,
    /// K
    pub n_own: u32,
    /// K + P
    pub n_tokens: u32,
    /// U: tokens behind the first that have no place.
    pub n_unplaced: u32,
}

/// Rows of a task.
const ROWS: usize = 64;

/// Rows of y.
fn n_rows(io: &Io) -> usize {
    let p: Params = io.params();
    let n_patches = (p.n_tokens - p.n_own) as usize;
    io.read::<f32>(0).len() / p.n_cols as usize / n_patches * p.n_tokens as usize
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    n_rows(io).div_ceil(ROWS)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (d, n_own, n_tokens) = (p.n_cols as usize, p.n_own as usize, p.n_tokens as usize);
    let (patches, tokens, positions) = (io.read::<f32>(0), io.read::<f32>(1), io.read::<f32>(2));
    for r in task * ROWS..((task + 1) * ROWS).min(n_rows(io)) {
        let (b, t) = (r / n_tokens, r % n_tokens);
        let y = io.write::<f32>(3, r * d..(r + 1) * d);
        y.copy_from_slice(match t.checked_sub(n_own) {
            None => &tokens[t * d..][..d],
            Some(patch) => &patches[(b * (n_tokens - n_own) + patch) * d..][..d],
        });
        let n_unplaced = p.n_unplaced as usize;
        if t == 0 || t > n_unplaced {
            let place = if t == 0 { 0 } else { t - n_unplaced };
            y.iter_mut().zip(&positions[place * d..]).for_each(|(y, place)| *y += place);
        }
    }
}
