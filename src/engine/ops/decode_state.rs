//! The few numbers that steer decoding, kept on the device so that a token never has to come back to the host.
//!
//! The host writes them at the start of a window ([`DecodeState::begin`]); `sample_pick` moves them on, token by token. The
//! layout is that of `shaders/shared/decode_state.wgsl`; a test compares the two.

use crate::engine::Result;
use crate::engine::lowering::{Lowering, Operand};
use crate::engine::tensor::{HostTensor, TensorType};

/// Steers the decoding of one window. All positions are indices into the `tokens` state.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct DecodeState {
    /// Position of the first row of the next run.
    pub position: u32,
    /// How many rows of it are real; the token after them is chosen.
    pub n_rows: u32,
    /// Position of the first token that is chosen and not given.
    pub sample_begin: u32,
    /// Position at which decoding stops at the latest.
    pub limit: u32,
    /// 1 once the end of text was chosen or the limit reached; later runs change nothing.
    pub finished: u32,
    /// Greatest timestamp token chosen so far, 0 for none.
    pub last_timestamp: u32,
    /// Row of the prompt that holds start-of-transcript.
    pub sot_row: u32,
    /// End-of-text token.
    pub eot: u32,
    /// First timestamp token; the vocabulary's size where there are none.
    pub timestamp_begin: u32,
    /// The no-timestamps token.
    pub no_timestamps: u32,
    /// Whether the timestamp rules are in force (0 or 1).
    pub use_timestamps: u32,
    /// Latest first timestamp, counted from `timestamp_begin`.
    pub max_initial_timestamp: u32,
    /// The no-speech token.
    pub no_speech: u32,
    /// First language token.
    pub language_begin: u32,
    /// How many language tokens there are.
    pub n_languages: u32,
    /// Seed of the random numbers.
    pub seed: u32,
    /// 0 for greedy decoding.
    pub temperature: f32,
    /// Sum of the chosen tokens' log-probabilities, end of text included.
    pub sum_logprob: f32,
    /// Probability of the no-speech token at start-of-transcript.
    pub no_speech_prob: f32,
    /// Most probable language token at start-of-transcript.
    pub language: u32,
}

impl DecodeState {
    /// How many 32-bit words it has.
    pub const N_WORDS: usize = size_of::<Self>() / 4;

    /// Where `position` is among the words.
    pub(super) const POSITION: usize = std::mem::offset_of!(Self, position) / 4;
    /// Where `n_rows` is.
    pub(super) const N_ROWS: usize = std::mem::offset_of!(Self, n_rows) / 4;
    /// Where `sot_row` is.
    pub(super) const SOT_ROW: usize = std::mem::offset_of!(Self, sot_row) / 4;

    /// One of its words, `[1]`, as a primitive.
    pub(super) fn lower_word(b: &mut Lowering, state: Operand, word: usize) -> Result<Operand> {
        b.slice(state, &[word], &[1])
    }

    /// The type of the slot that holds it.
    pub fn ty() -> TensorType {
        TensorType::u32([Self::N_WORDS])
    }

    /// Reads it out of the processor's tensor.
    pub fn from_host(tensor: &HostTensor) -> Self {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(tensor.u32()))
    }

    /// Writes it into the processor's tensor.
    pub fn to_host(self, tensor: &mut HostTensor) {
        tensor.u32_mut().copy_from_slice(bytemuck::cast_slice(&[self]));
    }
}
