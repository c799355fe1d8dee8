//! Where the ticks of a GPU's timestamps lie on this side's clock, and whether they can be believed.
//!
//! A pass cannot begin before its submit, nor end after its completion was heard of: each pass with known ticks says between which
//! times a tick must lie. Where no time suits all of several passes, the ticks are none of a clock: some browsers give zeros.

use super::device::Gpu;
use super::probe_kernel::ProbeKernel;
use super::spans::TimedSlot;
use crate::engine::memory::Ledger;
use crate::engine::{Result, edge};

/// Passes that a calibration takes.
const PASSES: usize = 8;
/// Browsers round timestamps to 0.1 ms, and their clocks, where pages are not isolated, to the same.
const STEP_MS: f64 = if cfg!(target_arch = "wasm32") { 0.2 } else { 0.0 };

/// A submit: its first and last tick, and between what times of this side's clock they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bracket {
    pub submit_ms: f64,
    pub done_ms: f64,
    pub begin: u64,
    pub end: u64,
}

/// How ticks become times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calibration {
    /// This tick was
    tick: u64,
    /// at this time.
    at_ms: f64,
    ms_per_tick: f64,
    /// How far from there it may be.
    pub uncertainty_ms: f64,
}

/// Where a submit begins on this side's clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placed {
    pub start_ms: f64,
    /// Whether that is where its ticks say, give or take the uncertainty; otherwise it was moved to lie in its bracket.
    pub fits: bool,
}

impl Calibration {
    /// The middle of the times that suit all passes; `None` where none does, by more than a step of the clocks.
    fn of(brackets: &[Bracket], ms_per_tick: f64, step_ms: f64) -> Option<Self> {
        let tick = brackets.first()?.begin;
        // When the first tick was, at the earliest and at the latest.
        let (mut from, mut to) = (f64::NEG_INFINITY, f64::INFINITY);
        for bracket in brackets {
            from = from.max(bracket.submit_ms - ticks_between(tick, bracket.begin) * ms_per_tick);
            to = to.min(bracket.done_ms - ticks_between(tick, bracket.end) * ms_per_tick);
        }
        let is_believable = brackets.iter().all(|bracket| bracket.end >= bracket.begin) && from - to <= step_ms;
        let half_ms = (to - from).max(0.0) / 2.0;
        is_believable.then_some(Self { tick, at_ms: (from + to) / 2.0, ms_per_tick, uncertainty_ms: half_ms + step_ms })
    }

    /// Milliseconds from one tick to another.
    pub fn ms_between(&self, from: u64, to: u64) -> f64 {
        ticks_between(from, to) * self.ms_per_tick
    }

    /// Where a submit lies. It cannot lie outside of its bracket, whatever the clocks have done since they were compared.
    pub fn place(&self, bracket: &Bracket) -> Placed {
        let start_ms = self.at_ms + self.ms_between(self.tick, bracket.begin);
        let latest_ms = bracket.done_ms - self.ms_between(bracket.begin, bracket.end);
        if start_ms < bracket.submit_ms - self.uncertainty_ms {
            Placed { start_ms: bracket.submit_ms, fits: false }
        } else if start_ms > latest_ms + self.uncertainty_ms {
            Placed { start_ms: latest_ms.max(bracket.submit_ms), fits: false }
        } else {
            Placed { start_ms, fits: true }
        }
    }
}

/// Exact where the ticks themselves are too large for a float.
fn ticks_between(from: u64, to: u64) -> f64 {
    to.wrapping_sub(from) as i64 as f64
}

impl Gpu {
    /// Compares the clocks by a few tiny submits; `None` where the GPU has no timestamps or none that can be believed.
    pub(super) async fn calibrate(&self) -> Result<Option<Calibration>> {
        if !self.has_timestamps {
            return Ok(None);
        }
        let ledger = Ledger::new();
        let kernel = ProbeKernel::count(self, &ledger);
        self.finish_pipelines(&[kernel.pipeline()], &mut |_| ()).await?;
        let slot = TimedSlot::new(self, &ledger);
        let mut brackets = Vec::with_capacity(PASSES);
        // The first one also pays for what is done once.
        for idx in 0..=PASSES {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            let descriptor =
                wgpu::ComputePassDescriptor { label: Some("calibration"), timestamp_writes: Some(slot.writes(0)) };
            kernel.encode(&mut encoder.begin_compute_pass(&descriptor));
            slot.resolve(&mut encoder, 1);
            let commands = encoder.finish();
            let submit_ms = edge::epoch_ms();
            self.queue.submit([commands]);
            let ticks = slot.ticks(&self.read_mapped(&slot.staging).await?);
            let done_ms = edge::epoch_ms();
            if idx > 0 {
                brackets.push(Bracket { submit_ms, done_ms, begin: ticks[0], end: ticks[1] });
            }
        }
        let ms_per_tick = f64::from(self.queue.get_timestamp_period()) / 1e6;
        Ok(Calibration::of(&brackets, ms_per_tick, STEP_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of 1 µs, the first at 5,000 ms.
    fn bracket(submit_ms: f64, begin: u64, end: u64, done_ms: f64) -> Bracket {
        Bracket { submit_ms, done_ms, begin, end }
    }

    fn calibrated() -> Calibration {
        // The second leaves less room than the first, on both sides.
        let brackets = [bracket(4999.0, 0, 10, 5002.01), bracket(5009.75, 10_000, 10_500, 5010.625)];
        Calibration::of(&brackets, 1e-3, 0.0).unwrap()
    }

    #[test]
    fn the_tightest_bracket_decides_and_its_half_width_is_the_uncertainty() {
        let found = calibrated();
        // 10,000 ticks lie between 5,009.75 and 5,010.125 ms.
        assert!((found.uncertainty_ms - 0.1875).abs() < 1e-9, "{found:?}");
        assert!((found.at_ms - 4999.9375).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn ticks_that_are_none_of_a_clock_are_not_believed() {
        let zeros = [bracket(10.0, 0, 0, 10.3), bracket(11.0, 0, 0, 11.3)];
        assert_eq!(Calibration::of(&zeros, 1e-3, 0.2), None);
        let twice_as_fast = [bracket(10.0, 0, 200, 10.3), bracket(13.0, 6000, 6200, 13.3)];
        assert_eq!(Calibration::of(&twice_as_fast, 1e-3, 0.2), None);
        let backwards = [bracket(10.0, 200, 100, 10.3)];
        assert_eq!(Calibration::of(&backwards, 1e-3, 0.2), None);
        assert_eq!(Calibration::of(&[], 1e-3, 0.2), None);
    }

    #[test]
    fn rounded_ticks_are_believed_to_a_step() {
        // A pass of 0.05 ms whose ticks were rounded to 0.1 ms, in brackets that leave no room for that.
        let rounded = [bracket(10.0, 0, 100, 10.06), bracket(12.0, 2000, 2100, 12.06)];
        let found = Calibration::of(&rounded, 1e-3, 0.2).unwrap();
        assert!((found.uncertainty_ms - 0.2).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn a_submit_outside_of_its_bracket_is_moved_into_it() {
        let found = calibrated();
        let start_ms = found.at_ms + 20.0;
        let fits = found.place(&bracket(start_ms + 0.1, 20_000, 21_000, start_ms + 5.0));
        assert!(fits.fits && (fits.start_ms - start_ms).abs() < 1e-9, "{fits:?}");
        let early = found.place(&bracket(start_ms + 1.0, 20_000, 21_000, start_ms + 5.0));
        assert_eq!(early, Placed { start_ms: start_ms + 1.0, fits: false });
        let late = found.place(&bracket(start_ms - 5.0, 20_000, 21_000, start_ms - 1.0));
        assert_eq!(late, Placed { start_ms: start_ms - 2.0, fits: false });
    }
}
