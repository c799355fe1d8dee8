//! What the logits at start-of-transcript tell: the probability that nobody speaks, and the language.
//!
//! Operands: logits `[1, V]`, the decoder's state, written.

use crate::decode::DecodeState;
use crate::lanes::{exp_and_sum, max};
use crate::step::Io;

pub(crate) fn n_tasks(_io: &Io, _n_threads: usize) -> usize {
    1
}

pub(crate) fn run(io: &Io, _task: usize, _n_threads: usize, scratch: &mut [f32]) {
    let logits = io.read::<f32>(0);
    let words = io.write_all::<u32>(1);
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
    state.write_to(words);
}
