//! `y[m, n] = act(norm(x)[m, :] . w[n, :] + bias[n]) + residual[m, n]`.
//!
//! x: `[M, K]`, w: `[N, K]` as checkpoints store it, bias: `[N]`, residual and y: `[M, N]`. The optional layer normalisation
//! of x is part of the op because one decoded token has a budget of dispatches. Many rows go to the matrix-product
//! kernels, few to the matrix-vector kernel, which alone can normalise.

use super::layer_norm::lower_norm;
use super::math::{Activation, dot, normalize};
use super::matmul::{self, Rows};
use super::matvec;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand, Unary};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::{DType, TensorType};
use crate::engine::{Error, Result};
use rill_kernels::{Call, linear};

/// Layer normalisation in front of a linear map.
#[derive(Debug, Clone, Copy)]
pub struct Norm<'a> {
    /// `[K]`
    pub weight: &'a Tensor,
    /// `[K]`; `None` for the root-mean-square norm, see `layer_norm`.
    pub bias: Option<&'a Tensor>,
    /// Added to the variance.
    pub eps: f32,
}

/// What surrounds the product.
#[derive(Debug, Clone, Copy)]
pub struct LinearOptions<'a> {
    /// `[N]`
    pub bias: Option<&'a Tensor>,
    /// `[M, N]`, f32.
    pub residual: Option<&'a Tensor>,
    /// Of x, before the product.
    pub norm: Option<Norm<'a>>,
    /// After the product and the bias.
    pub activation: Activation,
    /// Type of y.
    pub output: DType,
}

impl Default for LinearOptions<'_> {
    fn default() -> Self {
        Self { bias: None, residual: None, norm: None, activation: Activation::Identity, output: DType::F32 }
    }
}

impl Tensor {
    /// See the module.
    pub fn linear(&self, weight: &Tensor, options: LinearOptions) -> Result<Tensor> {
        let op = Linear {
            activation: options.activation,
            output: options.output,
            eps: options.norm.map_or(0.0, |norm| norm.eps),
        };
        let (norm_weight, norm_bias) = (options.norm.map(|n| n.weight), options.norm.and_then(|n| n.bias));
        let inputs = [Some(self), Some(weight), options.bias, options.residual, norm_weight, norm_bias];
        record_one(op, self.recorder(), &inputs)
    }
}

pub(super) const X: usize = 0;
pub(super) const WEIGHT: usize = 1;
pub(super) const BIAS: usize = 2;
pub(super) const RESIDUAL: usize = 3;
pub(super) const NORM_WEIGHT: usize = 4;
pub(super) const NORM_BIAS: usize = 5;

/// Up to this many rows the matrix-vector kernel is used.
const MATVEC_ROWS: usize = 8;

#[derive(Debug)]
struct Linear {
    activation: Activation,
    output: DType,
    eps: f32,
}

impl Linear {
    /// The rows for the matrix-product kernel; `None` where the matrix-vector kernel is to do it.
    fn rows(&self, signature: &Signature) -> Option<Rows> {
        let x = signature.input(X);
        let (m, k) = (x.n_rows(), x.n_cols());
        let is_product = m > MATVEC_ROWS && !signature.has(NORM_WEIGHT);
        is_product.then_some(Rows { n_rows: m, n_cols: k, stride: k, first: 0, len: m * k })
    }
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(w), bias, residual, norm_weight, norm_bias] = inputs else {
            return Err(Error::Internal("linear takes x and a weight".into()));
        };
        let (m, k, n) = (x.n_rows(), x.n_cols(), w.n_rows());
        expect_shape("linear weight", w, &[n, k])?;
        for (name, ty, expected) in [
            ("linear bias", bias, vec![n]),
            ("linear residual", residual, vec![m, n]),
            ("linear norm weight", norm_weight, vec![k]),
            ("linear norm bias", norm_bias, vec![k]),
        ] {
            if let Some(ty) = ty {
                expect_shape(name, ty, &expected)?;
            }
        }
        Ok(Some(TensorType::new(self.output, [m, n])))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(w), bias, residual, norm_weight, norm_bias] = args.inputs[..] else { unreachable!() };
        let (m, k, n) = (x.ty.n_rows(), x.ty.n_cols(), w.ty.n_rows());
        let mut rows = x.f32().to_vec();
        if let Some(weight) = norm_weight {
            let bias = norm_bias.map(|bias| bias.f32());
            rows.chunks_exact_mut(k).for_each(|row| normalize(row, weight.f32(), bias, self.eps));
        }
        let y = args.output.expect("linear has an output");
        let out = y.f32_mut();
        for (col, w_row) in w.f32().chunks_exact(k).enumerate() {
            let bias = bias.map_or(0.0, |b| f64::from(b.f32()[col]));
            for row in 0..m {
                let product = dot(&rows[row * k..][..k], w_row) + bias;
                let residual = residual.map_or(0.0, |r| f64::from(r.f32()[row * n + col]));
                out[row * n + col] = (self.activation.apply(product) + residual) as f32;
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let params = linear::Params {
            n_cols: signature.input(X).n_cols() as u32,
            n_out: signature.input(WEIGHT).n_rows() as u32,
            activation: self.activation.code(),
            eps: self.eps,
        };
        Call::new(rill_kernels::Kernel::Linear, params)
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        match self.rows(signature) {
            None => matvec::kernel(signature, caps, self.activation, self.eps),
            Some(rows) => matmul::kernel(signature, caps, self.activation, rows),
        }
    }

    fn alternatives(&self, signature: &Signature, caps: &GpuCaps) -> Vec<Kernel> {
        match self.rows(signature) {
            None => matvec::alternatives(signature, caps, self.activation, self.eps),
            Some(rows) => matmul::alternatives(signature, caps, self.activation, rows),
        }
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(w), bias, residual, norm_weight, norm_bias] = *inputs else { return Ok(None) };
        let mut x = b.f32(x)?;
        if let Some(weight) = norm_weight {
            x = lower_norm(b, x, weight, norm_bias, self.eps)?;
        }
        let w = b.f32(w)?;
        let product = b.linear(x, w, bias)?;
        let mut y = lower_activation(b, self.activation, product)?;
        if let Some(residual) = residual {
            y = b.add(y, residual)?;
        }
        Ok(Some(b.cast_as(y, self.output)?.into()))
    }

    fn splittable(&self) -> Option<usize> {
        Some(WEIGHT)
    }

    fn flops(&self, signature: &Signature) -> u64 {
        2 * signature.input(X).n_elements() as u64 * signature.input(WEIGHT).n_rows() as u64
    }
}

/// What follows a product, as a primitive.
pub(super) fn lower_activation(b: &mut Lowering, activation: Activation, x: Operand) -> Result<Operand> {
    match activation {
        Activation::Identity => Ok(x),
        Activation::Gelu => b.unary(Unary::Gelu, x),
        Activation::GeluTanh => {
            // (1 + tanh(u)) / 2 is sigmoid(2 u), here with u = sqrt(2 / pi) (x + 0.044715 x^3).
            let square = b.mul(x, x)?;
            let (cubic, linear) = (b.scale(square, 0.071_354_814)?, b.float(1.595_769_2));
            let factor = b.add(cubic, linear)?;
            let gate = b.mul(x, factor)?;
            gated(b, x, gate)
        }
        Activation::QuickGelu => {
            let gate = b.scale(x, 1.702)?;
            gated(b, x, gate)
        }
        Activation::Relu => b.unary(Unary::Relu, x),
        Activation::Silu => gated(b, x, x),
        Activation::Tanh => b.unary(Unary::Tanh, x),
    }
}

/// `x * sigmoid(gate)`
fn gated(b: &mut Lowering, x: Operand, gate: Operand) -> Result<Operand> {
    let share = b.unary(Unary::Sigmoid, gate)?;
    b.mul(x, share)
}

/// The file that reads the weight at binding 2 in its own width.
pub(super) fn weight_file(weight: &TensorType) -> &'static str {
    match weight.dtype {
        DType::F16 => "weight_f16",
        DType::Q8 => "weight_q8",
        DType::Q4 => "weight_q4",
        DType::F32 | DType::U32 => "weight_f32",
    }
}

/// Whether rows of `k` elements begin at a multiple of eight, so that eight are read at once.
pub(super) fn is_vectored(k: usize) -> bool {
    k.is_multiple_of(8)
}

/// An error that names the tensor where its shape is not the expected one.
pub(super) fn expect_shape(name: &str, ty: &TensorType, expected: &[usize]) -> Result<()> {
    if ty.shape == expected {
        return Ok(());
    }
    Err(Error::Shape { name: name.into(), expected: expected.to_vec(), got: ty.shape.clone() })
}
