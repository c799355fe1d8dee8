//! Puts the parts of `attention_cross`, or of `attention`, together: `y = sum over p of exp(max_p - max) sum_p / sum over p of exp(max_p - max) total_p`.
//!
//! parts: `[R * H * P, E + 4]`, y: `[R, D]`.

use super::attention_cross::N_PARTS;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
use crate::engine::tensor::{DType, TensorType};
use crate::engine::{Error, Result};
use rill_kernels::{Call, attention_combine};

impl Tensor {
    /// See the module.
    pub fn attention_combine(&self, n_heads: usize, output: DType) -> Result<Tensor> {
        record_one(AttentionCombine { n_heads, output }, self.recorder(), &[Some(self)])
    }
}

#[derive(Debug)]
struct AttentionCombine {
    n_heads: usize,
    output: DType,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_parts: u32,
    n_heads: u32,
}

/// Threads that share a vector of the output and take turns with the parts, where there are more parts than that.
const TURNS: usize = 8;
/// Threads of a workgroup at most.
const MOST_THREADS: usize = 256;
/// Threads of a workgroup that has several heads.
const FEW_THREADS: usize = 128;

/// The kernel for `n_heads` heads, those of all rows together, of `n_vecs` vectors of four each.
pub(super) fn kernel(n_parts: usize, n_heads: usize, n_vecs: usize, output: DType) -> Kernel {
    let turns = if n_parts > TURNS { (MOST_THREADS / n_vecs).clamp(1, TURNS) } else { 1 };
    let each = if turns == 1 { (FEW_THREADS / n_vecs).max(1) } else { 1 };
    let params = Params { n_parts: n_parts as u32, n_heads: n_heads as u32 };
    Kernel::new("attention_combine", params, fold_workgroups(n_heads.div_ceil(each)))
        .alias("y_t", output)
        .constant("N_VECS", n_vecs)
        .constant("TURNS", turns)
        .constant("HEADS", each)
}

impl Op for AttentionCombine {
    fn name(&self) -> &'static str {
        "attention_combine"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(parts)] = inputs else { return Err(Error::Internal("attention_combine takes parts".into())) };
        let d = self.n_heads * (parts.n_cols() - 4);
        Ok(Some(TensorType::new(self.output, [parts.n_rows() / self.n_heads / N_PARTS, d])))
    }

    fn define(&self, args: Operands) {
        let [Some(parts)] = args.inputs[..] else { unreachable!() };
        let e = parts.ty.n_cols() - 4;
        let y = args.output.expect("attention_combine has an output");
        for (head, out) in parts.f32().chunks_exact(N_PARTS * (e + 4)).zip(y.f32_mut().chunks_exact_mut(e)) {
            let parts: Vec<_> = head.chunks_exact(e + 4).collect();
            let most = parts.iter().map(|p| f64::from(p[e])).fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = parts.iter().map(|p| (f64::from(p[e]) - most).exp()).collect();
            let total: f64 = parts.iter().zip(&shares).map(|(p, s)| f64::from(p[e + 1]) * s).sum();
            for (c, v) in out.iter_mut().enumerate() {
                *v = (parts.iter().zip(&shares).map(|(p, s)| f64::from(p[c]) * s).sum::<f64>() / total) as f32;
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let head_size = signature.input(0).n_cols() as u32 - 4;
        Call::new(
            rill_kernels::Kernel::AttentionCombine,
            attention_combine::Params { n_parts: N_PARTS as u32, head_size },
        )
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let parts = signature.input(0);
        kernel(N_PARTS, parts.n_rows() / N_PARTS, parts.n_cols() / 4 - 1, self.output)
    }

    /// What `attention_cross` lowers to is whole already.
    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(whole)] = *inputs else { return Ok(None) };
        Ok(Some(b.cast_as(whole, self.output)?.into()))
    }
}
