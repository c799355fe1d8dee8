//! The maxima of 64 equal parts of a tensor: the first half of a maximum over all.
//!
//! x: any shape, f32; y: `[64]`. What uses the maximum takes that of the 64 itself.

use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand, Reduce};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::Call;

/// How many parts.
pub const N_PARTS: usize = 64;

impl Tensor {
    /// See the module.
    pub fn max_parts(&self) -> Result<Tensor> {
        record_one(MaxParts, self.recorder(), &[Some(self)])
    }
}

#[derive(Debug)]
struct MaxParts;

impl Op for MaxParts {
    fn name(&self) -> &'static str {
        "max_parts"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(_x)] = inputs else { return Err(Error::Internal("max_parts takes x".into())) };
        Ok(Some(TensorType::f32([N_PARTS])))
    }

    fn define(&self, args: Operands) {
        let [Some(x)] = args.inputs[..] else { unreachable!() };
        let size = x.ty.n_elements().div_ceil(N_PARTS);
        let y = args.output.expect("max_parts has an output");
        y.f32_mut().fill(-3.0e38);
        for (out, part) in y.f32_mut().iter_mut().zip(x.f32().chunks(size)) {
            *out = part.iter().copied().fold(-3.0e38, f32::max);
        }
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::MaxParts, ())
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        Kernel::new("max_parts", signature.input(0).n_elements() as u32, [N_PARTS as u32, 1, 1]).reduces(caps)
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x)] = *inputs else { return Ok(None) };
        let n = b.ty(x).n_elements();
        let size = n.div_ceil(N_PARTS);
        let mut parts = vec![b.reshape(x, &[n])?];
        let n_missing = size * N_PARTS - n;
        if n_missing > 0 {
            parts.push(b.floats(&[n_missing], &vec![-3.0e38; n_missing]));
        }
        let all = b.concat(&parts, 0)?;
        let all = b.reshape(all, &[N_PARTS, size])?;
        let y = b.reduce(Reduce::Max, all, 1)?;
        Ok(Some(b.reshape(y, &[N_PARTS])?.into()))
    }
}
