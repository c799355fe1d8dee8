//! The least logit that may be drawn, by top-k and top-p, of each sequence.
//!
//! logits: `[S, V]`; flags: `[V]`, u32, bit 0 "never"; states: those of S sequences. y: `[S]`, f32: the least logit that both rules let pass. As
//! `TopKLogitsWarper` and `TopPLogitsWarper` of Hugging Face's transformers, after the temperature and in this order: with `top_k` the
//! logits that are not among so many of the greatest are out; with `top_p` those before which, from the greatest on, the rest already have
//! that share of the probability. Equal logits stay or go together. Greedy decoding, `top_k` 0 and `top_p` 1 let everything pass.
//!
//! The kernels find the border digit by digit of the logits' bits (a radix selection), eight bits at a time, by counts and by sums of
//! probabilities in fixed point, which come out the same in any order of adding.

use super::decode_state::{self, DecodeState};
use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::Call;

/// Lets everything pass.
const NO_CUTOFF: f32 = -3.0e38;

impl Tensor {
    /// See the module; `self` are the logits.
    pub fn sample_cutoff(&self, flags: &Tensor, state: &Tensor) -> Result<Tensor> {
        record_one(SampleCutoff, self.recorder(), &[Some(self), Some(flags), Some(state)])
    }
}

#[derive(Debug)]
struct SampleCutoff;

impl Op for SampleCutoff {
    fn name(&self) -> &'static str {
        "sample_cutoff"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(logits), Some(flags), Some(states)] = inputs else {
            return Err(Error::Internal("sample_cutoff takes logits, flags and a state".into()));
        };
        expect_shape("sample_cutoff flags", flags, &[logits.n_cols()])?;
        expect_shape("sample_cutoff logits", logits, &[decode_state::n_seqs(states), logits.n_cols()])?;
        Ok(Some(TensorType::f32([logits.n_rows()])))
    }

    fn define(&self, args: Operands) {
        let [Some(logits), Some(flags), Some(states)] = args.inputs[..] else { unreachable!() };
        let y = args.output.expect("sample_cutoff has an output");
        for (seq, (logits, y)) in logits.f32().chunks_exact(logits.ty.n_cols()).zip(y.f32_mut()).enumerate() {
            *y = cutoff(logits, flags.u32(), &DecodeState::of(states.u32(), seq));
        }
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::SampleCutoff, ())
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let logits = signature.input(0);
        Kernel::new("sample_cutoff", logits.n_cols() as u32, [logits.n_rows() as u32, 1, 1])
            .shared("decode_state")
            .reduces(caps)
    }
}

/// Of one sequence.
fn cutoff(logits: &[f32], flags: &[u32], state: &DecodeState) -> f32 {
    let allowed = logits.iter().zip(flags).filter(|(_, flags)| **flags & 1 == 0);
    let mut sorted: Vec<f32> = allowed.map(|(&logit, _)| logit).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let mut cutoff = NO_CUTOFF;
    let Some(&most) = sorted.first().filter(|_| state.temperature > 0.0) else { return cutoff };
    if state.top_k > 0 && (state.top_k as usize) < sorted.len() {
        cutoff = sorted[state.top_k as usize - 1];
        sorted.retain(|&logit| logit >= cutoff);
    }
    if state.top_p < 1.0 {
        let weight = |logit: f32| (f64::from(logit - most) / f64::from(state.temperature)).exp();
        let enough = f64::from(state.top_p) * sorted.iter().map(|&logit| weight(logit)).sum::<f64>();
        let mut sum = 0.0;
        for &logit in &sorted {
            cutoff = logit;
            sum += weight(logit);
            if sum >= enough {
                break;
            }
        }
    }
    cutoff
}
