//! The news of a load: put together from what files, parts and phases say, and sent whole.

use crate::engine::edge;
use crate::engine::load::LoadStep;
use crate::protocol::{ComponentProgress, Event, FileProgress, JobId, LoadPhase, LoadProgress};
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
    fetched: RefCell<VecDeque<(f64, u64)>>,
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
            fetched: RefCell::default(),
            sent_ms: Cell::new(f64::NEG_INFINITY),
        }
    }

    pub(super) fn file(&self, file: FileProgress) {
        let mut now = self.now.borrow_mut();
        match now.files.iter_mut().find(|known| known.name == file.name) {
            Some(known) => *known = file,
            None => now.files.push(file),
        }
        let fetched: u64 = now.files.iter().map(|file| file.fetched_bytes).sum();
        self.fetched.borrow_mut().push_back((edge::ms_since(self.start), fetched));
        drop(now);
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
        now.bytes_per_s = self.rate(at);
        now.time_left_s = (now.bytes_per_s > 0.0).then(|| to_fetch(&now) as f64 / now.bytes_per_s);
        (self.emit)(Event::LoadProgress { job: self.job, progress: now.clone() });
    }

    /// Bytes a second over the network in the last seconds before `at`.
    fn rate(&self, at: f64) -> f64 {
        let mut fetched = self.fetched.borrow_mut();
        while fetched.front().is_some_and(|(then, _)| at - then > RATE_SPAN_MS) {
            fetched.pop_front();
        }
        match (fetched.front(), fetched.back()) {
            (Some((first_ms, first)), Some((_, last))) => (last - first) as f64 * 1e3 / (at - first_ms).max(1.0),
            _ => 0.0,
        }
    }
}

/// Bytes that still have to cross the network: what the files lack, but no more of it than the parts of the model need.
fn to_fetch(progress: &LoadProgress) -> u64 {
    let lacking: u64 = progress.files.iter().map(|file| file.to_fetch_bytes).sum();
    let missing = |part: &ComponentProgress| part.total_bytes.saturating_sub(part.received_bytes);
    match progress.components.is_empty() {
        true => lacking,
        false => lacking.min(progress.components.iter().map(missing).sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn file(received_bytes: u64, fetched_bytes: u64, to_fetch_bytes: u64) -> FileProgress {
        FileProgress {
            name: "w".into(),
            received_bytes,
            fetched_bytes,
            to_fetch_bytes,
            total_bytes: 1000,
            cached: false,
        }
    }

    /// What was said last after these news of a file, some milliseconds apart.
    fn said(news: &[FileProgress], components: Vec<ComponentProgress>) -> LoadProgress {
        let last: Rc<RefCell<Option<LoadProgress>>> = Rc::default();
        let heard = last.clone();
        let progress = Progress::new(
            JobId(1),
            Rc::new(move |event| {
                if let Event::LoadProgress { progress, .. } = event {
                    *heard.borrow_mut() = Some(progress);
                }
            }),
        );
        progress.step(LoadStep::Components(components));
        for news in news {
            progress.file(news.clone());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        progress.step(LoadStep::Phase(LoadPhase::Verify)); // It is said at once.
        last.take().expect("something was said")
    }

    #[test]
    fn what_comes_from_the_store_is_no_speed_and_no_time() {
        let stored = said(&[file(300, 0, 0), file(900, 0, 0)], Vec::new());
        assert_eq!((stored.bytes_per_s, stored.time_left_s), (0.0, None));
        let resumed = said(&[file(300, 0, 500), file(500, 100, 400)], Vec::new());
        let left_s = resumed.time_left_s.expect("it is being fetched");
        assert!((left_s - 400.0 / resumed.bytes_per_s).abs() < 1e-9, "{resumed:?}");
        let most = 100.0 / 0.010;
        assert!(resumed.bytes_per_s > 0.0 && resumed.bytes_per_s <= most, "{resumed:?}");
    }

    #[test]
    fn what_no_part_needs_is_not_waited_for() {
        let part = ComponentProgress { name: "text".into(), received_bytes: 90, total_bytes: 150, ready: false };
        let progress = said(&[file(10, 10, 900), file(100, 100, 900)], vec![part]);
        let left_s = progress.time_left_s.expect("it is being fetched");
        assert!((left_s - 60.0 / progress.bytes_per_s).abs() < 1e-9, "{progress:?}");
    }
}
