//! `y[m, n] = x[m, n] * scale[n] + residual[m, n]`: LayerScale (Touvron et al. 2021, arXiv 2103.17239), as DINOv2 has it behind each
//! attention and each feed-forward part.
//!
//! x, residual, y: `[M, N]`, f32; scale: `[N]`, f32.

use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, layer_scale};

impl Tensor {
    /// See the module.
    pub fn layer_scale(&self, scale: &Tensor, residual: &Tensor) -> Result<Tensor> {
        record_one(LayerScale, self.recorder(), &[Some(self), Some(scale), Some(residual)])
    }
}

#[derive(Debug)]
struct LayerScale;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n: u32,
    n_cols: u32,
}

impl Op for LayerScale {
    fn name(&self) -> &'static str {
        "layer_scale"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(scale), Some(residual)] = inputs else {
            return Err(Error::Internal("layer_scale takes x, a scale and a residual".into()));
        };
        expect_shape("layer_scale scale", scale, &[x.n_cols()])?;
        expect_shape("layer_scale residual", residual, &x.shape)?;
        Ok(Some(TensorType::f32(x.shape.clone())))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(scale), Some(residual)] = args.inputs[..] else { unreachable!() };
        let d = x.ty.n_cols();
        let y = args.output.expect("layer_scale has an output");
        for (i, to) in y.f32_mut().iter_mut().enumerate() {
            let [x, scale, residual] = [x.f32()[i], scale.f32()[i % d], residual.f32()[i]].map(f64::from);
            *to = (x * scale + residual) as f32;
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = layer_scale::Params { n_cols: signature.output().n_cols() as u32 };
        Call::new(rill_kernels::Kernel::LayerScale, params)
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let y = signature.output();
        let params = Params { n: y.n_elements() as u32, n_cols: y.n_cols() as u32 };
        Kernel::new("layer_scale", params, fold_workgroups(y.n_elements().div_ceil(256)))
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(scale), Some(residual)] = *inputs else { return Ok(None) };
        let y = b.mul(x, scale)?;
        Ok(Some(b.add(y, residual)?.into()))
    }
}
