//! `y[r, :] = (x[r, :] - mean) / sqrt(var + eps) * weight + bias`, row by row; without a bias the mean is taken to be zero.
//!
//! Operands: x `[R, C]`, weight `[C]`, bias `[C]` or none, y `[R, C]`.

use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a layer normalisation.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// Elements of a row.
    pub n_cols: u32,
    /// Added to the variance.
    pub eps: f32,
}

/// Rows of a task.
const ROWS: usize = 64;

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    io.read::<f32>(0).len().div_ceil(ROWS * io.params::<Params>().n_cols as usize)
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let n_cols = p.n_cols as usize;
    let (x, weight, bias) = (io.read::<f32>(0), io.read::<f32>(1), io.optional::<f32>(2));
    let range = task * ROWS * n_cols..((task + 1) * ROWS * n_cols).min(x.len());
    let y = io.write::<f32>(3, range.clone());
    for (row, out) in x[range].chunks_exact(n_cols).zip(y.chunks_exact_mut(n_cols)) {
        normalize(row, weight, bias, p.eps, out);
    }
}

/// Normalises one row.
pub(crate) fn normalize(x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f32, y: &mut [f32]) {
    let n = x.len() as f32;
    let mean = if bias.is_some() { sum(x.iter().copied()) / n } else { 0.0 };
    let variance = sum(x.iter().map(|v| (v - mean) * (v - mean))) / n;
    let rstd = 1.0 / libm::sqrtf(variance + eps);
    for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
        *y = (x - mean) * rstd * weight;
    }
    if let Some(bias) = bias {
        y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
    }
}

/// In eight lanes, as the compiler vectorises it and as the error of a long sum stays small.
fn sum(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (i, v) in values.enumerate() {
        lanes[i % 8] += v;
    }
    lanes.iter().sum()
}
