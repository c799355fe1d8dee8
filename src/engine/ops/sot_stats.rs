//! What the logits at start-of-transcript tell: the probability that nobody speaks, and the language.
//!
//! logits: `[S, V]`; the states of S sequences, written in place. No output. openai/whisper `decoding.py`: `no_speech_prob` is a
//! softmax over the whole vocabulary, the language the greatest logit among the language tokens.

use super::decode_state::{self, DecodeState};
use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, sot_stats};

impl Tensor {
    /// See the module; `self` are the logits.
    pub fn sot_stats(&self, state: &Tensor) -> Result<()> {
        record(SotStats, self.recorder(), &[Some(self), Some(state)]).map(|_| ())
    }
}

#[derive(Debug)]
struct SotStats;

impl Op for SotStats {
    fn name(&self) -> &'static str {
        "sot_stats"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(logits), Some(states)] = inputs else {
            return Err(Error::Internal("sot_stats takes logits and a state".into()));
        };
        expect_shape("sot_stats logits", logits, &[decode_state::n_seqs(states), logits.n_cols()])?;
        Ok(None)
    }

    fn writes(&self) -> &'static [usize] {
        &[1]
    }

    fn define(&self, args: Operands) {
        let [Some(logits), _] = args.inputs[..] else { unreachable!() };
        let words = args.states[0].u32_mut().chunks_exact_mut(DecodeState::N_WORDS);
        for (logits, words) in logits.f32().chunks_exact(logits.ty.n_cols()).zip(words) {
            let mut state = DecodeState::from_words(words);
            let most = logits.iter().copied().fold(f32::MIN, f32::max);
            let sum: f64 = logits.iter().map(|l| f64::from(l - most).exp()).sum();
            if let Some(logit) = logits.get(state.no_speech as usize) {
                state.no_speech_prob = (f64::from(logit - most).exp() / sum) as f32;
            }
            let languages = state.language_begin..state.language_begin + state.n_languages;
            let best = languages
                .filter(|&t| (t as usize) < logits.len())
                .reduce(|a, b| if logits[b as usize] > logits[a as usize] { b } else { a });
            state.language = best.unwrap_or(0);
            state.write_to(words);
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let vocab = signature.input(0).n_cols() as u32;
        Call::new(rill_kernels::Kernel::SotStats, sot_stats::Params { vocab })
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let logits = signature.input(0);
        Kernel::new("sot_stats", logits.n_cols() as u32, [logits.n_rows() as u32, 1, 1])
            .shared("decode_state")
            .reduces(caps)
    }
}
