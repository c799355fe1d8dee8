//! The most probable tokens of each row, with the logarithms of their probabilities: what a beam search goes on from.
//!
//! logits: `[R, V]`; y: `[R, 2 K]`, f32: the log-probabilities of the K most probable tokens, falling, then their numbers. Of equal ones the
//! lower number comes first.

use crate::engine::graph::{Tensor, record_one};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, top_tokens};

impl Tensor {
    /// See the module; `self` are the logits, `n` is K.
    pub fn top_tokens(&self, n: usize) -> Result<Tensor> {
        record_one(TopTokens { n }, self.recorder(), &[Some(self)])
    }
}

#[derive(Debug)]
struct TopTokens {
    n: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    vocab: u32,
    n_top: u32,
}

impl Op for TopTokens {
    fn name(&self) -> &'static str {
        "top_tokens"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        match inputs {
            [Some(logits)] if (1..=top_tokens::MOST.min(logits.n_cols())).contains(&self.n) => {
                Ok(Some(TensorType::f32([logits.n_rows(), 2 * self.n])))
            }
            _ => Err(Error::Internal(format!("top_tokens takes logits, for 1 to {} of them", top_tokens::MOST))),
        }
    }

    fn define(&self, args: Operands) {
        let [Some(logits)] = args.inputs[..] else { unreachable!() };
        let y = args.output.expect("top_tokens has an output");
        for (logits, out) in logits.f32().chunks_exact(logits.ty.n_cols()).zip(y.f32_mut().chunks_exact_mut(2 * self.n))
        {
            let mut tokens: Vec<usize> = (0..logits.len()).collect();
            tokens.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
            let most = f64::from(logits[tokens[0]]);
            let log_sum = most + logits.iter().map(|&l| (f64::from(l) - most).exp()).sum::<f64>().ln();
            for (i, &token) in tokens.iter().take(self.n).enumerate() {
                out[i] = (f64::from(logits[token]) - log_sum) as f32;
                out[self.n + i] = token as f32;
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = top_tokens::Params { vocab: signature.input(0).n_cols() as u32, n_top: self.n as u32 };
        Call::new(rill_kernels::Kernel::TopTokens, params)
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let logits = signature.input(0);
        let params = Params { vocab: logits.n_cols() as u32, n_top: self.n as u32 };
        Kernel::new("top_tokens", params, [logits.n_rows() as u32, 1, 1]).reduces(caps)
    }
}
