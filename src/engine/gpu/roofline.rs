//! What an adapter can do at best: how fast its memory moves, how fast it multiplies and adds, and what a dispatch, a submit and an
//! answer cost. Every stage of a model is held against these.

use super::buffer::BufferPlan;
use super::clock::{Clock, Patience, median};
use super::device::Gpu;
use super::probe_kernel::ProbeKernel;
use crate::engine::memory::{Ledger, Purpose};
use crate::engine::tensor::DType;
use crate::engine::{Error, Result, edge};
use crate::protocol::Roofline;
use std::rc::Rc;

/// Bytes of each of the two buffers that are copied: more than caches hold.
const COPY_BYTES: u64 = 128 << 20;
/// The same where the processor plays the GPU.
const SOFTWARE_COPY_BYTES: u64 = 32 << 20;

/// What is copied last, and looked for afterwards.
const MARK: [u32; 4] = [0x526f_6f66, 0x6c69_6e65, 0x5269_6c6c, 0x2121_2121];

/// Dispatches that are written down to learn what one costs.
const ENCODED: usize = 2048;

impl Gpu {
    /// Measures it, which takes about a second. What else the GPU does meanwhile shows in the figures.
    ///
    /// # Errors
    /// [`Error::Numerics`] where a kernel did not do what it was timed for; [`Error::Exhausted`] where there is no room for what is copied.
    pub async fn roofline(&self) -> Result<Roofline> {
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let out_of_memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let ledger = Ledger::new();
        let limit = self.caps.max_binding_bytes / 16 * 16;
        let copy_bytes = limit.min(if self.caps.software { SOFTWARE_COPY_BYTES } else { COPY_BYTES });
        let copy = ProbeKernel::copy(self, &ledger, copy_bytes as usize);
        let wide = ProbeKernel::arithmetic(self, &ledger, DType::F32);
        let narrow = self.caps.f16.then(|| ProbeKernel::arithmetic(self, &ledger, DType::F16));
        let count = ProbeKernel::count(self, &ledger);
        let (out_of_memory, validation) = (out_of_memory.pop(), validation.pop());
        if let Some(error) = out_of_memory.await {
            return Err(super::device::out_of_memory(error.to_string()));
        }
        if let Some(error) = validation.await {
            return Err(Error::Gpu { label: "roofline".into(), message: error.to_string() });
        }
        let kernels = [Some(&copy), Some(&wide), narrow.as_ref(), Some(&count)];
        let pipelines: Vec<_> = kernels.into_iter().flatten().map(|kernel| kernel.pipeline()).collect();
        self.finish_pipelines(&pipelines, &mut |_| ()).await?;
        let start = edge::Instant::now();
        let clock = Clock::start(self, &ledger).await?;
        Ok(Roofline {
            adapter: self.name.clone(),
            software: self.caps.software,
            copy_gb_per_s: self.copy_gb_per_s(&clock, &copy, &ledger).await?,
            copy_bytes: copy.bytes,
            f32_tflops: self.tflops(&clock, &wide, &ledger).await?,
            f16_tflops: match &narrow {
                Some(kernel) => Some(self.tflops(&clock, kernel, &ledger).await?),
                None => None,
            },
            dispatch_us: self.dispatch_us(&clock, &count, &ledger).await?,
            encode_us: self.encode_us(&count).await?,
            submit_us: self.submit_us(&count).await?,
            readback_ms: self.readback_ms(&count, &ledger).await?,
            timed_by: clock.timed_by(),
            spent_ms: edge::ms_since(start),
        })
    }

    async fn copy_gb_per_s(&self, clock: &Clock<'_>, kernel: &ProbeKernel, ledger: &Rc<Ledger>) -> Result<f64> {
        let last = kernel.buffers[0].size() - 16;
        self.write(&kernel.buffers[0], last, bytemuck::cast_slice(&MARK));
        let us = clock.repeat(Patience::FIGURE, 1, &|_| (), &|pass| kernel.encode(pass)).await?;
        let copied = self.first_words(&kernel.buffers[1], last, ledger).await?;
        verify("a copy's last vector", copied == MARK, format!("it is {copied:x?}, expected {MARK:x?}"))?;
        Ok(kernel.bytes as f64 / us / 1e3)
    }

    async fn tflops(&self, clock: &Clock<'_>, kernel: &ProbeKernel, ledger: &Rc<Ledger>) -> Result<f64> {
        let us = clock.repeat(Patience::FIGURE, 1, &|_| (), &|pass| kernel.encode(pass)).await?;
        let sum = f32::from_bits(self.first_words(&kernel.buffers[0], 0, ledger).await?[0]);
        // Each chain ends at 2, in f16 possibly one step below.
        verify("the sum of 32 chains", (sum - 64.0).abs() < 0.5, format!("it is {sum}, expected 64"))?;
        Ok(kernel.flops as f64 / us / 1e6)
    }

    async fn dispatch_us(&self, clock: &Clock<'_>, kernel: &ProbeKernel, ledger: &Rc<Ledger>) -> Result<f64> {
        let before = self.first_words(&kernel.buffers[0], 0, ledger).await?[0];
        let us = clock.repeat(Patience::FIGURE, 1, &|_| (), &|pass| kernel.encode(pass)).await?;
        let counted = self.first_words(&kernel.buffers[0], 0, ledger).await?[0] - before;
        verify("the number of dispatches", counted > 0, format!("it is {counted}"))?;
        Ok(us)
    }

    /// What writing a dispatch down takes on this side, best of three.
    async fn encode_us(&self, kernel: &ProbeKernel) -> Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let start = edge::Instant::now();
            {
                let descriptor = wgpu::ComputePassDescriptor { label: Some("encoded"), timestamp_writes: None };
                let mut pass = encoder.begin_compute_pass(&descriptor);
                (0..ENCODED).for_each(|_| kernel.encode(&mut pass));
            }
            let commands = encoder.finish();
            best = best.min(1e3 * edge::ms_since(start) / ENCODED as f64);
            self.queue.submit([commands]);
            self.finish().await?;
        }
        Ok(best)
    }

    /// From a submit of one small dispatch to the next, many in a row, until all are done.
    async fn submit_us(&self, kernel: &ProbeKernel) -> Result<f64> {
        let mut n = 16;
        loop {
            let start = edge::Instant::now();
            for _ in 0..n {
                self.submit_one(kernel, |_| ());
            }
            self.finish().await?;
            let ms = edge::ms_since(start);
            if ms > 20.0 || n >= 1024 {
                return Ok(1e3 * ms / f64::from(n));
            }
            n *= 2;
        }
    }

    /// From a submit of one small dispatch and a copy of 16 bytes until these are here; the median of fifteen.
    async fn readback_ms(&self, kernel: &ProbeKernel, ledger: &Rc<Ledger>) -> Result<f64> {
        let staging = staging(self, ledger);
        let mut times = Vec::new();
        for _ in 0..15 {
            let start = edge::Instant::now();
            self.submit_one(kernel, |encoder| encoder.copy_buffer_to_buffer(&kernel.buffers[0], 0, &staging, 0, 16));
            self.read_mapped(&staging).await?;
            times.push(edge::ms_since(start));
        }
        Ok(median(times))
    }

    fn submit_one(&self, kernel: &ProbeKernel, then: impl FnOnce(&mut wgpu::CommandEncoder)) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        kernel.encode(&mut encoder.begin_compute_pass(&Default::default()));
        then(&mut encoder);
        self.queue.submit([encoder.finish()]);
    }

    /// Four words of a buffer from byte `at` on.
    async fn first_words(&self, buffer: &wgpu::Buffer, at: u64, ledger: &Rc<Ledger>) -> Result<[u32; 4]> {
        let staging = staging(self, ledger);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, at, &staging, 0, 16);
        self.queue.submit([encoder.finish()]);
        Ok(bytemuck::pod_read_unaligned(&self.read_mapped(&staging).await?))
    }
}

fn staging(gpu: &Gpu, ledger: &Rc<Ledger>) -> super::buffer::Buffer {
    let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
    BufferPlan { label: "read-back".into(), bytes: 16, purpose: Purpose::Staging, usage }.make(gpu, ledger)
}

/// A kernel that was timed and did not do its work gives no figure.
fn verify(what: &str, is_right: bool, reason: String) -> Result<()> {
    if is_right { Ok(()) } else { Err(Error::Numerics { what: what.into(), reason }) }
}
