//! `y = x * factor`.
//!
//! x: any shape, f32. For what is prepared once from a weight; a factor that is needed at every run belongs into the op that uses it.

use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
use crate::engine::tensor::{DType, TensorType};
use crate::engine::{Error, Result};
use rill_kernels::{Call, scale};

impl Tensor {
    /// See the module.
    pub fn scale(&self, factor: f32) -> Result<Tensor> {
        record_one(Scale { factor }, self.recorder(), &[Some(self)])
    }
}

#[derive(Debug)]
struct Scale {
    factor: f32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n: u32,
    factor: f32,
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        match inputs {
            [Some(x)] if x.dtype == DType::F32 => Ok(Some((*x).clone())),
            _ => Err(Error::Internal("scale takes x in f32".into())),
        }
    }

    fn define(&self, args: Operands) {
        let [Some(x)] = args.inputs[..] else { unreachable!() };
        let y = args.output.expect("scale has an output");
        y.f32_mut().iter_mut().zip(x.f32()).for_each(|(y, x)| *y = x * self.factor);
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::Scale, scale::Params { factor: self.factor })
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let n = signature.output().n_elements();
        Kernel::new("scale", Params { n: n as u32, factor: self.factor }, fold_workgroups(n.div_ceil(64)))
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x)] = *inputs else { return Ok(None) };
        Ok(Some(b.scale(x, self.factor)?.into()))
    }
}
