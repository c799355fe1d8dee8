//! `y = (max(x, max(x over all) - 8) + 4) / 4`: brings log-mel features into the encoder's range.
//!
//! x: `[T, M]`, parts: `[64]` (`max_parts` of x), y like x.

use super::linear::expect_shape;
use super::max_parts::N_PARTS;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::op::{CpuArgs, GpuCaps, Kernel, Op, Signature};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};

impl Tensor {
    /// See the module.
    pub fn mel_scale(&self, parts: &Tensor) -> Result<Tensor> {
        record_one(MelScale, self.recorder(), &[Some(self), Some(parts)])
    }
}

#[derive(Debug)]
struct MelScale;

impl Op for MelScale {
    fn name(&self) -> &'static str {
        "mel_scale"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(x), Some(parts)] = inputs else { return Err(Error::Internal("mel_scale takes x and parts".into())) };
        expect_shape("mel_scale parts", parts, &[N_PARTS])?;
        Ok(Some((*x).clone()))
    }

    fn cpu(&self, args: CpuArgs) {
        let [Some(x), Some(parts)] = args.inputs[..] else { unreachable!() };
        let floor = parts.f32().iter().copied().fold(f32::MIN, f32::max) - 8.0;
        let y = args.output.expect("mel_scale has an output");
        for (out, v) in y.f32_mut().iter_mut().zip(x.f32()) {
            *out = (v.max(floor) + 4.0) / 4.0;
        }
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let n = signature.input(0).n_elements();
        Kernel::new("mel_scale", n as u32, [n.div_ceil(1024) as u32, 1, 1])
    }
}
