//! The news of a load: put together from what files, parts and phases say, and sent whole.

use crate::engine::edge;
use crate::engine::load::LoadStep;
use crate::protocol::{Event, FileProgress, JobId, LoadPhase, LoadProgress};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

/// The download rate is that of the last so many milliseconds.
const RATE_SPAN_MS: f64 = 3000.0;

/// Puts the news of a load together and sends them whole.
pub(super) struct Progress {
    job: JobId,
    emit: super::Emit,
    start: edge::Instant,
    now: RefCell<LoadProgress>,
    /// When how many bytes from the network were here.
    received: RefCell<VecDeque<(f64, u64)>>,
    sent_ms: Cell<f64>,
}

impl Progress {
    pub(super) fn new(job: JobId, emit: super::Emit) -> Self {
        let now = LoadProgress {
            phase: LoadPhase::Prepare,
            files: Vec::new(),
            components: Vec::new(),
            bytes_per_s: 0.0,
            time_left_s: None,
            pipelines: (0, 0),
            uploaded_bytes: 0,
            elapsed_ms: 0.0,
        };
        Self {
            job,
            emit,
            start: edge::Instant::now(),
            now: RefCell::new(now),
            received: RefCell::default(),
            sent_ms: Cell::new(f64::NEG_INFINITY),
        }
    }

    pub(super) fn file(&self, file: FileProgress) {
        let mut now = self.now.borrow_mut();
        match now.files.iter_mut().find(|known| known.name == file.name) {
            Some(known) => *known = file,
            None => now.files.push(file),
        }
        let total: u64 = now.files.iter().filter(|file| !file.cached).map(|file| file.received_bytes).sum();
        let at = edge::ms_since(self.start);
        let mut received = self.received.borrow_mut();
        received.push_back((at, total));
        while received.front().is_some_and(|(then, _)| at - then > RATE_SPAN_MS) {
            received.pop_front();
        }
        let (first_ms, first) = received.front().copied().unwrap_or((at, total));
        now.bytes_per_s = (total - first.min(total)) as f64 * 1e3 / (at - first_ms).max(1.0);
        drop((now, received));
        self.send(false);
    }

    pub(super) fn step(&self, step: LoadStep) {
        let is_urgent = matches!(step, LoadStep::Phase(_));
        let mut now = self.now.borrow_mut();
        match step {
            LoadStep::Phase(phase) => now.phase = phase,
            LoadStep::Pipelines(made, all) => {
                now.pipelines = (made, all);
            }
            LoadStep::Components(components) => now.components = components,
            LoadStep::Uploaded(bytes) => now.uploaded_bytes = bytes,
            LoadStep::Fits(_) => {}
        }
        drop(now);
        self.send(is_urgent);
    }

    /// Sends the whole, at most twenty times a second unless it is urgent.
    fn send(&self, urgent: bool) {
        let at = edge::ms_since(self.start);
        if !urgent && at - self.sent_ms.get() < 50.0 {
            return;
        }
        self.sent_ms.set(at);
        let mut now = self.now.borrow_mut();
        now.elapsed_ms = at;
        let to_come = |file: &FileProgress| file.total_bytes.saturating_sub(file.received_bytes);
        let missing: u64 = now.files.iter().map(to_come).sum();
        now.time_left_s = (now.bytes_per_s > 0.0).then(|| missing as f64 / now.bytes_per_s);
        (self.emit)(Event::LoadProgress { job: self.job, progress: now.clone() });
    }
}
