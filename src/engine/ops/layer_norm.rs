//! `y[r, :] = (x[r, :] - mean) / sqrt(var + eps) * weight + bias`, row by row; without a bias it is the root-mean-square norm of
//! T5 (Zhang and Sennrich 2019, arXiv 1910.07467), `x / sqrt(mean(x^2) + eps) * weight`, which takes no mean away.
//!
//! x: `[R, C]` in f32 (a residual stream reaches hundreds, its squares overflow f16), weight and bias: `[C]`, y: `[R, C]`.

use super::linear::expect_shape;
use super::math::normalize;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Binary, Lowered, Lowering, Operand, Reduce, Unary};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
use crate::engine::tensor::{DType, TensorType};
use crate::engine::{Error, Result};
use rill_kernels::{Call, layer_norm};

impl Tensor {
    /// See the module.
    pub fn layer_norm(&self, weight: &Tensor, bias: Option<&Tensor>, eps: f32, output: DType) -> Result<Tensor> {
        record_one(LayerNorm { eps, output }, self.recorder(), &[Some(self), Some(weight), bias])
    }
}

#[derive(Debug)]
struct LayerNorm {
    eps: f32,
    output: DType,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_rows: u32,
    n_cols: u32,
    eps: f32,
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(weight), bias] = inputs else {
            return Err(Error::Internal("layer_norm takes x and a weight".into()));
        };
        expect_shape("layer_norm weight", weight, &[x.n_cols()])?;
        if let Some(bias) = bias {
            expect_shape("layer_norm bias", bias, &[x.n_cols()])?;
        }
        Ok(Some(TensorType::new(self.output, x.shape.clone())))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(weight), bias] = args.inputs[..] else { unreachable!() };
        let n_cols = x.ty.n_cols();
        let y = args.output.expect("layer_norm has an output");
        for (row, out) in x.f32().chunks_exact(n_cols).zip(y.f32_mut().chunks_exact_mut(n_cols)) {
            out.copy_from_slice(row);
            normalize(out, weight.f32(), bias.map(|bias| bias.f32()), self.eps);
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = layer_norm::Params { n_cols: signature.input(0).n_cols() as u32, eps: self.eps };
        Call::new(rill_kernels::Kernel::LayerNorm, params)
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let x = signature.input(0);
        let params = Params { n_rows: x.n_rows() as u32, n_cols: x.n_cols() as u32, eps: self.eps };
        Kernel::new("layer_norm", params, fold_workgroups(x.n_rows()))
            .reduces(caps)
            .alias("x_t", x.dtype)
            .alias("y_t", self.output)
            .set("WG", 64.0)
            .flag("HAS_BIAS", signature.has(2))
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(weight), bias] = *inputs else { return Ok(None) };
        let y = lower_norm(b, x, weight, bias, self.eps)?;
        Ok(Some(b.cast_as(y, self.output)?.into()))
    }
}

/// Either norm as primitives.
pub(super) fn lower_norm(
    b: &mut Lowering,
    x: Operand,
    weight: Operand,
    bias: Option<Operand>,
    eps: f32,
) -> Result<Operand> {
    if let Some(bias) = bias {
        return b.layer_norm(x, weight, bias, eps);
    }
    let shape = b.ty(x).shape.clone();
    let axis = shape.len() - 1;
    let squares = b.reduce(Reduce::SumSquare, x, axis)?;
    let mean = b.scale(squares, 1.0 / shape[axis] as f32)?;
    let eps = b.float(eps);
    let above = b.add(mean, eps)?;
    let root = b.unary(Unary::Sqrt, above)?;
    let unit = b.binary(Binary::Div, x, root)?;
    b.mul(unit, weight)
}
