//! `y[b, :] = mean(x[b, 0..length_b, :])`, scaled to length one: a sentence's embedding.
//!
//! x: `[B * T, D]`, lengths: `[B]`, u32; y: `[B, D]`. `Pooling` and `Normalize` of sentence-transformers.

use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Binary, Compare, Lowered, Lowering, Operand, Reduce, Unary};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, mean_pool};

impl Tensor {
    /// See the module; `seq_len` is T.
    pub fn mean_pool(&self, lengths: &Tensor, seq_len: usize) -> Result<Tensor> {
        record_one(MeanPool { seq_len }, self.recorder(), &[Some(self), Some(lengths)])
    }
}

#[derive(Debug)]
struct MeanPool {
    seq_len: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_cols: u32,
    seq_len: u32,
}

impl Op for MeanPool {
    fn name(&self) -> &'static str {
        "mean_pool"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(lengths)] = inputs else {
            return Err(Error::Internal("mean_pool takes x and lengths".into()));
        };
        let n_seqs = x.n_rows() / self.seq_len;
        expect_shape("mean_pool lengths", lengths, &[n_seqs])?;
        Ok(Some(TensorType::f32([n_seqs, x.n_cols()])))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(lengths)] = args.inputs[..] else { unreachable!() };
        let d = x.ty.n_cols();
        let y = args.output.expect("mean_pool has an output");
        for (b, out) in y.f32_mut().chunks_exact_mut(d).enumerate() {
            let mut sum = vec![0.0f64; d];
            for row in x.f32()[b * self.seq_len * d..].chunks_exact(d).take(lengths.u32()[b] as usize) {
                for (s, v) in sum.iter_mut().zip(row) {
                    *s += f64::from(*v);
                }
            }
            // The division by the length cancels out of the unit vector.
            let norm = sum.iter().map(|s| s * s).sum::<f64>().sqrt().max(1e-12);
            for (to, s) in out.iter_mut().zip(sum) {
                *to = (s / norm) as f32;
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = mean_pool::Params { n_cols: signature.input(0).n_cols() as u32, seq_len: self.seq_len as u32 };
        Call::new(rill_kernels::Kernel::MeanPool, params)
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let x = signature.input(0);
        let params = Params { n_cols: x.n_cols() as u32, seq_len: self.seq_len as u32 };
        Kernel::new("mean_pool", params, [signature.output().n_rows() as u32, 1, 1])
            .shared("reduce")
            .constant("N_COLS", x.n_cols())
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(lengths)] = *inputs else { return Ok(None) };
        let ((n_rows, d), t) = (b.rows_and_cols(x), self.seq_len);
        let n_seqs = n_rows / t;
        let x = b.reshape(x, &[n_seqs, t, d])?;
        let (places, lengths) = (b.iota(&[1, t, 1]), b.reshape(lengths, &[n_seqs, 1, 1])?);
        let is_real = b.compare(Compare::Lesser, places, lengths)?;
        let is_real = b.f32(is_real)?;
        let real = b.mul(x, is_real)?;
        let sum = b.reduce(Reduce::Sum, real, 1)?;
        let squares = b.reduce(Reduce::SumSquare, sum, 2)?;
        let norm = b.unary(Unary::Sqrt, squares)?;
        let least = b.float(1e-12);
        let norm = b.binary(Binary::Max, norm, least)?;
        let y = b.binary(Binary::Div, sum, norm)?;
        Ok(Some(b.reshape(y, &[n_seqs, d])?.into()))
    }
}
