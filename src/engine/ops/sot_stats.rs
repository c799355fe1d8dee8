//! What the logits at start-of-transcript tell: the probability that nobody speaks, and the language.
//!
//! logits: `[S, V]`; the states of S sequences and their tokens, `[S, C]`, u32, written in place: a sequence that `detects` gets its language behind
//! start-of-transcript. No output. openai/whisper `decoding.py`: `no_speech_prob` is a
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
    pub fn sot_stats(&self, state: &Tensor, tokens: &Tensor) -> Result<()> {
        record(SotStats, self.recorder(), &[Some(self), Some(state), Some(tokens)]).map(|_| ())
    }
}

#[derive(Debug)]
struct SotStats;

impl Op for SotStats {
    fn name(&self) -> &'static str {
        "sot_stats"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(logits), Some(states), Some(tokens)] = inputs else {
            return Err(Error::Internal("sot_stats takes logits, a state and tokens".into()));
        };
        expect_shape("sot_stats logits", logits, &[decode_state::n_seqs(states), logits.n_cols()])?;
        decode_state::rows_of_each("sot_stats", tokens.n_elements(), states)?;
        Ok(None)
    }

    fn writes(&self) -> &'static [usize] {
        &[1, 2]
    }

    fn define(&self, args: Operands) {
        let [Some(logits), ..] = args.inputs[..] else { unreachable!() };
        let [words, tokens] = args.states else { unreachable!() };
        let n_tokens = tokens.ty.n_elements() / decode_state::n_seqs(&words.ty);
        let sequences = words.u32_mut().chunks_exact_mut(DecodeState::N_WORDS);
        let sequences = sequences.zip(tokens.u32_mut().chunks_exact_mut(n_tokens));
        for (logits, (words, tokens)) in logits.f32().chunks_exact(logits.ty.n_cols()).zip(sequences) {
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
            state.place_language(tokens);
            state.write_to(words);
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let vocab = signature.input(0).n_cols() as u32;
        Call::new(rill_kernels::Kernel::SotStats, sot_stats::Params { vocab, n_tokens: n_tokens(signature) })
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let logits = signature.input(0);
        let params = [logits.n_cols() as u32, n_tokens(signature)];
        Kernel::new("sot_stats", params, [logits.n_rows() as u32, 1, 1]).shared("decode_state").reduces(caps)
    }
}

/// Tokens of a sequence.
fn n_tokens(signature: &Signature) -> u32 {
    (signature.input(2).n_elements() / decode_state::n_seqs(signature.input(1))) as u32
}
