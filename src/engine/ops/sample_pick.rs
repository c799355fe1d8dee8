//! The second half of choosing a token: decides between text and timestamps, writes the token and moves the state on.
//!
//! parts: `[128, 8]` (`sample_scan`); tokens: `[C]`, u32, and state: the decoder's, both written in place. No output. While
//! timestamps are in use and all of them together are more probable than any text token, the next token is a timestamp
//! (openai/whisper `decoding.py`, `ApplyTimestampRules`). Nothing changes once the state is finished.

use super::decode_state::DecodeState;
use super::linear::expect_shape;
use super::sample_scan::N_PARTS;
use crate::engine::graph::{Tensor, record};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::Call;
use rill_kernels::decode::{PART_SIZE, pick};

impl Tensor {
    /// See the module; `self` are the parts.
    pub fn sample_pick(&self, tokens: &Tensor, state: &Tensor) -> Result<()> {
        record(SamplePick, self.recorder(), &[Some(self), Some(tokens), Some(state)]).map(|_| ())
    }
}

#[derive(Debug)]
struct SamplePick;

impl Op for SamplePick {
    fn name(&self) -> &'static str {
        "sample_pick"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(parts), Some(_tokens), Some(_state)] = inputs else {
            return Err(Error::Internal("sample_pick takes parts, tokens and a state".into()));
        };
        expect_shape("sample_pick parts", parts, &[2 * N_PARTS, PART_SIZE])?;
        Ok(None)
    }

    fn writes(&self) -> &'static [usize] {
        &[1, 2]
    }

    fn define(&self, args: Operands) {
        let [Some(parts), ..] = args.inputs[..] else { unreachable!() };
        let [tokens, words] = args.states else { unreachable!() };
        let mut state = DecodeState::from_words(words.u32());
        pick(parts.f32(), tokens.u32_mut(), &mut state);
        state.write_to(words.u32_mut());
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::SamplePick, ())
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        Kernel::new("sample_pick", signature.input(1).n_elements() as u32, [1, 1, 1])
            .shared("decode_state")
            .shared("candidate")
    }
}
