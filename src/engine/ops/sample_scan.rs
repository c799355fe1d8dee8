//! The first half of choosing a token: the vocabulary in 128 parts, each under the suppression and timestamp rules.
//!
//! logits: `[S, V]`; flags: `[V]`, u32, bit 0 "never", bit 1 "not as the first token"; tokens: `[S, C]`, u32; states: those of S
//! sequences; cutoff: `[S]`, f32, the least logits that may be chosen (`sample_cutoff`; `None`: any). y: `[S * 256, 8]`: for each part first its text tokens, then its timestamp tokens, as (greatest score, its token, that
//! token's logit, greatest logit, sum of exp(logit - greatest), and three unused). The score is the logit, or while sampling the logit
//! over the temperature plus Gumbel noise, whose maximum is a sample of the softmax. Rules: `ApplyTimestampRules`, `SuppressBlank` and `SuppressTokens` in
//! openai/whisper `decoding.py`; that timestamps outweigh text only the whole vocabulary can tell, so `sample_pick` decides it.

use super::decode_state::{self, DecodeState};
use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::decode::{History, PART_SIZE, allowed, random};
use rill_kernels::{Call, sample_scan};

/// How many parts; as many threads put them together.
pub(super) const N_PARTS: usize = 128;

impl Tensor {
    /// See the module; `self` are the logits.
    pub fn sample_scan(
        &self,
        flags: &Tensor,
        tokens: &Tensor,
        state: &Tensor,
        cutoff: Option<&Tensor>,
    ) -> Result<Tensor> {
        record_one(SampleScan, self.recorder(), &[Some(self), Some(flags), Some(tokens), Some(state), cutoff])
    }
}

#[derive(Debug)]
struct SampleScan;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    vocab: u32,
    n_tokens: u32,
}

impl Op for SampleScan {
    fn name(&self) -> &'static str {
        "sample_scan"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(logits), Some(flags), Some(tokens), Some(states), cutoff] = inputs else {
            return Err(Error::Internal("sample_scan takes logits, flags, tokens and a state".into()));
        };
        let n_seqs = decode_state::n_seqs(states);
        expect_shape("sample_scan flags", flags, &[logits.n_cols()])?;
        expect_shape("sample_scan logits", logits, &[n_seqs, logits.n_cols()])?;
        decode_state::rows_of_each("sample_scan", tokens.n_elements(), states)?;
        if let Some(cutoff) = cutoff {
            expect_shape("sample_scan cutoff", cutoff, &[n_seqs])?;
        }
        Ok(Some(TensorType::f32([n_seqs * 2 * N_PARTS, PART_SIZE])))
    }

    fn define(&self, args: Operands) {
        let [Some(logits), Some(flags), Some(tokens), Some(states), cutoff] = args.inputs[..] else { unreachable!() };
        let vocab = logits.ty.n_cols();
        let n_tokens = tokens.ty.n_elements() / logits.ty.n_rows();
        let size = vocab.div_ceil(N_PARTS);
        let y = args.output.expect("sample_scan has an output");
        for (at, out) in y.f32_mut().chunks_exact_mut(PART_SIZE).enumerate() {
            let (seq, part, want_timestamps) = (at / 2 / N_PARTS, at / 2 % N_PARTS, at % 2 == 1);
            let logits = &logits.f32()[seq * vocab..][..vocab];
            let state = DecodeState::of(states.u32(), seq);
            let history = History::of(&state, &tokens.u32()[seq * n_tokens..][..n_tokens]);
            let next = state.position + state.n_rows;
            let least = cutoff.map_or(f32::MIN, |cutoff| cutoff.f32()[seq]);
            let mut best = (-3.0e38f32, 0u32, -3.0e38f32);
            let mut allowed_logits = Vec::new();
            let start = (part * size).min(vocab);
            let end = (start + size).min(vocab);
            for token in start as u32..end as u32 {
                let logit = logits[token as usize];
                if (token >= state.timestamp_begin) != want_timestamps
                    || logit < least
                    || !allowed(token, flags.u32()[token as usize], &state, &history)
                {
                    continue;
                }
                allowed_logits.push(f64::from(logit));
                let score = if state.temperature > 0.0 {
                    let u = f64::from(random(state.seed, next, token));
                    (f64::from(logit / state.temperature) - (-u.ln()).ln()) as f32
                } else {
                    logit
                };
                if score > best.0 {
                    best = (score, token, logit);
                }
            }
            let most = allowed_logits.iter().copied().fold(-3.0e38, f64::max);
            let sum: f64 = allowed_logits.iter().map(|l| (l - most).exp()).sum();
            out.copy_from_slice(&[best.0, best.1 as f32, best.2, most as f32, sum as f32, 0.0, 0.0, 0.0]);
        }
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::SampleScan, sample_scan::Params { n_parts: N_PARTS as u32 })
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let (n_seqs, vocab) = (signature.input(0).n_rows(), signature.input(0).n_cols());
        let params = Params { vocab: vocab as u32, n_tokens: (signature.input(2).n_elements() / n_seqs) as u32 };
        Kernel::new("sample_scan", params, [N_PARTS as u32, n_seqs as u32, 1])
            .shared("decode_state")
            .shared("candidate")
            .constant("N_PARTS", N_PARTS)
            .set("WG", if caps.is_plain() { 32.0 } else { 128.0 })
            .flag("HAS_CUTOFF", signature.has(4))
    }
}
