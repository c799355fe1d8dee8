//! How long a GPU takes for a compute pass: by its own timestamps where it has them and they are believable, otherwise from submit to
//! completion, less what an idle queue takes to answer.

use super::buffer::{Buffer, BufferPlan};
use super::device::Gpu;
use super::probe_kernel::ProbeKernel;
use crate::engine::memory::{Ledger, Purpose};
use crate::engine::tensor::DType;
use crate::engine::{Result, edge};
use crate::protocol::TimedBy;

/// GPUs that rest run at a lower clock: so long they work before anything counts. An H100 was at a quarter of its arithmetic after 0.1 s.
const WARM_UP_MS: f64 = 1000.0;
/// The same where the processor plays the GPU.
const SOFTWARE_WARM_UP_MS: f64 = 100.0;

/// Dispatches of one pass at most: a browser keeps a list of them.
const MOST_DISPATCHES: usize = 4096;

/// Where the processor plays the GPU, a pass takes at least so long before it counts. It is the same on GPUs, whose clocks browsers round to
/// 0.1 ms.
const LONG_ENOUGH_US: f64 = 10e3;

/// How long measurements may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// A pass that takes so long is long enough, in µs.
    pub long_enough_us: f64,
    /// After so many ms nothing is repeated any more.
    pub most_ms: f64,
}

impl Patience {
    /// For one of a few figures.
    pub const FIGURE: Self = Self { long_enough_us: LONG_ENOUGH_US, most_ms: 600.0 };
}

/// Times passes on one GPU.
pub(super) struct Clock<'a> {
    gpu: &'a Gpu,
    stamps: Option<Stamps>,
    staging: Buffer,
    /// What an idle queue takes to answer, in ms.
    answer_ms: f64,
}

struct Stamps {
    queries: wgpu::QuerySet,
    resolved: Buffer,
    ns_per_tick: f64,
}

impl Drop for Stamps {
    fn drop(&mut self) {
        self.queries.destroy();
    }
}

/// A pass as both clocks saw it, in µs.
struct Times {
    stamps_us: Option<f64>,
    wall_us: f64,
}

impl<'a> Clock<'a> {
    /// Warms the GPU up, and finds out which clock to go by.
    pub async fn start(gpu: &'a Gpu, ledger: &std::rc::Rc<Ledger>) -> Result<Self> {
        use wgpu::BufferUsages as Usage;
        let plan =
            |label: &str, bytes, usage| BufferPlan { label: label.into(), bytes, purpose: Purpose::Staging, usage };
        let stamps = gpu.has_timestamps.then(|| Stamps {
            queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("clock"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: plan("timestamps", 256, Usage::QUERY_RESOLVE | Usage::COPY_SRC).make(gpu, ledger),
            ns_per_tick: f64::from(gpu.queue.get_timestamp_period()),
        });
        let staging = plan("timestamps read back", 16, Usage::MAP_READ | Usage::COPY_DST).make(gpu, ledger);
        let mut clock = Self { gpu, stamps, staging, answer_ms: 0.0 };
        let mut answers = Vec::new();
        for _ in 0..15 {
            answers.push(clock.both(&|_| (), &|_| ()).await?.wall_us / 1e3);
        }
        clock.answer_ms = median(answers);
        let kernel = ProbeKernel::arithmetic(gpu, ledger, DType::F32);
        gpu.finish_pipelines(&[kernel.pipeline()], &mut |_| ()).await?;
        let warm_up_ms = if gpu.caps.software { SOFTWARE_WARM_UP_MS } else { WARM_UP_MS };
        let start = edge::Instant::now();
        let mut n = 1;
        let last = loop {
            let times = clock.both(&|_| (), &|pass| (0..n).for_each(|_| kernel.encode(pass))).await?;
            if edge::ms_since(start) > warm_up_ms {
                break times;
            }
            if times.wall_us < LONG_ENOUGH_US {
                n = (2 * n).min(MOST_DISPATCHES);
            }
        };
        // What is said to be there may not work. The time on the way is in the wall clock's figure alone.
        let net_us = last.wall_us - 1e3 * clock.answer_ms;
        let is_believable = |us: &f64| *us > 0.3 * net_us && *us < 1.1 * last.wall_us + 200.0;
        if last.stamps_us.filter(is_believable).is_none() {
            clock.stamps = None;
        }
        Ok(clock)
    }

    /// The clock that it goes by.
    pub fn timed_by(&self) -> TimedBy {
        if self.stamps.is_some() { TimedBy::Timestamps } else { TimedBy::WallClock }
    }

    /// µs of a pass; `before` is not timed.
    pub async fn time(
        &self,
        before: &dyn Fn(&mut wgpu::CommandEncoder),
        work: &dyn Fn(&mut wgpu::ComputePass),
    ) -> Result<f64> {
        let times = self.both(before, work).await?;
        let us = times.stamps_us.unwrap_or(times.wall_us - 1e3 * self.answer_ms);
        // Below the clock's step: a hundredth of a µs stands for nothing.
        Ok(us.max(0.01))
    }

    /// µs of `work`, which makes `n_dispatches`: repeated in one pass, twice and more as often until that takes long enough, then the best
    /// of three.
    pub async fn repeat(
        &self,
        patience: Patience,
        n_dispatches: usize,
        before: &dyn Fn(&mut wgpu::CommandEncoder),
        work: &dyn Fn(&mut wgpu::ComputePass),
    ) -> Result<f64> {
        let start = edge::Instant::now();
        let is_over = || edge::ms_since(start) > patience.most_ms;
        let most = (MOST_DISPATCHES / n_dispatches.max(1)).max(1);
        let mut n = 1;
        let mut best = loop {
            let us = self.time(before, &|pass| (0..n).for_each(|_| work(pass))).await?;
            if us >= patience.long_enough_us || n >= most || is_over() {
                break us / n as f64;
            }
            let factor = (1.2 * patience.long_enough_us / us).ceil().clamp(2.0, 8.0);
            n = (n * factor as usize).min(most);
        };
        for _ in 0..2 {
            if is_over() {
                break;
            }
            best = best.min(self.time(before, &|pass| (0..n).for_each(|_| work(pass))).await? / n as f64);
        }
        Ok(best)
    }

    async fn both(
        &self,
        before: &dyn Fn(&mut wgpu::CommandEncoder),
        work: &dyn Fn(&mut wgpu::ComputePass),
    ) -> Result<Times> {
        self.gpu.check()?;
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        before(&mut encoder);
        let timestamp_writes = self.stamps.as_ref().map(|stamps| wgpu::ComputePassTimestampWrites {
            query_set: &stamps.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
        work(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some("timed"), timestamp_writes }));
        if let Some(stamps) = &self.stamps {
            encoder.resolve_query_set(&stamps.queries, 0..2, &stamps.resolved, 0);
            encoder.copy_buffer_to_buffer(&stamps.resolved, 0, &self.staging, 0, 16);
        }
        let commands = encoder.finish();
        let start = edge::Instant::now();
        self.gpu.queue.submit([commands]);
        let bytes = self.gpu.read_mapped(&self.staging).await?;
        let wall_us = 1e3 * edge::ms_since(start);
        let stamps_us = self.stamps.as_ref().map(|stamps| {
            let [begin, end] = [&bytes[..8], &bytes[8..16]].map(bytemuck::pod_read_unaligned::<u64>);
            end.saturating_sub(begin) as f64 * stamps.ns_per_tick / 1e3
        });
        Ok(Times { stamps_us, wall_us })
    }
}

/// The middle one of some values; zero of none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
