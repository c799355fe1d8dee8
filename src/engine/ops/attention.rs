//! Self-attention over whole sequences, without ever storing the scores.
//!
//! qkv: `[B * T, 3 * D]`, each row query, key and value of one position, D = H heads of size E. lengths: `[B]`, u32, how many
//! positions of each sequence are real (`None`: all). y: `[B * T, D]`, `softmax(q . k / sqrt(E)) . v` per head. The kernel keeps
//! a running maximum and sum per query (Milakov and Gimelshein 2018, arXiv 1805.02867), so memory is linear in T.

use super::math::{dot, softmax};
use crate::engine::graph::{Tensor, record_one};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::Call;

impl Tensor {
    /// See the module; `seq_len` is T.
    pub fn attention(&self, lengths: Option<&Tensor>, n_heads: usize, seq_len: usize) -> Result<Tensor> {
        record_one(Attention { n_heads, seq_len }, self.recorder(), &[Some(self), lengths])
    }
}

#[derive(Debug)]
struct Attention {
    n_heads: usize,
    seq_len: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    seq_len: u32,
    n_heads: u32,
    scale: f32,
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(qkv), lengths] = inputs else { return Err(Error::Internal("attention takes qkv".into())) };
        let (n_rows, d3) = (qkv.n_rows(), qkv.n_cols());
        if !d3.is_multiple_of(3 * self.n_heads * 4) || !n_rows.is_multiple_of(self.seq_len) {
            let expected = vec![n_rows, 3 * self.n_heads * 4 * d3.div_ceil(12 * self.n_heads)];
            return Err(Error::Shape { name: "attention qkv".into(), expected, got: qkv.shape.clone() });
        }
        if let Some(lengths) = lengths {
            super::linear::expect_shape("attention lengths", lengths, &[n_rows / self.seq_len])?;
        }
        Ok(Some(TensorType::new(qkv.dtype, [n_rows, d3 / 3])))
    }

    fn define(&self, args: Operands) {
        let [Some(qkv), lengths] = args.inputs[..] else { unreachable!() };
        let (d3, t) = (qkv.ty.n_cols(), self.seq_len);
        let (d, e) = (d3 / 3, d3 / 3 / self.n_heads);
        let part = |row: usize, which: usize, head: usize| &qkv.f32()[row * d3 + which * d + head * e..][..e];
        let y = args.output.expect("attention has an output");
        let out = y.f32_mut();
        for row in 0..qkv.ty.n_rows() {
            let first = row / t * t;
            let n_keys = lengths.map_or(t, |l| l.u32()[row / t] as usize);
            for head in 0..self.n_heads {
                let scale = 1.0 / (e as f64).sqrt();
                let mut scores: Vec<f64> =
                    (0..n_keys).map(|key| dot(part(row, 0, head), part(first + key, 1, head)) * scale).collect();
                softmax(&mut scores);
                let mut sum = vec![0.0f64; e];
                for (key, weight) in scores.iter().enumerate() {
                    for (s, v) in sum.iter_mut().zip(part(first + key, 2, head)) {
                        *s += weight * f64::from(*v);
                    }
                }
                for (to, s) in out[row * d + head * e..][..e].iter_mut().zip(sum) {
                    *to = s as f32;
                }
            }
        }
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        todo!()
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let qkv = signature.input(0);
        let head_size = qkv.n_cols() / 3 / self.n_heads;
        let params = Params {
            seq_len: self.seq_len as u32,
            n_heads: self.n_heads as u32,
            scale: 1.0 / (head_size as f32).sqrt(),
        };
        let n_seqs = qkv.n_rows() / self.seq_len;
        // On a processor posing as a GPU each thread keeps a query to itself; a GPU shares tiles of keys and values.
        let (shader, queries) = if caps.software { ("attention_direct", 64) } else { ("attention_tiled", 32) };
        let groups = [self.seq_len.div_ceil(queries) as u32, self.n_heads as u32, n_seqs as u32];
        Kernel::new(shader, params, groups)
            .alias("x_t", qkv.dtype)
            .constant("HEAD_VECS", head_size / 4)
            .flag("HAS_LENGTHS", signature.has(1))
    }

    fn flops(&self, signature: &Signature) -> u64 {
        4 * (signature.output().n_elements() * self.seq_len) as u64
    }
}
