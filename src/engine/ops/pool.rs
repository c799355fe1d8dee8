//! `y[b, :] = pool(x[b, 0..length_b, :])`, optionally scaled to length one: a sentence's embedding.
//!
//! x: `[B * T, D]`, f32, lengths: `[B]`, u32; y: `[B, D]`, f32. `Pooling` and `Normalize` of sentence-transformers.

use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Binary, Compare, Lowered, Lowering, Operand, Reduce, Unary};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, pool};

/// What becomes of a sequence's real rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// Their sum by the square root of their number.
    MeanSqrtLen,
    /// The first of them: BERT's `[CLS]`.
    First,
    /// Their greatest elements.
    Max,
}

impl Pooling {
    /// Its number in `shaders/pool.wgsl` and in the processor's kernel.
    fn code(self) -> u32 {
        match self {
            Pooling::Mean => pool::MEAN,
            Pooling::MeanSqrtLen => pool::MEAN_SQRT_LEN,
            Pooling::First => pool::FIRST,
            Pooling::Max => pool::MAX,
        }
    }
}

impl Tensor {
    /// See the module; `seq_len` is T.
    pub fn pool(&self, lengths: &Tensor, seq_len: usize, pooling: Pooling, normalize: bool) -> Result<Tensor> {
        record_one(Pool { seq_len, pooling, normalize }, self.recorder(), &[Some(self), Some(lengths)])
    }
}

#[derive(Debug)]
struct Pool {
    seq_len: usize,
    pooling: Pooling,
    normalize: bool,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_cols: u32,
    seq_len: u32,
    mode: u32,
    normalize: u32,
}

impl Op for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(lengths)] = inputs else {
            return Err(Error::Internal("pool takes x and lengths".into()));
        };
        let n_seqs = x.n_rows() / self.seq_len;
        expect_shape("pool lengths", lengths, &[n_seqs])?;
        Ok(Some(TensorType::f32([n_seqs, x.n_cols()])))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(lengths)] = args.inputs[..] else { unreachable!() };
        let d = x.ty.n_cols();
        let y = args.output.expect("pool has an output");
        for (b, out) in y.f32_mut().chunks_exact_mut(d).enumerate() {
            let n_real = (lengths.u32()[b] as usize).clamp(1, self.seq_len);
            let rows: Vec<&[f32]> = x.f32()[b * self.seq_len * d..].chunks_exact(d).take(n_real).collect();
            let column = |c: usize| rows.iter().map(move |row| f64::from(row[c]));
            let pooled: Vec<f64> = (0..d)
                .map(|c| match self.pooling {
                    Pooling::Mean => column(c).sum::<f64>() / n_real as f64,
                    Pooling::MeanSqrtLen => column(c).sum::<f64>() / (n_real as f64).sqrt(),
                    Pooling::First => f64::from(rows[0][c]),
                    Pooling::Max => column(c).fold(f64::NEG_INFINITY, f64::max),
                })
                .collect();
            let length = pooled.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
            for (to, v) in out.iter_mut().zip(pooled) {
                *to = if self.normalize { v / length } else { v } as f32;
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = pool::Params {
            n_cols: signature.input(0).n_cols() as u32,
            seq_len: self.seq_len as u32,
            mode: self.pooling.code(),
            normalize: u32::from(self.normalize),
        };
        Call::new(rill_kernels::Kernel::Pool, params)
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let x = signature.input(0);
        let params = Params {
            n_cols: x.n_cols() as u32,
            seq_len: self.seq_len as u32,
            mode: self.pooling.code(),
            normalize: u32::from(self.normalize),
        };
        Kernel::new("pool", params, [signature.output().n_rows() as u32, 1, 1])
            .reduces(caps)
            .constant("N_COLS", x.n_cols())
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(lengths)] = *inputs else { return Ok(None) };
        let ((n_rows, d), t) = (b.rows_and_cols(x), self.seq_len);
        let n_seqs = n_rows / t;
        let x = b.reshape(x, &[n_seqs, t, d])?;
        let (places, lengths) = (b.iota(&[1, t, 1]), b.reshape(lengths, &[n_seqs, 1, 1])?);
        let is_real = b.compare(Compare::Lesser, places, lengths)?;
        let mut y = match self.pooling {
            Pooling::First => b.slice(x, &[0, 0, 0], &[n_seqs, 1, d])?,
            Pooling::Max => {
                let mask = b.mask(is_real)?;
                let masked = b.add(x, mask)?;
                b.reduce(Reduce::Max, masked, 1)?
            }
            Pooling::Mean | Pooling::MeanSqrtLen => {
                let is_real = b.f32(is_real)?;
                let real = b.mul(x, is_real)?;
                let sum = b.reduce(Reduce::Sum, real, 1)?;
                let mut divisor = b.f32(lengths)?;
                if self.pooling == Pooling::MeanSqrtLen {
                    divisor = b.unary(Unary::Sqrt, divisor)?;
                }
                b.binary(Binary::Div, sum, divisor)?
            }
        };
        if self.normalize {
            let squares = b.reduce(Reduce::SumSquare, y, 2)?;
            let length = b.unary(Unary::Sqrt, squares)?;
            let least = b.float(1e-12);
            let length = b.binary(Binary::Max, length, least)?;
            y = b.binary(Binary::Div, y, length)?;
        }
        Ok(Some(b.reshape(y, &[n_seqs, d])?.into()))
    }
}
