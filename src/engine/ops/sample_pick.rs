//! The second half of choosing a token: decides between text and timestamps, writes the token and moves the state on.
//!
//! parts: `[S * 256, 8]` (`sample_scan`); tokens: `[S, C]`, u32, and the states of S sequences, both written in place. No output. While
//! timestamps are in use and all of them together are more probable than any text token, the next token is a timestamp
//! (openai/whisper `decoding.py`, `ApplyTimestampRules`). Of a sequence that is finished nothing changes.

use super::decode_state::{self, DecodeState};
use super::linear::expect_shape;
use super::sample_scan::N_PARTS;
use crate::engine::graph::{Tensor, record};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::decode::{PART_SIZE, pick};
use rill_kernels::{Call, sample_pick};

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
        let [Some(parts), Some(tokens), Some(states)] = inputs else {
            return Err(Error::Internal("sample_pick takes parts, tokens and a state".into()));
        };
        let n_seqs = decode_state::n_seqs(states);
        expect_shape("sample_pick parts", parts, &[n_seqs * 2 * N_PARTS, PART_SIZE])?;
        decode_state::rows_of_each("sample_pick", tokens.n_elements(), states)?;
        Ok(None)
    }

    fn writes(&self) -> &'static [usize] {
        &[1, 2]
    }

    fn define(&self, args: Operands) {
        let [Some(parts), ..] = args.inputs[..] else { unreachable!() };
        let [tokens, words] = args.states else { unreachable!() };
        let n_tokens = tokens.ty.n_elements() / decode_state::n_seqs(&words.ty);
        let parts = parts.f32().chunks_exact(2 * N_PARTS * PART_SIZE);
        let words = words.u32_mut().chunks_exact_mut(DecodeState::N_WORDS);
        for ((parts, tokens), words) in parts.zip(tokens.u32_mut().chunks_exact_mut(n_tokens)).zip(words) {
            let mut state = DecodeState::from_words(words);
            pick(parts, tokens, &mut state);
            state.write_to(words);
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let n_seqs = decode_state::n_seqs(signature.input(2));
        let n_tokens = (signature.input(1).n_elements() / n_seqs) as u32;
        Call::new(rill_kernels::Kernel::SamplePick, sample_pick::Params { n_seqs: n_seqs as u32, n_tokens })
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let n_seqs = decode_state::n_seqs(signature.input(2));
        Kernel::new("sample_pick", (signature.input(1).n_elements() / n_seqs) as u32, [n_seqs as u32, 1, 1])
            .shared("decode_state")
            .shared("candidate")
            .constant("N_PARTS", N_PARTS)
    }
}
