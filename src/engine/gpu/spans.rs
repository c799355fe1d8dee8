//! What the GPU works on in ordinary runs, and when: off unless somebody wants to know, and then beside the runs, which never wait for it.
//!
//! By its own timestamps, where they are believable, each graph of a submit has a span; they are read when they have come, in a small
//! ring. Otherwise a submit is one span, from when the GPU could begin with it to when this side heard that it was done.

use super::buffer::{Buffer, BufferPlan};
use super::calibration::{Bracket, Calibration};
use super::device::Gpu;
use crate::engine::memory::{Ledger, Purpose};
use crate::engine::{Result, edge};
use crate::protocol::{GpuSpan, GpuTimes, TOGETHER, TimedBy};
use futures_channel::oneshot;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// Passes of a submit that are timed.
const MOST_PASSES: usize = 32;
/// Submits whose times are under way at most.
const MOST_UNDER_WAY: usize = 16;
/// Spans that wait to be asked for at most: at two submits a millisecond, those of a second.
const MOST_SPANS: usize = 2048;

/// Timestamps of a submit, and the buffers in which they come.
#[derive(Debug)]
pub(super) struct TimedSlot {
    queries: wgpu::QuerySet,
    resolved: Buffer,
    pub staging: Buffer,
}

impl Drop for TimedSlot {
    fn drop(&mut self) {
        self.queries.destroy();
    }
}

impl TimedSlot {
    pub fn new(gpu: &Gpu, ledger: &Rc<Ledger>) -> Self {
        use wgpu::BufferUsages as Usage;
        let bytes = (2 * MOST_PASSES * size_of::<u64>()) as u64;
        let make =
            |usage| BufferPlan { label: "spans".into(), bytes, purpose: Purpose::Staging, usage }.make(gpu, ledger);
        Self {
            queries: gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("spans"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * MOST_PASSES as u32,
            }),
            resolved: make(Usage::QUERY_RESOLVE | Usage::COPY_SRC),
            staging: make(Usage::MAP_READ | Usage::COPY_DST),
        }
    }

    /// Where a pass writes its begin and its end.
    pub fn writes(&self, pass: u32) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * pass),
            end_of_pass_write_index: Some(2 * pass + 1),
        }
    }

    /// Brings what so many passes wrote to where it can be read.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder, n_passes: usize) {
        encoder.resolve_query_set(&self.queries, 0..2 * n_passes as u32, &self.resolved, 0);
        let bytes = (2 * n_passes * size_of::<u64>()) as u64;
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.staging, 0, bytes);
    }

    /// Begins and ends, pass by pass.
    pub fn ticks(&self, bytes: &[u8]) -> Vec<u64> {
        bytemuck::pod_collect_to_vec(bytes)
    }
}

/// A submit that is being encoded and is going to be timed.
#[derive(Debug)]
pub(super) struct TimedSubmit {
    /// `None` without timestamps, and where too many are under way.
    slot: Option<TimedSlot>,
    /// The graphs, with how often each begins.
    graphs: Vec<(String, u32)>,
}

impl TimedSubmit {
    /// A pass for a graph that begins so often in it.
    pub fn pass(&mut self, graph: &str, times: u32) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let idx = self.graphs.len();
        self.graphs.push((graph.into(), times));
        self.slot.as_ref().filter(|_| idx < MOST_PASSES).map(|slot| slot.writes(idx as u32))
    }
}

/// A submit whose times are under way.
#[derive(Debug)]
struct UnderWay {
    timed: TimedSubmit,
    submit_ms: f64,
    /// When it was heard that it is done, and can be read; `None` where that failed.
    done: oneshot::Receiver<Option<f64>>,
}

#[derive(Debug)]
struct Recorder {
    calibration: Option<Calibration>,
    /// Whether a span lay where it cannot: the clocks are to be compared again.
    is_astray: bool,
    free: Vec<TimedSlot>,
    under_way: VecDeque<UnderWay>,
    /// When the latest submit was done.
    last_done_ms: f64,
    spans: Vec<GpuSpan>,
    n_dropped: u32,
    ledger: Rc<Ledger>,
}

/// What ordinary runs take, where somebody wants to know.
#[derive(Debug, Default)]
pub(super) struct RunTimes {
    is_wanted: Cell<bool>,
    recorder: RefCell<Option<Recorder>>,
}

impl Gpu {
    /// Whether ordinary runs are timed from now on. At first they are not.
    pub async fn time_runs(&self, on: bool) -> Result<()> {
        self.run_times.is_wanted.set(on);
        let must_compare = |recorder: &Recorder| recorder.is_astray;
        if on && self.run_times.recorder.borrow().as_ref().is_none_or(must_compare) {
            let calibration = self.calibrate().await?;
            let mut recorder = self.run_times.recorder.borrow_mut();
            // Others may have asked otherwise meanwhile.
            if self.run_times.is_wanted.get() {
                let recorder = recorder.get_or_insert_with(Recorder::new);
                (recorder.calibration, recorder.is_astray) = (calibration, false);
            }
        }
        Ok(())
    }

    /// What was recorded since the last asking. Where runs are timed no more, also what is still under way, and that was all.
    pub async fn take_times(&self) -> Result<GpuTimes> {
        let is_last = !self.run_times.is_wanted.get();
        if is_last && self.run_times.recorder.borrow().is_some() {
            self.finish().await?;
        }
        // Natively callbacks come only while somebody polls. What is wrong with the device is told by who waits for it.
        let _ = self.device.poll(wgpu::PollType::Poll);
        let mut place = self.run_times.recorder.borrow_mut();
        let times = place.as_mut().map(Recorder::take).unwrap_or_default();
        if is_last {
            *place = None;
        }
        Ok(times)
    }

    /// Begins to encode a submit: `None` where runs are not timed.
    pub(super) fn begin_timed(&self) -> Option<TimedSubmit> {
        let mut recorder = self.run_times.recorder.borrow_mut();
        recorder.as_mut().map(|recorder| recorder.begin(self))
    }

    /// Submits what is encoded.
    pub(super) fn submit(&self, mut encoder: wgpu::CommandEncoder, timed: Option<TimedSubmit>) {
        if let Some(TimedSubmit { slot: Some(slot), graphs }) = &timed
            && !graphs.is_empty()
        {
            slot.resolve(&mut encoder, graphs.len().min(MOST_PASSES));
        }
        let commands = encoder.finish();
        let submit_ms = timed.as_ref().map(|_| edge::epoch_ms());
        self.queue.submit([commands]);
        if let (Some(timed), Some(submit_ms), Some(recorder)) =
            (timed, submit_ms, self.run_times.recorder.borrow_mut().as_mut())
        {
            recorder.sent(self, timed, submit_ms);
        }
    }
}

impl Recorder {
    fn new() -> Self {
        Self {
            calibration: None,
            is_astray: false,
            free: Vec::new(),
            under_way: VecDeque::new(),
            last_done_ms: 0.0,
            spans: Vec::new(),
            n_dropped: 0,
            ledger: Ledger::new(),
        }
    }

    fn begin(&mut self, gpu: &Gpu) -> TimedSubmit {
        self.collect();
        let has_room = self.calibration.is_some() && self.under_way.len() < MOST_UNDER_WAY;
        let slot = has_room.then(|| self.free.pop().unwrap_or_else(|| TimedSlot::new(gpu, &self.ledger)));
        TimedSubmit { slot, graphs: Vec::new() }
    }

    fn sent(&mut self, gpu: &Gpu, timed: TimedSubmit, submit_ms: f64) {
        if timed.graphs.is_empty() {
            self.free.extend(timed.slot);
            return;
        }
        if self.under_way.len() >= MOST_UNDER_WAY {
            self.n_dropped += timed.graphs.len() as u32;
            return;
        }
        let (say, done) = oneshot::channel();
        // Nobody listens any more where runs are timed no more.
        match &timed.slot {
            Some(slot) => slot.staging.map_async(wgpu::MapMode::Read, .., move |result| {
                let _ = say.send(result.ok().map(|()| edge::epoch_ms()));
            }),
            None => gpu.queue.on_submitted_work_done(move || {
                let _ = say.send(Some(edge::epoch_ms()));
            }),
        }
        self.under_way.push_back(UnderWay { timed, submit_ms, done });
    }

    /// Takes in what has come, in the order of submission.
    fn collect(&mut self) {
        while let Some(first) = self.under_way.front_mut() {
            let done_ms = match first.done.try_recv() {
                Ok(None) => return,
                Ok(Some(done_ms)) => done_ms,
                Err(oneshot::Canceled) => None,
            };
            let Some(UnderWay { timed, submit_ms, .. }) = self.under_way.pop_front() else { return };
            match done_ms {
                Some(done_ms) => self.note(timed, submit_ms, done_ms),
                None => self.n_dropped += timed.graphs.len() as u32,
            }
        }
    }

    fn note(&mut self, timed: TimedSubmit, submit_ms: f64, done_ms: f64) {
        match timed.slot {
            Some(slot) => {
                let ticks = slot.staging.get_mapped_range(..).map(|bytes| slot.ticks(&bytes)).unwrap_or_default();
                slot.staging.unmap();
                self.free.push(slot);
                self.note_ticks(timed.graphs, &ticks, submit_ms, done_ms);
            }
            None => {
                let start_ms = submit_ms.max(self.last_done_ms);
                let times = if let [(_, times)] = timed.graphs[..] { times } else { 1 };
                let names: Vec<String> = timed.graphs.into_iter().map(|(name, _)| name).collect();
                let us = 1e3 * (done_ms - start_ms).max(0.0);
                self.push(GpuSpan { graph: names.join(TOGETHER), times, start_ms, us, timed_by: TimedBy::WallClock });
            }
        }
        self.last_done_ms = done_ms;
    }

    fn note_ticks(&mut self, graphs: Vec<(String, u32)>, ticks: &[u64], submit_ms: f64, done_ms: f64) {
        let n_timed = graphs.len().min(MOST_PASSES);
        let (Some(calibration), Some(&begin), Some(&end)) =
            (self.calibration, ticks.first(), ticks.get(2 * n_timed - 1))
        else {
            self.n_dropped += graphs.len() as u32;
            return;
        };
        self.n_dropped += (graphs.len() - n_timed) as u32;
        let placed = calibration.place(&Bracket { submit_ms, done_ms, begin, end });
        self.is_astray |= !placed.fits;
        for ((graph, times), pass) in graphs.into_iter().zip(ticks.chunks_exact(2)).take(n_timed) {
            let start_ms = placed.start_ms + calibration.ms_between(begin, pass[0]);
            let us = 1e3 * calibration.ms_between(pass[0], pass[1]).max(0.0);
            self.push(GpuSpan { graph, times, start_ms, us, timed_by: TimedBy::Timestamps });
        }
    }

    fn push(&mut self, span: GpuSpan) {
        if self.spans.len() < MOST_SPANS {
            self.spans.push(span);
        } else {
            self.n_dropped += 1;
        }
    }

    fn take(&mut self) -> GpuTimes {
        self.collect();
        GpuTimes {
            pipelines: Vec::new(),
            spans: std::mem::take(&mut self.spans),
            n_dropped: std::mem::take(&mut self.n_dropped),
            timed_by: Some(if self.calibration.is_some() { TimedBy::Timestamps } else { TimedBy::WallClock }),
            uncertainty_us: self.calibration.map(|calibration| 1e3 * calibration.uncertainty_ms),
        }
    }
}
