//! The second half of choosing a token: decides between text and timestamps, writes the token and moves the state on.
//!
//! Operands: parts `[S * 2 * P, 8]` (`sample_scan`), tokens `[S, C]` (u32, written), the states of S sequences (written). A task is a
//! sequence.

use crate::decode::{DecodeState, pick};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of a choice.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// S
    pub n_seqs: u32,
    /// C
    pub n_tokens: u32,
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    io.params::<Params>().n_seqs as usize
}

pub(crate) fn run(io: &Io, seq: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let p: Params = io.params();
    let (parts, n_tokens) = (io.read::<f32>(0), p.n_tokens as usize);
    let n_parts = parts.len() / p.n_seqs as usize;
    let words = io.write::<u32>(2, seq * DecodeState::N_WORDS..(seq + 1) * DecodeState::N_WORDS);
    let mut state = DecodeState::from_words(words);
    let tokens = io.write(1, seq * n_tokens..(seq + 1) * n_tokens);
    pick(&parts[seq * n_parts..][..n_parts], tokens, &mut state);
    state.write_to(words);
}
