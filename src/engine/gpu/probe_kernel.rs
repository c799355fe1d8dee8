//! The kernels that belong to no model and show what a GPU can do: each with its buffers, ready to be dispatched.

use super::buffer::{Buffer, BufferPlan, PARAMS_USAGE, padded};
use super::device::Gpu;
use super::pipeline::{Pipeline, PipelineKey};
use crate::engine::memory::{Ledger, Purpose};
use crate::engine::op::{Kernel, fold_workgroups};
use crate::engine::tensor::DType;
use std::rc::Rc;

/// Vectors of 16 bytes that a workgroup of `roof_copy` copies.
const COPIED_BY_GROUP: usize = 1024;
/// Threads of a workgroup of `roof_arithmetic`.
const THREADS: u64 = 256;
/// Operations of a thread in a step: 16 times 32 chains, a product and a sum each.
const FLOPS_PER_STEP: u64 = 16 * 32 * 2;

/// A kernel and what it works on.
pub(super) struct ProbeKernel {
    ready: Ready,
    /// Of the storage bindings, in order.
    pub buffers: Vec<Buffer>,
    /// Bytes that a dispatch reads and writes.
    pub bytes: u64,
    /// Operations of a dispatch.
    pub flops: u64,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct CopyParams {
    n: u32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct ArithmeticParams {
    n_steps: u32,
    factor: f32,
    summand: f32,
    never: f32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
struct DispatchParams {
    summand: u32,
}

impl ProbeKernel {
    /// Copies `n_bytes`, a multiple of 16, from the first buffer to the second.
    pub fn copy(gpu: &Gpu, ledger: &Rc<Ledger>, n_bytes: usize) -> Self {
        let n = n_bytes / 16;
        let params = CopyParams { n: n as u32 };
        let kernel = Kernel::new("roof_copy", params, fold_workgroups(n.div_ceil(COPIED_BY_GROUP)));
        Self::new(gpu, ledger, &kernel, &[(n_bytes, false), (n_bytes, true)], [2 * n_bytes as u64, 0])
    }

    /// Multiplies and adds in `dtype`, f32 or f16. The buffer's first number is 64 afterwards.
    pub fn arithmetic(gpu: &Gpu, ledger: &Rc<Ledger>, dtype: DType) -> Self {
        // Some 8.6 GFLOP: 0.1 ms for the fastest GPUs, 0.2 s for the slowest. Software has a hundredth of that.
        let (n_groups, n_steps) = if gpu.caps.software { (64, 4) } else { (2048, 16) };
        let params = ArithmeticParams { n_steps, factor: 0.5, summand: 1.0, never: -1.0 };
        let kernel = Kernel::new("roof_arithmetic", params, [n_groups, 1, 1]).alias("elem", dtype);
        let flops = u64::from(n_groups) * THREADS * u64::from(n_steps) * FLOPS_PER_STEP;
        Self::new(gpu, ledger, &kernel, &[(16, true)], [0, flops])
    }

    /// Counts in the buffer's first word how often it was dispatched.
    pub fn count(gpu: &Gpu, ledger: &Rc<Ledger>) -> Self {
        let kernel = Kernel::new("roof_dispatch", DispatchParams { summand: 1 }, [1, 1, 1]);
        Self::new(gpu, ledger, &kernel, &[(16, true)], [0, 0])
    }

    fn new(gpu: &Gpu, ledger: &Rc<Ledger>, kernel: &Kernel, bound: &[(usize, bool)], [bytes, flops]: [u64; 2]) -> Self {
        use wgpu::BufferUsages as Usage;
        let name = kernel.shader;
        let pipeline =
            gpu.pipeline(name, PipelineKey::new(gpu, kernel, bound.iter().map(|(_, written)| *written).collect()));
        let storage = Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC;
        let make = |bytes| {
            let plan = BufferPlan { label: name.into(), bytes, purpose: Purpose::Activations, usage: storage };
            plan.make(gpu, ledger)
        };
        let buffers: Vec<Buffer> = bound.iter().map(|&(n, _)| make(padded(n))).collect();
        let all: Vec<&wgpu::Buffer> = buffers.iter().map(|buffer| &**buffer).collect();
        let ready = Ready::new(gpu, ledger, kernel, pipeline, &all);
        Self { ready, buffers, bytes, flops }
    }

    /// Its pipeline.
    pub fn pipeline(&self) -> Rc<Pipeline> {
        self.ready.pipeline.clone()
    }

    /// One dispatch.
    pub fn encode(&self, pass: &mut wgpu::ComputePass) {
        self.ready.encode(pass);
    }
}

/// A kernel with its parameters, bound to buffers, ready to be dispatched by itself.
pub(super) struct Ready {
    pipeline: Rc<Pipeline>,
    bind_group: wgpu::BindGroup,
    workgroups: [u32; 3],
    _params: Buffer,
}

impl Ready {
    /// `storage` are the buffers of its storage bindings, in order.
    pub fn new(
        gpu: &Gpu,
        ledger: &Rc<Ledger>,
        kernel: &Kernel,
        pipeline: Rc<Pipeline>,
        storage: &[&wgpu::Buffer],
    ) -> Self {
        let label = kernel.shader;
        let bytes = padded(kernel.params.len());
        let params =
            BufferPlan { label: label.into(), bytes, purpose: Purpose::Plans, usage: PARAMS_USAGE }.make(gpu, ledger);
        gpu.write(&params, 0, &kernel.params);
        let entries: Vec<_> = std::iter::once(&*params)
            .chain(storage.iter().copied())
            .enumerate()
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding: binding as u32,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout: &pipeline.layout,
            entries: &entries,
        });
        Self { pipeline, bind_group, workgroups: kernel.workgroups, _params: params }
    }

    /// One dispatch.
    pub fn encode(&self, pass: &mut wgpu::ComputePass) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(self.pipeline.compiled());
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}
