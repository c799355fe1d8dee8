//! The second half of choosing a token: decides between text and timestamps, writes the token and moves the state on.
//!
//! Operands: parts `[2 * P, 8]` (`sample_scan`), tokens `[C]` (u32, written), the decoder's state (written).

use crate::decode::{DecodeState, pick};
use crate::step::Io;

pub(crate) fn n_tasks(_io: &Io, _n_threads: usize) -> usize {
    1
}

pub(crate) fn run(io: &Io, _task: usize, _n_threads: usize, _scratch: &mut [f32]) {
    let words = io.write_all::<u32>(2);
    let mut state = DecodeState::from_words(words);
    pick(io.read(0), io.write_all(1), &mut state);
    state.write_to(words);
}
