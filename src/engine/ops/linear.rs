//! `y[m, n] = act(norm(x)[m, :] . w[n, :] + bias[n]) + residual[m, n]`.
//!
//! x: `[M, K]`, w: `[N, K]` as checkpoints store it, bias: `[N]`, residual and y: `[M, N]`. The optional layer normalisation
//! of x is part of the op because one decoded token has a budget of dispatches. Many rows go to the matrix-product
//! kernels, few to the matrix-vector kernel, which alone can normalise.

use super::layer_norm::lower_norm;
use super::math::{Activation, dot, normalize};
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand, Unary};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
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

const X: usize = 0;
const WEIGHT: usize = 1;
const BIAS: usize = 2;
const RESIDUAL: usize = 3;
const NORM_WEIGHT: usize = 4;
const NORM_BIAS: usize = 5;

/// Up to this many rows the matrix-vector kernel is used.
const MATVEC_ROWS: usize = 8;

#[derive(Debug)]
struct Linear {
    activation: Activation,
    output: DType,
    eps: f32,
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
        let x = signature.input(X);
        let (m, k) = (x.n_rows(), x.n_cols());
        if m <= MATVEC_ROWS || signature.has(NORM_WEIGHT) {
            return self.matvec(signature, caps);
        }
        let rows = Rows { n_rows: m, n_cols: k, stride: k, first: 0, len: m * k };
        matmul(signature, caps, self.activation, rows)
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

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct MatvecParams {
    n_cols: u32,
    n_out: u32,
    y_first: u32,
    y_stride: u32,
    eps: f32,
}

impl Linear {
    /// One workgroup makes `WG / LANES` outputs of one row; `LANES` threads share an output.
    fn matvec(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        let x = signature.input(X);
        let k = x.n_cols();
        let n_out = signature.rows.len();
        // On a processor posing as a GPU a barrier costs more than the strided reads that it saves.
        let (wg, lanes) = if caps.software { (64, 1) } else { (128, 16) };
        let n_groups = n_out.div_ceil(wg / lanes);
        let params = MatvecParams {
            n_cols: k as u32,
            n_out: n_out as u32,
            y_first: signature.rows.start as u32,
            y_stride: signature.output().n_cols() as u32,
            eps: self.eps,
        };
        let [gx, gy, _] = fold_workgroups(n_groups);
        Kernel::new("matvec", params, [x.n_rows() as u32, gx, gy])
            .shared("reduce")
            .shared(weight_file(signature.input(WEIGHT)))
            .shared(product_file(signature.input(WEIGHT)))
            .shared("activation")
            .alias("x_t", x.dtype)
            .alias("y_t", signature.output().dtype)
            .constant("N_COLS", k)
            .set("WG", wg as f64)
            .set("LANES", lanes as f64)
            .set("ACTIVATION", self.activation.code())
            .flag("VECTORED", is_vectored(k))
            .flag("HAS_BIAS", signature.has(BIAS))
            .flag("HAS_RESIDUAL", signature.has(RESIDUAL))
            .flag("HAS_NORM", signature.has(NORM_WEIGHT))
            .flag("HAS_NORM_BIAS", signature.has(NORM_BIAS))
    }
}

/// Rows of a matrix product that are windows into a flat tensor; windows may overlap and reach over its ends, where
/// zeros are read.
pub(super) struct Rows {
    /// M
    pub n_rows: usize,
    /// K
    pub n_cols: usize,
    /// Elements from one row's start to the next.
    pub stride: usize,
    /// Where row 0 starts.
    pub first: isize,
    /// Elements of the tensor.
    pub len: usize,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct MatmulParams {
    n_rows: u32,
    n_out: u32,
    n_cols: u32,
    stride: i32,
    first: i32,
    len: i32,
    y_first: u32,
    y_stride: u32,
}

/// The matrix-product kernel of `linear` and `conv1d`; inputs x, weight, bias, residual.
pub(super) fn matmul(signature: &Signature, caps: &GpuCaps, activation: Activation, rows: Rows) -> Kernel {
    let (m, k, n) = (rows.n_rows, rows.n_cols, signature.rows.len());
    let params = MatmulParams {
        n_rows: m as u32,
        n_out: n as u32,
        n_cols: k as u32,
        stride: rows.stride as i32,
        first: rows.first as i32,
        len: rows.len as i32,
        y_first: signature.rows.start as u32,
        y_stride: signature.output().n_cols() as u32,
    };
    let vectors = is_vectored(k) && rows.stride.is_multiple_of(4) && rows.first % 4 == 0;
    // Emulators are slowest at barriers: there each thread reads for itself (0.8 to 1.5 against 0.3 to 0.6 GFLOP/s measured
    // on SwiftShader). GPUs share tiles in workgroup memory.
    let (shader, tile) = if caps.software || !vectors { ("matmul_direct", 32) } else { ("matmul_tiled", 64) };
    let kernel = Kernel::new(shader, params, [n.div_ceil(tile) as u32, m.div_ceil(tile) as u32, 1]);
    let reaches_over = rows.first < 0 || (m - 1) * rows.stride + k > (rows.len as isize - rows.first) as usize;
    kernel
        .binds(&[X, WEIGHT, BIAS, RESIDUAL])
        .shared(weight_file(signature.input(WEIGHT)))
        .shared("activation")
        .alias("x_t", signature.input(X).dtype)
        .alias("y_t", signature.output().dtype)
        .set("ACTIVATION", activation.code())
        .flag("BOUNDED", reaches_over)
        .flag("VECTORED", vectors)
        .flag("HAS_BIAS", signature.has(BIAS))
        .flag("HAS_RESIDUAL", signature.has(RESIDUAL))
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

/// The file by which the matrix-vector kernel reads it.
fn product_file(weight: &TensorType) -> &'static str {
    match weight.dtype {
        DType::Q8 => "product_q8",
        DType::Q4 => "product_q4",
        DType::F32 | DType::F16 | DType::U32 => "product_eight",
    }
}

/// Whether rows of `k` elements begin at a multiple of eight, so that eight are read at once.
fn is_vectored(k: usize) -> bool {
    k.is_multiple_of(8)
}

/// An error that names the tensor where its shape is not the expected one.
pub(super) fn expect_shape(name: &str, ty: &TensorType, expected: &[usize]) -> Result<()> {
    if ty.shape == expected {
        return Ok(());
    }
    Err(Error::Shape { name: name.into(), expected: expected.to_vec(), got: ty.shape.clone() })
}
