//! `y[b, :] = [x[b, 0, :], mean over t >= F of x[b, t, :]]`: what DINOv2's classifier looks at, the class token beside the mean of the
//! patches.
//!
//! x: `[B * T, D]`, f32, F tokens of the model's own in front of each picture's patches; y: `[B, 2 * D]`, f32.

use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand, Reduce};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, class_mean};

impl Tensor {
    /// See the module; `n_tokens` is T, `n_own` is F.
    pub fn class_mean(&self, n_tokens: usize, n_own: usize) -> Result<Tensor> {
        record_one(ClassMean { n_tokens, n_own }, self.recorder(), &[Some(self)])
    }
}

#[derive(Debug)]
struct ClassMean {
    n_tokens: usize,
    n_own: usize,
}

impl ClassMean {
    fn params(&self, signature: &Signature) -> class_mean::Params {
        class_mean::Params {
            n_cols: signature.input(0).n_cols() as u32,
            n_tokens: self.n_tokens as u32,
            n_own: self.n_own as u32,
        }
    }
}

impl Op for ClassMean {
    fn name(&self) -> &'static str {
        "class_mean"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x)] = inputs else { return Err(Error::Internal("class_mean takes x".into())) };
        if self.n_own >= self.n_tokens || !x.n_rows().is_multiple_of(self.n_tokens) {
            return Err(Error::Internal("class_mean: every picture has its tokens and some patches".into()));
        }
        Ok(Some(TensorType::f32([x.n_rows() / self.n_tokens, 2 * x.n_cols()])))
    }

    fn define(&self, args: Operands) {
        let [Some(x)] = args.inputs[..] else { unreachable!() };
        let d = x.ty.n_cols();
        let y = args.output.expect("class_mean has an output");
        for (picture, out) in x.f32().chunks_exact(self.n_tokens * d).zip(y.f32_mut().chunks_exact_mut(2 * d)) {
            out[..d].copy_from_slice(&picture[..d]);
            let patches = &picture[self.n_own * d..];
            for c in 0..d {
                let sum: f64 = patches.iter().skip(c).step_by(d).map(|&v| f64::from(v)).sum();
                out[d + c] = (sum / (self.n_tokens - self.n_own) as f64) as f32;
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::ClassMean, self.params(signature))
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let (n_pictures, d) = (signature.output().n_rows(), signature.input(0).n_cols());
        Kernel::new("class_mean", self.params(signature), [d.div_ceil(64) as u32, n_pictures as u32, 1])
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x)] = *inputs else { return Ok(None) };
        let (n_rows, d) = b.rows_and_cols(x);
        let (n, n_patches) = (n_rows / self.n_tokens, self.n_tokens - self.n_own);
        let x = b.reshape(x, &[n, self.n_tokens, d])?;
        let class = b.slice(x, &[0, 0, 0], &[n, 1, d])?;
        let patches = b.slice(x, &[0, self.n_own, 0], &[n, n_patches, d])?;
        let sum = b.reduce(Reduce::Sum, patches, 1)?;
        let mean = b.scale(sum, 1.0 / n_patches as f32)?;
        let y = b.concat(&[class, mean], 2)?;
        Ok(Some(b.reshape(y, &[n, 2 * d])?.into()))
    }
}
