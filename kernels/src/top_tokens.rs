//! The most probable tokens of each row, with the logarithms of their probabilities.
//!
//! Operands: logits `[R, V]`, y `[R, 2 K]`: log-probabilities, falling, then tokens. A task is a row.

use crate::lanes::{exp_and_sum, max};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Tokens of a row at most.
pub const MOST: usize = 32;

/// Of a choice of tokens.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// V
    pub vocab: u32,
    /// K
    pub n_top: u32,
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    io.read::<f32>(0).len() / io.params::<Params>().vocab as usize
}

pub(crate) fn run(io: &Io, task: usize, _n_threads: usize, scratch: &mut [f32]) {
    let p: Params = io.params();
    let (vocab, n_top) = (p.vocab as usize, p.n_top as usize);
    let logits = &io.read::<f32>(0)[task * vocab..][..vocab];
    let most = max(logits, f32::MIN);
    let mut sum = 0.0f64;
    for chunk in logits.chunks(scratch.len()) {
        let copy = &mut scratch[..chunk.len()];
        copy.copy_from_slice(chunk);
        sum += f64::from(exp_and_sum(copy, most));
    }
    let log_sum = most + libm::log(sum) as f32;
    // The best so far, falling; most tokens are worse than the last of them.
    let (mut best, mut n) = ([(f32::MIN, 0usize); MOST], 0);
    for (token, &logit) in logits.iter().enumerate() {
        if n == n_top && logit <= best[n - 1].0 {
            continue;
        }
        n = (n + 1).min(n_top);
        let mut at = n - 1;
        while at > 0 && best[at - 1].0 < logit {
            best[at] = best[at - 1];
            at -= 1;
        }
        best[at] = (logit, token);
    }
    let y = io.write::<f32>(1, task * 2 * n_top..(task + 1) * 2 * n_top);
    for (i, (logit, token)) in best[..n_top].iter().enumerate() {
        y[i] = logit - log_sum;
        y[n_top + i] = *token as f32;
    }
}
