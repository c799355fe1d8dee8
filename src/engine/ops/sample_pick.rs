//! The second half of choosing a token: decides between text and timestamps, writes the token and moves the state on.
//!
//! parts: `[128, 8]` (`sample_scan`); tokens: `[C]`, u32, and state: the decoder's, both written in place. No output. While
//! timestamps are in use and all of them together are more probable than any text token, the next token is a timestamp
//! (openai/whisper `decoding.py`, `ApplyTimestampRules`). Nothing changes once the state is finished.

use super::decode_state::DecodeState;
use super::linear::expect_shape;
use super::sample_scan::{N_PARTS, PART_SIZE};
use crate::engine::graph::{Tensor, record};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::Call;

impl Tensor {
    /// See the module; `self` are the parts.
    pub fn sample_pick(&self, tokens: &Tensor, state: &Tensor) -> Result<()> {
        record(SamplePick, self.recorder(), &[Some(self), Some(tokens), Some(state)]).map(|_| ())
    }
}

#[derive(Debug)]
struct SamplePick;

/// The best token of a region, and the logarithm of the sum of its exponentials.
#[derive(Clone, Copy)]
struct Region {
    score: f32,
    token: u32,
    logit: f32,
    most: f32,
    log_sum: f64,
}

impl Region {
    /// Puts the parts of text (`which` 0) or timestamps (1) together.
    fn of(parts: &[f32], which: usize) -> Self {
        let parts = || parts.chunks_exact(PART_SIZE).skip(which).step_by(2);
        let mut best = Region { score: -3.0e38, token: 0, logit: -3.0e38, most: -3.0e38, log_sum: f64::NEG_INFINITY };
        for p in parts() {
            if p[0] > best.score {
                best = Region { score: p[0], token: p[1] as u32, logit: p[2], ..best };
            }
            best.most = best.most.max(p[3]);
        }
        let most = f64::from(best.most);
        best.log_sum = most + parts().map(|p| f64::from(p[4]) * (f64::from(p[3]) - most).exp()).sum::<f64>().ln();
        best
    }
}

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
        let mut state = DecodeState::from_words(args.states[1].u32());
        if state.finished != 0 {
            return;
        }
        let (text, times) = (Region::of(parts.f32(), 0), Region::of(parts.f32(), 1));
        let only_times = state.use_timestamps == 1 && times.log_sum > f64::from(text.most);
        let chosen = if only_times || times.score > text.score { times } else { text };
        let log_sum = if only_times {
            times.log_sum
        } else {
            let most = text.log_sum.max(times.log_sum);
            most + ((text.log_sum - most).exp() + (times.log_sum - most).exp()).ln()
        };
        let next = state.position + state.n_rows;
        if let Some(token) = args.states[0].u32_mut().get_mut(next as usize) {
            *token = chosen.token;
        }
        state.sum_logprob += (f64::from(chosen.logit) - log_sum) as f32;
        if chosen.token >= state.timestamp_begin {
            state.last_timestamp = chosen.token;
        }
        state.position = next;
        state.n_rows = 1;
        state.finished = u32::from(chosen.token == state.eot || next + 1 >= state.limit);
        state.write_to(args.states[1].u32_mut());
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
