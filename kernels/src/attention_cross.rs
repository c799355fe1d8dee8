//! Attention of decoder rows over the encoder's keys and values, in parts of the keys; `attention_combine` puts them together.
//!
//! Operands: q `[R, D]`, kv `[G, S, 2 * D]`, lengths `[G]` (u32), how many keys of each region are real, or none, region `[1]` (u32), the
//! one that all rows look at, or none: then each region has R / G rows; y `[R * H * P, E + 4]`: for each row, head and part the
//! unnormalised sum of values, the part's greatest score, its sum of weights, and two unused.

use crate::lanes::{add_scaled, dot, exp_and_sum, max};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a cross-attention.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// D
    pub d: u32,
    /// Heads.
    pub n_heads: u32,
    /// Parts of the keys.
    pub n_parts: u32,
    /// S
    pub n_keys: u32,
    /// G
    pub n_regions: u32,
    /// Of the scores.
    pub scale: f32,
}

/// Parts of a task.
const PARTS: usize = 6;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    let p: Params = io.params();
    let n_rows = io.read::<f32>(0).len() / p.d as usize;
    (n_rows * (p.n_heads * p.n_parts) as usize).div_ceil(PARTS)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, scratch: &mut [f32]) {
    let p: Params = io.params();
    let (d, n_parts, n_heads) = (p.d as usize, p.n_parts as usize, p.n_heads as usize);
    let (lengths, region) = (io.optional::<u32>(2), io.optional::<u32>(3));
    let (e, n_regions) = (d / n_heads, p.n_regions as usize);
    let (q, kv) = (io.read::<f32>(0), io.read::<f32>(1));
    let n_rows = q.len() / d / n_regions;
    let n_outputs = q.len() / d * n_heads * n_parts;
    for at in task * PARTS..((task + 1) * PARTS).min(n_outputs) {
        let (row, head, part) = (at / n_parts / n_heads, at / n_parts % n_heads, at % n_parts);
        let region = region.map_or(row / n_rows.max(1), |region| region[0] as usize).min(n_regions - 1);
        let n_keys = lengths.map_or(p.n_keys, |lengths| lengths[region].min(p.n_keys)) as usize;
        let kv = &kv[region * p.n_keys as usize * 2 * d..];
        let size = n_keys.div_ceil(n_parts);
        let q = &q[row * d + head * e..][..e];
        let keys = (part * size).min(n_keys)..((part + 1) * size).min(n_keys);
        let scores = &mut scratch[..keys.len()];
        for (score, key) in scores.iter_mut().zip(kv[keys.start * 2 * d..].chunks_exact(2 * d)) {
            *score = dot(q, &key[head * e..][..e]) * p.scale;
        }
        let most = max(scores, -3.0e38);
        let sum = exp_and_sum(scores, most);
        let y = io.write::<f32>(4, at * (e + 4)..(at + 1) * (e + 4));
        let (values, rest) = y.split_at_mut(e);
        values.fill(0.0);
        for (weight, row) in scores.iter().zip(kv[keys.start * 2 * d..].chunks_exact(2 * d)) {
            add_scaled(values, *weight, &row[d + head * e..][..e]);
        }
        rest.copy_from_slice(&[most, sum, 0.0, 0.0]);
    }
}
