//! The few numbers that steer decoding, kept on the device so that a token never has to come back to the host.
//!
//! The host writes them at the start of a window; `sample_pick` moves them on, token by token. The layout is that of
//! `shaders/shared/decode_state.wgsl`; a test compares the two.

use crate::engine::tensor::TensorType;

pub use rill_kernels::decode::DecodeState;

/// The type of the slot that holds the state.
pub fn ty() -> TensorType {
    TensorType::u32([DecodeState::N_WORDS])
}
