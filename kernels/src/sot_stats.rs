//! What the logits at start-of-transcript tell: the probability that nobody speaks, and the language.
//!
//! Operands: logits `[S, V]`, the states of S sequences and their tokens, `[S, C]` (u32), written. A task is a sequence.

use crate::decode::DecodeState;
use crate::lanes::{exp_and_sum, max};
use crate::step::Io;
use bytemuck::{Pod, Zeroable};

/// Of what logits tell.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Params {
    /// V
    pub vocab: u32,
    /// C
    pub n_tokens: u32,
}

pub(crate) fn n_tasks(io: &Io, _n_threads: usize) -> usize {
    io.read::<f32>(0).len() / io.params::<Params>().vocab as usize
}

pub(crate) fn run(io: &Io, seq: usize, _n_threads: usize, scratch: &mut [f32]) {
    let vocab = io.params::<Params>().vocab as usize;
    let logits = &io.read::<f32>(0)[seq * vocab..][..vocab];
    let words = io.write::<u32>(1, seq * DecodeState::N_WORDS..(seq + 1) * DecodeState::N_WORDS);
    let mut state = DecodeState::from_words(words);
    let most = max(logits, f32::MIN);
    let mut sum = 0.0f64;
    for chunk in logits.chunks(scratch.len()) {
        let copy = &mut scratch[..chunk.len()];
        copy.copy_from_slice(chunk);
        sum += f64::from(exp_and_sum(copy, most));
    }
    if let Some(logit) = logits.get(state.no_speech as usize) {
        state.no_speech_prob = (f64::from(libm::expf(logit - most)) / sum) as f32;
    }
    let languages = state.language_begin..state.language_begin.saturating_add(state.n_languages);
    let best = languages
        .filter(|&t| (t as usize) < logits.len())
        .reduce(|a, b| if logits[b as usize] > logits[a as usize] { b } else { a });
    state.language = best.unwrap_or(0);
    let n_tokens = io.params::<Params>().n_tokens as usize;
    state.place_language(io.write::<u32>(2, seq * n_tokens..(seq + 1) * n_tokens));
    state.write_to(words);
}
