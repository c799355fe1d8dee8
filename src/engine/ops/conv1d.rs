//! `y[t, o] = act(sum over j, c of x[stride * t + j - pad, c] * w[o, j, c] + bias[o]) + residual[t, o]`, zeros beyond the ends.
//!
//! x: `[T, C]`, time-major, so that a window is one contiguous row and the convolution is a matrix product over overlapping
//! rows. w: `[O, width * C]` (`Scope::conv_matrix`), bias: `[O]`, residual: `[T / stride, O]`. `pad` is `width / 2`, as in Whisper's stem.

use super::linear::{expect_shape, lower_activation};
use super::math::{Activation, dot};
use super::matmul::{self, Rows};
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, conv1d};

/// What surrounds the convolution.
#[derive(Debug, Clone, Copy)]
pub struct Conv1dOptions<'a> {
    /// `[O]`
    pub bias: &'a Tensor,
    /// `[T / stride, O]`, added after the activation.
    pub residual: Option<&'a Tensor>,
    /// Steps between windows.
    pub stride: usize,
    /// Width of a window; odd.
    pub width: usize,
    /// After the sum and the bias.
    pub activation: Activation,
}

impl Tensor {
    /// See the module.
    pub fn conv1d(&self, weight: &Tensor, options: Conv1dOptions) -> Result<Tensor> {
        let op = Conv1d { stride: options.stride, width: options.width, activation: options.activation };
        record_one(op, self.recorder(), &[Some(self), Some(weight), Some(options.bias), options.residual])
    }
}

#[derive(Debug)]
struct Conv1d {
    stride: usize,
    width: usize,
    activation: Activation,
}

impl Conv1d {
    /// The windows of x as rows of a matrix.
    fn rows(&self, x: &TensorType) -> Rows {
        let (n_frames, n_channels) = (x.n_rows(), x.n_cols());
        Rows {
            n_rows: n_frames.div_ceil(self.stride),
            n_cols: self.width * n_channels,
            stride: self.stride * n_channels,
            first: -((self.width / 2 * n_channels) as isize),
            len: n_frames * n_channels,
        }
    }
}

impl Op for Conv1d {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(w), Some(bias), residual] = inputs else {
            return Err(Error::Internal("conv1d takes x, a weight and a bias".into()));
        };
        let (rows, n_out) = (self.rows(x), w.n_rows());
        expect_shape("conv1d weight", w, &[n_out, rows.n_cols])?;
        expect_shape("conv1d bias", bias, &[n_out])?;
        if let Some(residual) = residual {
            expect_shape("conv1d residual", residual, &[rows.n_rows, n_out])?;
        }
        Ok(Some(TensorType::f32([rows.n_rows, n_out])))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(w), Some(bias), residual] = args.inputs[..] else { unreachable!() };
        let (rows, n_out) = (self.rows(&x.ty), w.ty.n_rows());
        let y = args.output.expect("conv1d has an output");
        let out = y.f32_mut();
        let mut window = vec![0.0f32; rows.n_cols];
        for t in 0..rows.n_rows {
            for (k, v) in window.iter_mut().enumerate() {
                let at = rows.first + (t * rows.stride + k) as isize;
                *v = usize::try_from(at).ok().and_then(|at| x.f32().get(at)).copied().unwrap_or(0.0);
            }
            for o in 0..n_out {
                let sum = dot(&window, &w.f32()[o * rows.n_cols..][..rows.n_cols]) + f64::from(bias.f32()[o]);
                let residual = residual.map_or(0.0, |r| f64::from(r.f32()[t * n_out + o]));
                out[t * n_out + o] = (self.activation.apply(sum) + residual) as f32;
            }
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        let rows = self.rows(signature.input(0));
        let params = conv1d::Params {
            n_rows: rows.n_rows as u32,
            n_cols: rows.n_cols as u32,
            n_out: signature.input(1).n_rows() as u32,
            stride: rows.stride as u32,
            margin: rows.first.unsigned_abs() as u32,
            activation: self.activation.code(),
        };
        Call::new(rill_kernels::Kernel::Conv1d, params)
    }

    fn kernel(&self, signature: &Signature, caps: &GpuCaps) -> Kernel {
        matmul::kernel(signature, caps, self.activation, self.rows(signature.input(0)))
    }

    fn alternatives(&self, signature: &Signature, caps: &GpuCaps) -> Vec<Kernel> {
        matmul::alternatives(signature, caps, self.activation, self.rows(signature.input(0)))
    }

    /// As a matrix product: column j of the windows, all channels, is x from row j on in steps of the stride.
    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(w), Some(bias), residual] = *inputs else { return Ok(None) };
        let (n_frames, n_channels) = b.rows_and_cols(x);
        let n_out = n_frames.div_ceil(self.stride);
        let before = self.width / 2;
        let after = (self.stride * n_out + self.width - 1).saturating_sub(before + n_frames);
        let mut parts = vec![b.f32(x)?];
        if before > 0 {
            parts.insert(0, b.floats(&[before, n_channels], &vec![0.0; before * n_channels]));
        }
        if after > 0 {
            parts.push(b.floats(&[after, n_channels], &vec![0.0; after * n_channels]));
        }
        let padded = b.concat(&parts, 0)?;
        let mut columns = Vec::new();
        for j in 0..self.width {
            let rows = b.slice(padded, &[j, 0], &[self.stride * n_out, n_channels])?;
            let rows = b.reshape(rows, &[n_out, self.stride * n_channels])?;
            columns.push(b.slice(rows, &[0, 0], &[n_out, n_channels])?);
        }
        let windows = b.concat(&columns, 1)?;
        let w = b.f32(w)?;
        let product = b.linear(windows, w, Some(bias))?;
        let y = lower_activation(b, self.activation, product)?;
        Ok(Some(residual.map_or(Ok(y), |residual| b.add(y, residual))?.into()))
    }

    fn splittable(&self) -> Option<usize> {
        Some(1)
    }

    fn flops(&self, signature: &Signature) -> u64 {
        2 * (self.rows(signature.input(0)).n_rows * signature.input(1).n_elements()) as u64
    }
}
