//! `to[r, :] = x[r, :]` for the first rows of a state that may have more of them.
//!
//! x: `[R, C]`; to: `[S, C]`, S at least R, of the same type, written in place, or `[G, S, C]` with region `[1]`, u32, which says to which of the
//! G. No output. Graphs for inputs of several lengths leave their
//! result in one place, so that what follows is recorded once.

use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record};
use crate::engine::lowering::{Lowered, Lowering, Operand, Primitive};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, store_rows};

impl Tensor {
    /// See the module.
    pub fn store_rows(&self, to: &Tensor, region: Option<&Tensor>) -> Result<()> {
        record(StoreRows, self.recorder(), &[Some(self), Some(to), region]).map(|_| ())
    }
}

#[derive(Debug)]
struct StoreRows;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n: u32,
    n_regions: u32,
    size: u32,
}

impl Op for StoreRows {
    fn name(&self) -> &'static str {
        "store_rows"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(to), region] = inputs else {
            return Err(Error::Internal("store_rows takes x and a state".into()));
        };
        let n_rows = (to.n_rows() / to.n_regions()).max(x.n_rows());
        match region {
            Some(region) => {
                expect_shape("store_rows region", region, &[1])?;
                expect_shape("store_rows state", to, &[to.n_regions(), n_rows, x.n_cols()])?;
            }
            None => expect_shape("store_rows state", to, &[n_rows, x.n_cols()])?,
        }
        if x.dtype != to.dtype {
            return Err(Error::Internal("store_rows takes x and a state of one type".into()));
        }
        Ok(None)
    }

    fn writes(&self) -> &'static [usize] {
        &[1]
    }

    fn define(&self, args: Operands) {
        let [Some(x), _, region] = args.inputs[..] else { unreachable!() };
        let to = &mut args.states[0];
        let n_regions = to.ty.n_regions();
        let region = region.map_or(0, |region| region.u32()[0] as usize).min(n_regions - 1);
        let first = region * to.ty.n_elements() / n_regions;
        to.f32_mut()[first..][..x.ty.n_elements()].copy_from_slice(x.f32());
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let to = signature.input(1);
        let (n_regions, size) = (to.n_regions() as u32, (to.n_elements() / to.n_regions()) as u32);
        Call::new(rill_kernels::Kernel::StoreRows, store_rows::Params { n_regions, size })
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let x = signature.input(0);
        let n = x.n_elements();
        let to = signature.input(1);
        let params =
            Params { n: n as u32, n_regions: to.n_regions() as u32, size: (to.n_elements() / to.n_regions()) as u32 };
        Kernel::new("store_rows", params, fold_workgroups(n.div_ceil(64)))
            .alias("x_t", x.dtype)
            .flag("HAS_REGION", signature.has(2))
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(to), None] = *inputs else { return Ok(None) };
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

    fn bytes(&self, signature: &Signature) -> u64 {
        2 * signature.input_bytes(0) + signature.input_bytes(2)
    }
}
