//! Causal self-attention of new positions over all earlier ones, keeping their keys and values.
//!
//! Operands: qkv `[R, 3 * D]`, cache `[S, 2 * C, D]` (keys above values, written), the states of S sequences, which have R / S rows
//! each, bias `[H, 2 N - 1]` by distance, that of zero in the middle, or none, slots `[C, R]` (u32), where each row's keys lie, or none, y
//! `[R, D]`. A task is a head of a sequence: it writes its own columns of the sequence's cache and of its rows of y.

use crate::decode::DecodeState;
use crate::lanes::{add_scaled, dot, exp_and_sum, max};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of an attention with a cache.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub d: u32,
    /// Heads.
    pub n_heads: u32,
    /// Positions that the cache holds.
    pub capacity: u32,
    /// Of the scores.
    pub scale: f32,
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    io.params::<Params>().n_heads as usize * DecodeState::count(io.read(2))
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, scratch: &mut [f32]) {
    let p: Params = io.params();
    let (d, capacity) = (p.d as usize, p.capacity as usize);
    let e = d / p.n_heads as usize;
    let qkv = io.read::<f32>(0);
    let (states, n_heads) = (io.read(2), p.n_heads as usize);
    let (seq, head) = (task / n_heads, task % n_heads);
    let position = DecodeState::of(states, seq).position as usize;
    let n_rows = qkv.len() / (3 * d) / DecodeState::count(states);
    // This head's part of a row of y or of the sequence's cache.
    let part = |row: usize| row * d + head * e..row * d + (head + 1) * e;
    let in_cache = |row: usize| part(2 * seq * capacity + row);
    let (bias, slots) = (io.optional::<f32>(3), io.optional::<u32>(4));
    let rows = &qkv[seq * n_rows * 3 * d..][..n_rows * 3 * d];
    for (r, row) in rows.chunks_exact(3 * d).enumerate() {
        // Beams, which have slots, stand at one position.
        let at = (position + if slots.is_some() { 0 } else { r }).min(capacity - 1);
        let slot = |j: usize| slots.map_or(j, |slots| slots[j * n_rows + r] as usize).min(capacity - 1);
        let column = |which: usize| &row[which * d + head * e..][..e];
        io.write::<f32>(1, in_cache(slot(at))).copy_from_slice(column(1));
        io.write::<f32>(1, in_cache(capacity + slot(at))).copy_from_slice(column(2));
        let cached = |row: usize| &*io.write::<f32>(1, in_cache(row));
        let scores = &mut scratch[..=at];
        for (j, score) in scores.iter_mut().enumerate() {
            *score = dot(column(0), cached(slot(j))) * p.scale;
        }
        if let Some(bias) = bias {
            let n_cols = bias.len() / p.n_heads as usize;
            let by_distance = &bias[head * n_cols + n_cols / 2 - at..];
            scores.iter_mut().zip(by_distance).for_each(|(score, bias)| *score += bias);
        }
        let most = max(scores, f32::MIN);
        let sum = exp_and_sum(scores, most);
        let y = io.write::<f32>(5, part(seq * n_rows + r));
        y.fill(0.0);
        for (j, weight) in scores.iter().enumerate() {
            add_scaled(y, weight / sum, cached(capacity + slot(j)));
        }
    }
}
