//! `y[m, n] = act(norm(x)[m, :] . w[n, :] + bias[n]) + residual[m, n]`.
//!
//! Operands: x `[M, K]`, w `[N, K]` (`linear_weight.rs`), bias `[N]` or none, residual `[M, N]` or none, weight and bias of a layer
//! normalisation of x, `[K]` each, or none, or its weight alone, and y `[M, N]`. K is at most 16,384: a tile of both sides has room in a thread's scratch.

use crate::linear_map::{Map, Norm, Rows};
use crate::linear_weight::Weight;
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a linear map.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// K
    pub n_cols: u32,
    /// N
    pub n_out: u32,
    /// Its number in `activation.rs`.
    pub activation: u32,
    /// Added to the normalisation's variance.
    pub eps: f32,
}

pub(crate) fn n_tasks(io: &Io, n_threads: usize) -> usize {
    map(io).n_tasks(n_threads)
}

pub(crate) fn run(io: &Io, task: usize, n_threads: usize, scratch: &mut [f32]) {
    map(io).run(io, task, n_threads, scratch);
}

fn map<'a>(io: &Io<'a>) -> Map<'a> {
    const NORM_WEIGHT: usize = 4;
    const NORM_BIAS: usize = 5;
    let p: Params = io.params();
    let (n_cols, n_out, x) = (p.n_cols as usize, p.n_out as usize, io.read::<f32>(0));
    let norm = io.optional(NORM_WEIGHT).map(|weight| Norm { weight, bias: io.optional(NORM_BIAS), eps: p.eps });
    Map {
        rows: Rows { x, n_rows: x.len() / n_cols, n_cols, stride: n_cols, margin: 0, norm },
        weight: Weight::new(io.read(1), n_out, n_cols),
        bias: io.optional(2),
        residual: io.optional(3),
        activation: p.activation,
        n_out,
        y: 6,
    }
}
