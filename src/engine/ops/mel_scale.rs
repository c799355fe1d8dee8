//! `y[t, :] = (max(x[t, :], loudest - 8) + 4) / 4`: brings log-mel features into the encoder's range.
//!
//! x: `[T, M]`; parts: `[64]` (`max_parts` of x); limits: `[2]`, f32. `loudest` is the maximum of the parts and of `limits[0]`, by which the
//! window of a long recording knows the loudest moment of the whole. Frames from `limits[1]` on are zero: openai/whisper pads the
//! last window of a long recording so, after scaling (`transcribe.py`, `pad_or_trim`). y like x.

use super::linear::expect_shape;
use super::max_parts::N_PARTS;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Binary, Compare, Lowered, Lowering, Operand, Reduce};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::{Call, mel_scale};

/// Limits that limit nothing: a window for itself.
pub const NO_LIMITS: [f32; 2] = [-3.0e38, 3.0e38];

impl Tensor {
    /// See the module.
    pub fn mel_scale(&self, parts: &Tensor, limits: &Tensor) -> Result<Tensor> {
        record_one(MelScale, self.recorder(), &[Some(self), Some(parts), Some(limits)])
    }
}

#[derive(Debug)]
struct MelScale;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n: u32,
    n_mels: u32,
}

impl Op for MelScale {
    fn name(&self) -> &'static str {
        "mel_scale"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(parts), Some(limits)] = inputs else {
            return Err(Error::Internal("mel_scale takes x, parts and limits".into()));
        };
        expect_shape("mel_scale parts", parts, &[N_PARTS])?;
        expect_shape("mel_scale limits", limits, &[NO_LIMITS.len()])?;
        Ok(Some((*x).clone()))
    }

    fn define(&self, args: Operands) {
        let [Some(x), Some(parts), Some(limits)] = args.inputs[..] else { unreachable!() };
        let [loudest, n_frames] = [limits.f32()[0], limits.f32()[1]];
        let floor = parts.f32().iter().copied().fold(loudest, f32::max) - 8.0;
        let n_mels = x.ty.n_cols();
        let y = args.output.expect("mel_scale has an output");
        for (i, (out, v)) in y.f32_mut().iter_mut().zip(x.f32()).enumerate() {
            *out = if ((i / n_mels) as f32) < n_frames { (v.max(floor) + 4.0) / 4.0 } else { 0.0 };
        }
    }

    fn cpu(&self, signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::MelScale, mel_scale::Params { n_mels: signature.input(0).n_cols() as u32 })
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let x = signature.input(0);
        let params = Params { n: x.n_elements() as u32, n_mels: x.n_cols() as u32 };
        Kernel::new("mel_scale", params, [x.n_elements().div_ceil(1024) as u32, 1, 1])
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(x), Some(parts), Some(limits)] = *inputs else { return Ok(None) };
        let n_frames = b.ty(x).shape[0];
        let loudest = b.reduce(Reduce::Max, parts, 0)?;
        let (known, end) = (b.slice(limits, &[0], &[1])?, b.slice(limits, &[1], &[1])?);
        let loudest = b.binary(Binary::Max, loudest, known)?;
        let (minus_eight, four) = (b.float(-8.0), b.float(4.0));
        let floor = b.add(loudest, minus_eight)?;
        let y = b.binary(Binary::Max, x, floor)?;
        let y = b.add(y, four)?;
        let y = b.scale(y, 0.25)?;
        let frames = b.floats(&[n_frames, 1], &(0..n_frames).map(|t| t as f32).collect::<Vec<_>>());
        let is_there = b.compare(Compare::Lesser, frames, end)?;
        let zero = b.float(0.0);
        Ok(Some(b.choose(is_there, y, zero)?.into()))
    }
}
