//! `y[t, o] = act(sum over j, c of x[stride * t + j - pad, c] * w[o, j, c] + bias[o]) + residual[t, o]`, zeros beyond the ends.
//!
//! Operands: x `[T, C]`, w `[O, width * C]` (`linear_weight.rs`), bias `[O]`, residual `[T / stride, O]` or none, y
//! `[T / stride, O]`. A window is one stretch of x, so this is a matrix product over overlapping rows (`linear_map.rs`).

use crate::linear_map::{Map, Rows};
use crate::linear_weight::Weight;
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a convolution.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// Windows: T / stride, rounded up.
    pub n_rows: u32,
    /// Elements of a window.
    pub n_cols: u32,
    /// O
    pub n_out: u32,
    /// Elements from one window to the next.
    pub stride: u32,
    /// Elements of the first window that are before the start of x.
    pub margin: u32,
    /// Its number in `activation.rs`.
    pub activation: u32,
}

pub(crate) fn n_tasks(io: &Io, n_threads: usize) -> usize {
    map(io).n_tasks(n_threads)
}

pub(crate) fn run(io: &Io, task: usize, n_threads: usize, scratch: &mut [f32]) {
    map(io).run(io, task, n_threads, scratch);
}

fn map<'a>(io: &Io<'a>) -> Map<'a> {
    let p: Params = io.params();
    let rows = Rows {
        x: io.read(0),
        n_rows: p.n_rows as usize,
        n_cols: p.n_cols as usize,
        stride: p.stride as usize,
        margin: p.margin as usize,
        norm: None,
    };
    let (n_out, n_cols) = (p.n_out as usize, rows.n_cols);
    Map {
        rows,
        weight: Weight::new(io.read(1), n_out, n_cols),
        bias: io.optional(2),
        residual: io.optional(3),
        activation: p.activation,
        n_out,
        y: 4,
    }
}
