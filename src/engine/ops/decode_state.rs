//! The few numbers that steer decoding, kept on the device so that a token never has to come back to the host.
//!
//! The host writes them at the start of a window; `sample_pick` moves them on, token by token. The layout is that of
//! `shaders/shared/decode_state.wgsl`; a test compares the two.

use crate::engine::Result;
use crate::engine::lowering::{Lowering, Operand};
use crate::engine::tensor::TensorType;

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

/// The type of the slot that holds the state.
pub fn ty() -> TensorType {
    TensorType::u32([DecodeState::N_WORDS])
}
