//! `y[h, c] = table[buckets[c], h]`: a model's few biases for ranges of distances, spread over all distances.
//!
//! table: `[N, H]`, f32, as checkpoints store it; buckets: `[C]`, u32, which row belongs to each distance; y: `[H, C]`, as `attention` and
//! `attention_cached` read it.

use super::linear::expect_shape;
use crate::engine::graph::{Tensor, record_one};
use crate::engine::lowering::{Lowered, Lowering, Operand};
use crate::engine::op::{GpuCaps, Kernel, Op, Operands, Signature, fold_workgroups};
use crate::engine::tensor::TensorType;
use crate::engine::{Error, Result};
use rill_kernels::Call;

impl Tensor {
    /// See the module; `self` is the table.
    pub fn distance_bias(&self, buckets: &Tensor) -> Result<Tensor> {
        record_one(DistanceBias, self.recorder(), &[Some(self), Some(buckets)])
    }
}

#[derive(Debug)]
struct DistanceBias;

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct Params {
    n_heads: u32,
    n_cols: u32,
}

impl Op for DistanceBias {
    fn name(&self) -> &'static str {
        "distance_bias"
    }

    fn output(&self, inputs: &[Option<&TensorType>]) -> Result<Option<TensorType>> {
        let [Some(table), Some(buckets)] = inputs else {
            return Err(Error::Internal("distance_bias takes a table and buckets".into()));
        };
        expect_shape("distance_bias buckets", buckets, &[buckets.n_elements()])?;
        Ok(Some(TensorType::f32([table.n_cols(), buckets.n_elements()])))
    }

    fn define(&self, args: Operands) {
        let [Some(table), Some(buckets)] = args.inputs[..] else { unreachable!() };
        let n_heads = table.ty.n_cols();
        let y = args.output.expect("distance_bias has an output");
        for (head, out) in y.f32_mut().chunks_exact_mut(buckets.ty.n_elements()).enumerate() {
            for (v, &bucket) in out.iter_mut().zip(buckets.u32()) {
                *v = table.f32()[bucket as usize * n_heads + head];
            }
        }
    }

    fn cpu(&self, _signature: &Signature) -> Call {
        Call::new(rill_kernels::Kernel::DistanceBias, ())
    }

    fn kernel(&self, signature: &Signature, _caps: &GpuCaps) -> Kernel {
        let y = signature.output();
        let params = Params { n_heads: y.n_rows() as u32, n_cols: y.n_cols() as u32 };
        Kernel::new("distance_bias", params, fold_workgroups(y.n_elements().div_ceil(64)))
    }

    fn lower(&self, b: &mut Lowering, inputs: &[Option<Operand>]) -> Result<Option<Lowered>> {
        let [Some(table), Some(buckets)] = *inputs else { return Ok(None) };
        let rows = b.gather(table, buckets)?;
        Ok(Some(b.transpose(rows, &[1, 0])?.into()))
    }
}
