//! The few numbers that steer decoding, kept on the device so that a token never has to come back to the host.
//!
//! The host writes them at the start of a window; `sample_pick` moves them on, token by token. Of several sequences that are decoded at
//! once each has a state of its own, `[S, N_WORDS]`, and the rows of an op that takes them belong to the sequences in turn, equally many to each:
//! one in a step, those of a prompt in the first run. The layout is that of
//! `shaders/shared/decode_state.wgsl`; a test compares the two.

use crate::engine::lowering::{Lowering, Operand};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};

pub use rill_kernels::decode::DecodeState;

/// Where `position` is among the state's words.
pub(super) const POSITION: usize = std::mem::offset_of!(DecodeState, position) / 4;
/// Where `n_rows` is.
pub(super) const N_ROWS: usize = std::mem::offset_of!(DecodeState, n_rows) / 4;
/// Where `sot_row` is.
pub(super) const SOT_ROW: usize = std::mem::offset_of!(DecodeState, sot_row) / 4;

/// One of the state's words, `[1]`, as a primitive.
pub(super) fn lower_word(b: &mut Lowering, state: Operand, word: usize) -> Result<Operand> {
    b.slice(state, &[word], &[1])
}

/// The type of the slot that holds the state of one sequence.
pub fn ty() -> TensorType {
    TensorType::u32([DecodeState::N_WORDS])
}

/// The type of the slot that holds the states of `n_seqs` sequences.
pub fn ty_of(n_seqs: usize) -> TensorType {
    tokens_of(n_seqs, DecodeState::N_WORDS)
}

/// The type of the slot that holds the tokens of `n_seqs` sequences of `capacity` positions.
pub fn tokens_of(n_seqs: usize, capacity: usize) -> TensorType {
    if n_seqs == 1 { TensorType::u32([capacity]) } else { TensorType::u32([n_seqs, capacity]) }
}

/// How many sequences a slot of states is for.
pub(super) fn n_seqs(states: &TensorType) -> usize {
    states.n_elements() / DecodeState::N_WORDS
}

/// The same of an operand. Several are decoded together on backends that have kernels for it; as primitives ops say one.
pub(super) fn n_seqs_of(b: &Lowering, states: Operand) -> usize {
    b.ty(states).shape.iter().product::<usize>() / DecodeState::N_WORDS
}

/// The rows of each sequence, of `n_rows` in all.
pub(super) fn rows_of_each(op: &str, n_rows: usize, states: &TensorType) -> Result<usize> {
    let n_seqs = n_seqs(states);
    match n_rows.checked_rem(n_seqs) {
        Some(0) if n_rows > 0 => Ok(n_rows / n_seqs),
        _ => Err(Error::Internal(format!("{op} shares {n_rows} rows out among {n_seqs} sequences"))),
    }
}
