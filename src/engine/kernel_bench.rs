//! How fast a backend runs the kernels that models are made of, one by one. A kernel whose answer is not the definition's has no speed.

use super::check::{Tolerance, compare, noise};
use super::gpu::TraceOptions;
use super::graph::{Program, SlotId, SlotKind};
use super::kernel_suite::{KernelProgram, options, sizes};
use super::ladder::{Choice, name_of};
use super::session::{Device, Session, Watch};
use super::tensor::{DType, HostData, HostTensor, TensorType};
use super::{CancelFlag, Error, Result, edge};
use crate::protocol::{BenchKernel, KernelFigure, Roofline, TimedBy};
use rill_kernels::quantize::PANEL;

/// Sums of a few hundred products in f32, in whatever order.
const TOLERANCE: Tolerance = Tolerance { abs: 1e-4, rel: 1e-4 };
/// The largest size is timed of which one run is not expected to take longer.
const LONGEST_MS: f64 = 150.0;
/// Runs of one sample take at least so long together: a browser's clock has steps of up to a millisecond.
const LONG_ENOUGH_MS: f64 = 20.0;
/// Runs of one sample at most.
const MOST_RUNS: f64 = 1000.0;
/// Samples at most.
const MOST_SAMPLES: usize = 9;
/// After so long there are no more samples.
const MOST_MS: f64 = 500.0;
/// Elements of noise that are made at once; what is longer repeats them.
const NOISE: usize = 1 << 21;

/// What is to be measured.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    /// Which kernel.
    pub kernel: BenchKernel,
    /// What the kernel's smallest size makes of noise by its definition: [`answer`] on [`Device::Plain`].
    pub expected: &'a [u8],
    /// What the adapter can do, where it is a GPU: then the GPU's own clock is asked.
    pub roofline: Option<&'a Roofline>,
    /// Stops it.
    pub cancel: &'a CancelFlag,
}

/// What a kernel's smallest size makes of noise on `computes`, with weights as `device` holds them.
pub async fn answer(kernel: BenchKernel, device: &Device, computes: &Device) -> Result<Vec<u8>> {
    let written = KernelProgram::record(kernel, options(kernel, device), sizes(kernel)[0])?;
    Ready::make(computes, written).await?.answer(&CancelFlag::default()).await
}

/// Measures a kernel.
///
/// # Errors
/// [`Error::Numerics`] where its answer is not the expected one; [`Error::Input`] where the device has no such kernel.
pub async fn measure(on: &Choice, bench: &Bench<'_>) -> Result<KernelFigure> {
    let Bench { kernel, expected, roofline, cancel } = *bench;
    if kernel.is_quantized() && !on.device.quantizes() {
        return Err(Error::Input(format!("{} has no kernels for quantised weights", name_of(on.backend))));
    }
    let record = |size: usize| KernelProgram::record(kernel, options(kernel, &on.device), size);
    let mut ready = Ready::make(&on.device, record(sizes(kernel)[0])?).await?;
    let got = ready.answer(cancel).await?;
    compare(ready.written.result_ty(), expected, &got, TOLERANCE).map_err(|error| match error {
        Error::Numerics { reason, .. } => {
            Error::Numerics { what: format!("{} on {}", kernel.title(), name_of(on.backend)), reason }
        }
        other => other,
    })?;
    let (ms, _) = ready.run(1, &[ready.written.result], cancel).await?;
    for &size in sizes(kernel).iter().skip(1).rev() {
        let larger = record(size)?;
        if ms * larger.times_the_work_of(&ready.written) <= LONGEST_MS {
            ready = Ready::make(&on.device, larger).await?;
            break;
        }
    }
    let (flops, bytes) = (ready.written.flops(), ready.written.bytes());
    let (samples_us, share, timed_by) = match roofline {
        Some(roofline) => {
            let traced =
                ready.session.trace(ready.written.graph, &TraceOptions { states: &[], roofline, cancel }).await?;
            (vec![traced.whole_us], Some(roofline.rate(traced.whole_us, bytes, flops).share), traced.timed_by)
        }
        None => (ready.samples_us(cancel).await?, None, TimedBy::WallClock),
    };
    Ok(KernelFigure {
        kernel,
        backend: on.backend,
        adapter: on.adapter.clone(),
        shape: ready.written.shape.clone(),
        weights: ready.written.weights(),
        samples_us,
        flops,
        bytes,
        share,
        timed_by,
    })
}

impl KernelProgram {
    /// How many times as much there is to do as in the other one.
    fn times_the_work_of(&self, other: &Self) -> f64 {
        let ratio = |of: fn(&Self) -> u64| of(self) as f64 / of(other).max(1) as f64;
        ratio(Self::flops).max(ratio(Self::bytes))
    }
}

/// A kernel on a device, with noise for its numbers.
struct Ready {
    session: Session,
    written: KernelProgram,
}

impl Ready {
    async fn make(device: &Device, written: KernelProgram) -> Result<Self> {
        let mut session = Session::compile(device, written.program.clone()).await?;
        fill(&mut session, &written.program)?;
        if let Some((slot, bytes)) = &written.given {
            session.write(*slot, 0, bytes)?;
        }
        session.prepare(written.graph).await?;
        session.finish(&mut |_, _| ()).await?;
        Ok(Self { session, written })
    }

    /// What one run writes.
    async fn answer(&mut self, cancel: &CancelFlag) -> Result<Vec<u8>> {
        let (_, mut bytes) = self.run(1, &[self.written.result], cancel).await?;
        Ok(bytes.remove(0))
    }

    /// Milliseconds of so many runs in one submit, and the slots that are read afterwards.
    async fn run(&mut self, times: u32, reads: &[SlotId], cancel: &CancelFlag) -> Result<(f64, Vec<Vec<u8>>)> {
        edge::give_way().await;
        cancel.check()?;
        let mut watch = Watch { cancel, on_progress: &mut |_| () };
        let start = edge::Instant::now();
        let bytes = self.session.submit(&[(self.written.graph, times)], reads, &mut watch).await?.wait().await?;
        Ok((edge::ms_since(start), bytes))
    }

    /// Microseconds of a run, several times: from the submit of many until they are done, less what a submit takes by itself.
    async fn samples_us(&mut self, cancel: &CancelFlag) -> Result<Vec<f64>> {
        let result = [self.written.result];
        // The processor has finished when a submit returns; of others it is known by a result that is here.
        let (reads, beside) = if let Session::Cpu(_) = self.session { (&[][..], 0) } else { (&result[..], 1) };
        // The first run touches the memory for the first time.
        self.run(1, reads, cancel).await?;
        let mut once_ms = f64::INFINITY;
        for _ in 0..3 {
            once_ms = once_ms.min(self.run(1, reads, cancel).await?.0);
        }
        let beside_ms = if beside == 0 { 0.0 } else { once_ms };
        let n = (LONG_ENOUGH_MS / once_ms.max(1e-3)).ceil().clamp(1.0, MOST_RUNS) as u32;
        let (mut samples, start) = (Vec::new(), edge::Instant::now());
        while samples.is_empty() || (samples.len() < MOST_SAMPLES && edge::ms_since(start) < MOST_MS) {
            let (all_ms, _) = self.run(beside + n, reads, cancel).await?;
            let rest_ms = all_ms - beside_ms;
            // Where the clock is too coarse for the difference, the whole is an upper bound.
            let ms = if rest_ms > 0.0 { rest_ms / f64::from(n) } else { all_ms / f64::from(beside + n) };
            // Below the clock's step: a hundredth of a µs stands for nothing.
            samples.push((1e3 * ms).max(0.01));
        }
        Ok(samples)
    }
}

/// Fills weights and states with noise; constants are what they are, and integers are given otherwise.
fn fill(session: &mut Session, program: &Program) -> Result<()> {
    for (idx, slot) in program.slots.iter().enumerate() {
        if matches!(slot.kind, SlotKind::Constant(_)) || slot.ty.dtype == DType::U32 {
            continue;
        }
        let (ty, n_rows) = (&slot.ty, slot.ty.n_rows());
        let rows = (NOISE / ty.n_cols()).next_multiple_of(PANEL).min(n_rows);
        let part = TensorType::new(ty.dtype, [rows, ty.n_cols()]);
        let values = HostData::F32(noise(part.n_elements(), idx as u32 + 1));
        let bytes = HostTensor { ty: part, data: values }.to_bytes();
        for first in (0..n_rows).step_by(rows) {
            let at = ty.bytes_of_rows(first);
            let len = bytes.len().min(ty.n_bytes() - at);
            session.write(SlotId(idx), at, &bytes[..len])?;
        }
    }
    Ok(())
}
