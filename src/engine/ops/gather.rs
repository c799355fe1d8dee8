//! `y[r, :] = x[rows[r], :]` for rows that the host names at each run, past the end clamped.
//!
//! x: `[N, D]`, f32, rows: `[R]`, u32; y: `[R, D]`, f32. What follows (a projection onto a vocabulary) is done for these alone.

use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, gather};

impl Tensor {
    /// See the module.
    pub fn gather(&self, rows: &Tensor) -> Result<Tensor> {
        record_one(Gather, self.recorder(), &[Some(self), Some(rows)])
    }
}

#[derive(Debug)]
struct Gather;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_cols: u32,
    n_rows: u32,
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(rows)] = inputs else { return Err(Error::Internal("gather takes x and rows".into())) };
        Ok(Some(TensorType::f32([rows.n_elements(), x.n_cols()])))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(rows)] = args.inputs[..] else { unreachable!() };
        let d = x.ty.n_cols();
        let y = args.output.expect("gather has an output");
        for (out, &row) in y.f32_mut().chunks_exact_mut(d).zip(rows.u32()) {
            out.copy_from_slice(&x.f32()[(row as usize).min(x.ty.n_rows() - 1) * d..][..d]);
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = gather::Params { n_cols: signature.input(0).n_cols() as u32 };
        Call::new(rill_kernels::Kernel::Gather, params)
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let x = signature.input(0);
        let params = Params { n_cols: x.n_cols() as u32, n_rows: x.n_rows() as u32 };
        Kernel::new("gather", params, [signature.output().n_rows() as u32, 1, 1])
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(rows)] = *inputs else { return Ok(None) };
        let rows = b.at_most(rows, b.ty(x).shape[0] - 1)?;
        Ok(Some(b.gather(x, rows)?.into()))
    }

    fn bytes(&self, signature: &Signature) -> u64 {
        2 * signature.output_bytes() + signature.input_bytes(1)
    }
}
