//! `to[r, :] = x[r, :]` for the first rows of a state that may have more of them.
//!
//! x: `[R, C]`; to: `[S, C]`, S at least R, of the same type, written in place. No output. Graphs for inputs of several lengths leave their
//! result in one place, so that what follows is recorded once.

use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record};
use crate::engine::lowering::{Lowered, Lowering, Operand, Primitive};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::Call;

impl Tensor {
    /// See the module.
    pub fn store_rows(&self, to: &Tensor) -> Result<()> {
        record(StoreRows, self.recorder(), &[Some(self), Some(to)]).map(|_| ())
    }
}

#[derive(Debug)]
struct StoreRows;

impl Op for StoreRows {
    fn name(&self) -> &'static str {
        "store_rows"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(to)] = inputs else { return Err(Error::Internal("store_rows takes x and a state".into())) };
        expect_shape("store_rows state", to, &[to.n_rows().max(x.n_rows()), x.n_cols()])?;
        if x.dtype != to.dtype {
            return Err(Error::Internal("store_rows takes x and a state of one type".into()));
        }
        Ok(None)
    }

    fn writes(&self) -> &'static [usize] {
        &[1]
    }

    fn define(&self, args: Operands) {
        let [Some(x), _] = args.inputs[..] else { unreachable!() };
        args.states[0].f32_mut()[..x.ty.n_elements()].copy_from_slice(x.f32());
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::StoreRows, ())
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let x = signature.input(0);
        let n = x.n_elements();
        Kernel::new("store_rows", n as u32, fold_workgroups(n.div_ceil(64))).alias("x_t", x.dtype)
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(to)] = *inputs else { return Ok(None) };
        let ((n_rows, n_cols), (n_all, _)) = (b.rows_and_cols(x), b.rows_and_cols(to));
        let whole = if n_all > n_rows {
            let rest = b.slice(to, &[n_rows, 0], &[n_all - n_rows, n_cols])?;
            b.concat(&[x, rest], 0)?
        } else {
            // A step even where nothing changes: an input cannot be an output.
            b.step(Primitive::Reshape(vec![n_all, n_cols]), &[x])?
        };
        Ok(Some(Lowered { output: None, states: vec![whole] }))
    }
}
