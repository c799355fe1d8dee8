//! `y[r, :] = act(x[r, :F]) * x[r, F:]`, the gated feed-forward layers of T5 v1.1 (Shazeer 2020, arXiv 2002.05202).
//!
//! x: `[R, 2 F]`, two linear maps of one input beside each other; y: `[R, F]`.

use super::linear::lower_activation;
use super::math::Activation;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, gated};

impl Tensor {
    /// See the module.
    pub fn gated(&self, activation: Activation) -> Result<Tensor> {
        record_one(Gated { activation }, self.recorder(), &[Some(self)])
    }
}

#[derive(Debug)]
struct Gated {
    activation: Activation,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_cols: u32,
    n_out: u32,
}

impl Op for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x)] = inputs else { return Err(Error::Internal("gated takes x".into())) };
        if !x.n_cols().is_multiple_of(2) {
            let expected = vec![x.n_rows(), x.n_cols() + 1];
            return Err(Error::Shape { name: "gated x".into(), expected, got: x.shape.clone() });
        }
        Ok(Some(TensorType::new(x.dtype, [x.n_rows(), x.n_cols() / 2])))
    }

    fn define(&self, args: Operands) {
        let [Some(x)] = args.inputs[..] else { unreachable!() };
        let n_cols = x.ty.n_cols() / 2;
        let y = args.output.expect("gated has an output");
        for (x, out) in x.f32().chunks_exact(2 * n_cols).zip(y.f32_mut().chunks_exact_mut(n_cols)) {
            let (gate, rest) = x.split_at(n_cols);
            for ((v, gate), x) in out.iter_mut().zip(gate).zip(rest) {
                *v = (self.activation.apply(f64::from(*gate)) * f64::from(*x)) as f32;
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = gated::Params { n_cols: signature.output().n_cols() as u32, activation: self.activation.code() };
        Call::new(rill_kernels::Kernel::Gated, params)
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let y = signature.output();
        let params = Params { n_cols: y.n_cols() as u32, n_out: y.n_elements() as u32 };
        Kernel::new("gated", params, fold_workgroups(y.n_elements().div_ceil(64)))
            .shared("activation")
            .alias("x_t", y.dtype)
            .set("ACTIVATION", self.activation.code())
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x)] = *inputs else { return Ok(None) };
        let (n_rows, n_cols) = b.rows_and_cols(x);
        let output = b.ty(x).element;
        let x = b.f32(x)?;
        let gate = b.slice(x, &[0, 0], &[n_rows, n_cols / 2])?;
        let rest = b.slice(x, &[0, n_cols / 2], &[n_rows, n_cols / 2])?;
        let gate = lower_activation(b, self.activation, gate)?;
        let y = b.mul(gate, rest)?;
        Ok(Some(b.cast(y, output)?.into()))
    }
}
