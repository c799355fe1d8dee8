//! What an adapter can do at best, and where the time of a model's stages goes.

use super::PipelineId;
use serde::{Deserialize, Serialize};

/// By which clock the GPU's work was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimedBy {
    /// By the GPU's own timestamps.
    Timestamps,
    /// By this side's clock, from submit to completion, less what an idle queue takes to answer.
    WallClock,
}

/// What an adapter can do at best, measured on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roofline {
    /// Its name.
    pub adapter: String,
    /// Whether it computes on the processor.
    pub software: bool,
    /// Bytes read and written while copying, in GB (10^9 bytes) a second.
    pub copy_gb_per_s: f64,
    /// Bytes that a copy reads and writes, of which caches can hold a part at most.
    pub copy_bytes: u64,
    /// Products and sums in 32 bits, in 10^12 a second.
    pub f32_tflops: f64,
    /// The same in 16 bits; `None` where the adapter has no arithmetic in f16.
    pub f16_tflops: Option<f64>,
    /// Microseconds of the smallest dispatch that waits for the one before it, on the GPU.
    pub dispatch_us: f64,
    /// Microseconds to write a dispatch down, on this side.
    pub encode_us: f64,
    /// Microseconds from a submit of one small dispatch to the next.
    pub submit_us: f64,
    /// Milliseconds from a submit of one small dispatch until 16 bytes of its result are here, the median.
    pub readback_ms: f64,
    /// By which clock bandwidth, arithmetic and dispatches were timed.
    pub timed_by: TimedBy,
    /// Milliseconds that all of this took.
    pub spent_ms: f64,
}

/// What of an adapter a piece of work is nearest to using up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The speed of its memory.
    Memory,
    /// The speed of its arithmetic in f32: kernels sum in f32 whatever they read.
    Arithmetic,
}

/// How fast a piece of work went, beside what the adapter can do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// GB (10^9 bytes) a second.
    pub gb_per_s: f64,
    /// 10^12 products and sums a second.
    pub tflops: f64,
    /// Of the adapter's peak, the larger of the shares of memory and of arithmetic; 1 is all of it. Above 1 where what is read over and
    /// over comes from a cache.
    pub share: f64,
    /// Which of the two that is.
    pub bound: Bound,
}

impl Roofline {
    /// How fast work went that took `us` microseconds.
    pub fn rate(&self, us: f64, bytes: u64, flops: u64) -> Rate {
        let us = us.max(1e-3);
        let (gb_per_s, tflops) = (bytes as f64 / us / 1e3, flops as f64 / us / 1e6);
        let of_memory = gb_per_s / self.copy_gb_per_s.max(1e-9);
        let of_arithmetic = tflops / self.f32_tflops.max(1e-9);
        let bound = if of_memory >= of_arithmetic { Bound::Memory } else { Bound::Arithmetic };
        Rate { gb_per_s, tflops, share: of_memory.max(of_arithmetic), bound }
    }
}

/// One dispatch of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DispatchTrace {
    /// The op.
    pub op: String,
    /// Its kernel, a file of `shaders/`.
    pub shader: String,
    /// Workgroups in each dimension.
    pub workgroups: [u32; 3],
    /// Microseconds, the mean over the dispatches that are alike.
    pub us: f64,
    /// Bytes that it has to read and write.
    pub bytes: u64,
    /// Products and sums.
    pub flops: u64,
    /// How fast that is.
    pub rate: Rate,
}

/// One stage of a model: a graph of dispatches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTrace {
    /// Its name.
    pub name: String,
    /// Microseconds of all dispatches one after the other.
    pub whole_us: f64,
    /// The sum of what each takes by itself.
    pub parts_us: f64,
    /// How many there are.
    pub n_dispatches: u32,
    /// Bytes that all of them have to read and write.
    pub bytes: u64,
    /// Products and sums of all of them.
    pub flops: u64,
    /// How fast that is, of the whole.
    pub rate: Rate,
    /// Share of the whole that so many of the smallest dispatches would take.
    pub dispatch_share: f64,
    /// By which clock.
    pub timed_by: TimedBy,
    /// Its dispatches in order.
    pub dispatches: Vec<DispatchTrace>,
}

/// The dispatches of one op in a stage, with one kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct OpTotal<'a> {
    /// The op.
    pub op: &'a str,
    /// Its kernel.
    pub shader: &'a str,
    /// How many.
    pub n_dispatches: u32,
    /// Microseconds of all.
    pub us: f64,
    /// Bytes of all.
    pub bytes: u64,
    /// Products and sums of all.
    pub flops: u64,
}

impl OpTotal<'_> {
    /// How fast they went together.
    pub fn rate(&self, roofline: &Roofline) -> Rate {
        roofline.rate(self.us, self.bytes, self.flops)
    }

    /// Microseconds more than the same work takes at the adapter's peak.
    pub fn wasted_us(&self, roofline: &Roofline) -> f64 {
        self.us * (1.0 - self.rate(roofline).share.min(1.0))
    }

    /// Microseconds that as many of the smallest dispatches take.
    pub fn launches_us(&self, roofline: &Roofline) -> f64 {
        f64::from(self.n_dispatches) * roofline.dispatch_us
    }
}

impl StageTrace {
    /// A stage from its parts.
    pub fn new(
        name: &str,
        whole_us: f64,
        dispatches: Vec<DispatchTrace>,
        timed_by: TimedBy,
        roofline: &Roofline,
    ) -> Self {
        let bytes = dispatches.iter().map(|dispatch| dispatch.bytes).sum();
        let flops = dispatches.iter().map(|dispatch| dispatch.flops).sum();
        let n_dispatches = dispatches.len() as u32;
        Self {
            name: name.into(),
            whole_us,
            parts_us: dispatches.iter().map(|dispatch| dispatch.us).sum(),
            n_dispatches,
            bytes,
            flops,
            rate: roofline.rate(whole_us, bytes, flops),
            dispatch_share: f64::from(n_dispatches) * roofline.dispatch_us / whole_us.max(1e-3),
            timed_by,
            dispatches,
        }
    }

    /// Its dispatches by op and kernel, what takes longest first.
    pub fn by_op(&self) -> Vec<OpTotal<'_>> {
        let mut totals: Vec<OpTotal> = Vec::new();
        for DispatchTrace { op, shader, us, bytes, flops, .. } in &self.dispatches {
            let known = totals.iter().position(|total| total.op == op && total.shader == shader);
            let idx = known.unwrap_or_else(|| {
                totals.push(OpTotal { op, shader, n_dispatches: 0, us: 0.0, bytes: 0, flops: 0 });
                totals.len() - 1
            });
            let total = &mut totals[idx];
            total.n_dispatches += 1;
            total.us += us;
            total.bytes += bytes;
            total.flops += flops;
        }
        totals.sort_by(|a, b| b.us.total_cmp(&a.us));
        totals
    }

    /// Of [`Self::by_op`], the one from which most time could be had back.
    pub fn most_wasteful(&self, roofline: &Roofline) -> Option<OpTotal<'_>> {
        self.by_op().into_iter().max_by(|a, b| a.wasted_us(roofline).total_cmp(&b.wasted_us(roofline)))
    }
}

/// Where a model's time goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineTrace {
    /// Which.
    pub pipeline: PipelineId,
    /// Its model's id.
    pub model: String,
    /// What it runs on can do.
    pub roofline: Roofline,
    /// Its stages in the order in which they run.
    pub stages: Vec<StageTrace>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Figures of no machine, easy to reckon with.
    pub(crate) fn roofline() -> Roofline {
        Roofline {
            adapter: "test".into(),
            software: false,
            copy_gb_per_s: 100.0,
            copy_bytes: 1 << 20,
            f32_tflops: 2.0,
            f16_tflops: None,
            dispatch_us: 3.0,
            encode_us: 1.0,
            submit_us: 10.0,
            readback_ms: 0.5,
            timed_by: TimedBy::Timestamps,
            spent_ms: 1.0,
        }
    }

    fn dispatch(op: &str, us: f64, bytes: u64, flops: u64) -> DispatchTrace {
        let rate = roofline().rate(us, bytes, flops);
        DispatchTrace { op: op.into(), shader: op.into(), workgroups: [1, 1, 1], us, bytes, flops, rate }
    }

    #[test]
    fn a_rate_is_held_against_the_nearer_peak() {
        // 1 MB in 20 µs are 50 GB/s, half of the peak; 8 MFLOP in that time 0.4 TFLOP/s, a fifth.
        let of_memory = roofline().rate(20.0, 1_000_000, 8_000_000);
        assert_eq!((of_memory.gb_per_s, of_memory.tflops), (50.0, 0.4));
        assert_eq!((of_memory.share, of_memory.bound), (0.5, Bound::Memory));
        let of_arithmetic = roofline().rate(20.0, 1_000, 30_000_000);
        assert_eq!((of_arithmetic.share, of_arithmetic.bound), (0.75, Bound::Arithmetic));
    }

    #[test]
    fn a_stage_adds_its_dispatches_up() {
        let dispatches = vec![dispatch("a", 1.0, 10, 100), dispatch("b", 5.0, 20, 0), dispatch("a", 2.0, 30, 300)];
        let stage = StageTrace::new("step", 12.0, dispatches, TimedBy::Timestamps, &roofline());
        assert_eq!((stage.n_dispatches, stage.bytes, stage.flops, stage.parts_us), (3, 60, 400, 8.0));
        assert_eq!(stage.dispatch_share, 0.75);
        let totals: Vec<_> = stage.by_op().into_iter().map(|total| (total.op, total.n_dispatches, total.us)).collect();
        assert_eq!(totals, [("b", 1, 5.0), ("a", 2, 3.0)]);
    }

    #[test]
    fn the_most_wasteful_op_is_the_farthest_from_its_peak_not_the_slowest() {
        // 0.9 MB in 10 µs are 90 % of the peak, 0.1 MB in 8 µs an eighth.
        let dispatches = vec![dispatch("copy", 10.0, 900_000, 0), dispatch("wait", 8.0, 100_000, 0)];
        let stage = StageTrace::new("step", 18.0, dispatches, TimedBy::Timestamps, &roofline());
        assert_eq!(stage.by_op()[0].op, "copy");
        let wasteful = stage.most_wasteful(&roofline()).unwrap();
        assert_eq!(
            (wasteful.op, wasteful.wasted_us(&roofline()), wasteful.launches_us(&roofline())),
            ("wait", 7.0, 3.0)
        );
        assert!(
            StageTrace::new("none", 0.0, vec![], TimedBy::Timestamps, &roofline()).most_wasteful(&roofline()).is_none()
        );
    }

    #[test]
    fn work_without_a_time_has_a_finite_rate() {
        let rate = roofline().rate(0.0, 1, 1);
        assert!(rate.gb_per_s.is_finite() && rate.share.is_finite());
    }
}
