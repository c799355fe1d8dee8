//! What the visitor does, turned into calls of the [`Platform`]: record, stop, open a file, load, cancel, compare.
//! It holds what is no signal: the loaded pipelines, the open microphone, the recording that is being made.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::platform::{Canceller, Pending, Pipeline, Platform, Stream};
use super::settings::{self, Measured};
use super::state::{Engine, Recorder, Recording, Remedy, Run, RunPhase, Slot, State};
use crate::audio::{SAMPLE_RATE_HZ, capture, capture::Capture, files};
use crate::protocol::{BackendChoice, FEATURES, Failure, FailureKind, Task, Transcript};

/// Samples sent to the engine at a time while a recording is made: a quarter of a second.
const PUSH_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 4;

/// The visitor's hands. Copies share one page.
#[derive(Clone, Copy)]
pub struct Session {
    /// What the page knows.
    pub state: State,
    inner: StoredValue<Rc<Inner>, LocalStorage>,
}

struct Inner {
    platform: Platform,
    pipelines: [RefCell<Option<Pipeline>>; Task::ALL.len()],
    load: RefCell<[Option<Canceller>; Task::ALL.len()]>,
    run: RefCell<Option<Canceller>>,
    capture: RefCell<Option<Capture>>,
    take: RefCell<Take>,
    stream: RefCell<Option<Stream>>,
}

/// A recording that is being made.
#[derive(Default)]
struct Take {
    samples: Vec<f32>,
    /// How many of them the engine has.
    sent: usize,
}

impl Inner {
    fn pipeline(&self, task: Task) -> &RefCell<Option<Pipeline>> {
        &self.pipelines[task as usize]
    }
}

impl Session {
    /// A session over this engine.
    pub fn new(state: State, platform: Platform) -> Self {
        let inner = Rc::new(Inner {
            platform,
            pipelines: Default::default(),
            load: RefCell::default(),
            run: RefCell::default(),
            capture: RefCell::default(),
            take: RefCell::default(),
            stream: RefCell::default(),
        });
        Self { state, inner: StoredValue::new_local(inner) }
    }

    fn inner(&self) -> Rc<Inner> {
        self.inner.get_value()
    }

    // ---- the engine

    /// Ask the engine, now that it listens, what this browser can do and what it keeps. A speech model that is kept is
    /// loaded at once; one that is not is downloaded only when the visitor records or drops something, because the
    /// first visit must not cost anyone a hundred megabytes unasked.
    pub fn greet(self) {
        let state = self.state;
        let inner = self.inner();
        // A new engine knows nothing of the settings.
        inner.platform.enable_feature_fallbacks(state.settings.with_untracked(|settings| settings.fallbacks));
        spawn_local(async move {
            let known = inner.platform.cached(move |event| state.apply(event)).await.is_ok();
            let chosen = untrack(|| state.chosen(Task::SpeechToText));
            if known && chosen.is_some_and(|model| untrack(|| state.is_cached(&model.id))) {
                self.load(Task::SpeechToText);
            }
            // A probe that fails is a finding too: the badge then says that nothing was found.
            if inner.platform.backends(move |event| state.apply(event)).await.is_err() {
                state.backends.set(Some(Vec::new()));
            }
        });
    }

    /// Drop the pipelines that went down with the GPU or the engine.
    pub fn forget_pipelines(self) {
        let inner = self.inner();
        for pipeline in &inner.pipelines {
            pipeline.take();
        }
        inner.stream.take();
    }

    /// Start the engine again after a crash.
    pub fn restart(self) {
        self.state.engine.set(Engine::Starting);
        self.state.alerts.update(|alerts| alerts.retain(|alert| alert.remedy != Remedy::Restart));
        self.inner().platform.restart();
    }

    // ---- models

    /// Load the chosen model for `task`, unless it is there or on its way already.
    pub fn load(self, task: Task) {
        let Some(model) = untrack(|| self.state.chosen(task)) else { return };
        let (state, inner, slot) = (self.state, self.inner(), self.state.slot(task));
        let request = state.settings.with_untracked(|settings| settings.load_request(&model.id));
        let present = slot.with_untracked(|slot| match slot {
            Slot::Loading { request: present, .. } | Slot::Loaded { request: present, .. } => *present == request,
            Slot::Empty | Slot::Failed { .. } => false,
        });
        if present {
            return;
        }
        self.cancel_load(task);
        if let Some(old) = inner.pipeline(task).take() {
            old.dispose();
        }
        state.alerts.update(|alerts| alerts.retain(|alert| alert.remedy != Remedy::Load(task)));
        let pending = inner.platform.load(request.clone(), move |event| state.apply(event));
        let job = pending.canceller.job;
        slot.set(Slot::Loading { job, request, progress: None });
        inner.load.borrow_mut()[task as usize] = Some(pending.canceller.clone());
        spawn_local(async move {
            match pending.result().await {
                Ok(pipeline) => self.loaded(task, pipeline),
                Err(_) => self.not_loaded(task),
            }
            // A load that failed half-way has kept something too.
            let _ = inner.platform.cached(move |event| state.apply(event)).await;
        });
    }

    fn loaded(self, task: Task, pipeline: Pipeline) {
        let inner = self.inner();
        let wanted =
            self.state.slot(task).with_untracked(|slot| slot.info().is_some_and(|info| info.id == pipeline.info().id));
        if !wanted {
            // Another load has taken its place meanwhile.
            pipeline.dispose();
            return;
        }
        *inner.pipeline(task).borrow_mut() = Some(pipeline);
        match task {
            Task::SpeechToText if self.state.recorder.get_untracked() == Recorder::On => self.start_stream(),
            Task::SpeechToText if self.run_phase() == RunPhase::WaitingForModel => self.transcribe(),
            Task::TextEmbedding if self.state.comparison.with_untracked(|comparison| comparison.waiting) => {
                self.compare()
            }
            _ => {}
        }
    }

    fn not_loaded(self, task: Task) {
        let replaced = self.state.slot(task).with_untracked(Slot::is_loading);
        if replaced {
            return;
        }
        match task {
            Task::SpeechToText if self.run_phase() == RunPhase::WaitingForModel => {
                self.state.run.set(Run::new(RunPhase::Cancelled));
            }
            Task::SpeechToText => {}
            Task::TextEmbedding => self.state.comparison.update(|comparison| comparison.waiting = false),
            _ => {}
        }
    }

    /// Run this task's model on another backend from now on.
    pub fn use_backend(self, task: Task, backend: BackendChoice) {
        self.state.settings.update(|settings| settings.backend = backend);
        self.load(task);
    }

    /// Forget the figures that chose the backend, and choose again.
    pub fn measure_again(self, task: Task) {
        let (state, inner) = (self.state, self.inner());
        spawn_local(async move {
            if let Err(failure) = inner.platform.forget_measurements().await {
                return state.alert(task, failure, Remedy::Nothing);
            }
            // The same request would be taken for one that is done.
            if state.slot(task).with_untracked(|slot| matches!(slot, Slot::Loaded { .. })) {
                state.slot(task).set(Slot::Empty);
            }
            self.use_backend(task, BackendChoice::Auto);
        });
    }

    /// Try what belongs to no backend, once.
    pub fn probe_rest(self) {
        let (state, inner) = (self.state, self.inner());
        if state.features.with_untracked(|features| !features.is_empty()) {
            return;
        }
        spawn_local(async move {
            let mut found = Vec::new();
            for name in FEATURES.iter().filter(|name| !name.starts_with("web") && !name.starts_with("wasm")) {
                // A test that could not be made is left out of the table.
                found.extend(inner.platform.test_feature_support(name).await);
            }
            state.features.set(found);
        });
    }

    /// Stop loading.
    pub fn cancel_load(self, task: Task) {
        if self.state.slot(task).with_untracked(Slot::is_loading)
            && let Some(canceller) = self.inner().load.borrow_mut()[task as usize].take()
        {
            canceller.cancel();
        }
    }

    /// Remove a model's files from this browser.
    pub fn remove_cached(self, model: String) {
        let (state, inner) = (self.state, self.inner());
        spawn_local(async move {
            if let Err(failure) = inner.platform.remove_cached(model, move |event| state.apply(event)).await {
                state.alert(Task::SpeechToText, failure, Remedy::Nothing);
            }
        });
    }

    // ---- recordings

    /// The large button: record, or stop.
    pub fn record_or_stop(self) {
        match self.state.recorder.get_untracked() {
            Recorder::Off if !self.state.run.with_untracked(Run::is_busy) => self.record(),
            Recorder::On => self.stop(),
            _ => {}
        }
    }

    fn record(self) {
        let (state, inner) = (self.state, self.inner());
        state.recorder.set(Recorder::Starting);
        state.alerts.update(|alerts| alerts.retain(|alert| alert.failure.kind != FailureKind::Microphone));
        self.load(Task::SpeechToText);
        // The first words may come before the browser says that the microphone is on: they belong to the recording.
        self.inner().take.take();
        state.elapsed_s.set(0.0);
        let device = state.settings.with_untracked(|settings| settings.microphone.clone());
        spawn_local(async move {
            match Capture::start(device.as_deref(), move |block| self.hear(block), move || self.microphone_ended())
                .await
            {
                Ok(capture) => {
                    // Only now that a new recording exists may the old one and its text go.
                    self.clear();
                    *inner.capture.borrow_mut() = Some(capture);
                    state.recorder.set(Recorder::On);
                    self.start_stream();
                    state.microphones.set(capture::microphones().await);
                }
                Err(failure) => {
                    state.recorder.set(Recorder::Off);
                    state.alert(Task::SpeechToText, failure, Remedy::Nothing);
                }
            }
        });
    }

    fn hear(self, block: &[f32]) {
        let inner = self.inner();
        let mut take = inner.take.borrow_mut();
        take.samples.extend_from_slice(block);
        self.state.level.set(loudness(block));
        self.state.elapsed_s.set(seconds(take.samples.len()));
        if take.samples.len() - take.sent >= PUSH_SAMPLES {
            push(&inner, &mut take);
        }
    }

    fn microphone_ended(self) {
        if self.state.recorder.get_untracked() == Recorder::On {
            let failure = Failure {
                kind: FailureKind::Microphone,
                message: "The microphone went away while recording.".into(),
                hint: "What was recorded until then is kept. Connect it again to record more.".into(),
            };
            self.state.alert(Task::SpeechToText, failure, Remedy::Nothing);
            self.stop();
        }
    }

    /// Hand the microphone to the engine, if both are there. What was said before is sent first.
    fn start_stream(self) {
        let (state, inner) = (self.state, self.inner());
        let pipeline = inner.pipeline(Task::SpeechToText).borrow().clone();
        let Some(pipeline) = pipeline.filter(|_| self.loaded_as_chosen()) else { return };
        match pipeline.stream(self.options(&pipeline), move |event| state.apply(event)) {
            Ok((stream, pending)) => {
                *inner.stream.borrow_mut() = Some(stream);
                push(&inner, &mut inner.take.borrow_mut());
                self.follow(pending);
            }
            Err(failure) => state.alert(Task::SpeechToText, failure, Remedy::Nothing),
        }
    }

    /// Turn the microphone off, keep the recording, and let its text be finished.
    pub fn stop(self) {
        let (state, inner) = (self.state, self.inner());
        state.recorder.set(Recorder::Stopping);
        spawn_local(async move {
            let capture = inner.capture.borrow_mut().take();
            if let Some(capture) = capture {
                // The last blocks still come in through `hear`.
                capture.stop().await;
            }
            state.level.set(0.0);
            state.recorder.set(Recorder::Off);
            let mut take = inner.take.take();
            let too_short = files::check_length(take.samples.len());
            let stream = inner.stream.take();
            if too_short.is_ok()
                && let Some(stream) = &stream
            {
                stream.push(&take.samples[take.sent..]);
                stream.end();
            }
            let samples = Arc::new(std::mem::take(&mut take.samples));
            state.recording.set(Some(Recording { name: recording_name(), samples, made_here: true }));
            match too_short {
                Err(failure) => {
                    self.cancel();
                    state.alert(Task::SpeechToText, failure, Remedy::Nothing);
                }
                Ok(()) if stream.is_none() => self.transcribe(),
                Ok(()) => {}
            }
        });
    }

    /// Take a recording from a file.
    pub fn open(self, file: web_sys::File) {
        let state = self.state;
        if state.run.with_untracked(Run::is_busy) || state.recorder.get_untracked() != Recorder::Off {
            return;
        }
        self.load(Task::SpeechToText);
        let before = state.run.get_untracked();
        state.run.set(Run::new(RunPhase::Reading));
        spawn_local(async move {
            match files::decode(&file).await {
                // Cancelled while the browser was decoding.
                Ok(_) if self.run_phase() != RunPhase::Reading => {}
                Ok(samples) => {
                    self.clear();
                    let name = file.name();
                    let name = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem).to_string();
                    state.recording.set(Some(Recording { name, samples: Arc::new(samples), made_here: false }));
                    self.transcribe();
                }
                Err(mut failure) => {
                    failure.message = format!("{}: {}", file.name(), failure.message);
                    state.run.set(before);
                    state.alert(Task::SpeechToText, failure, Remedy::Nothing);
                }
            }
        });
    }

    /// Transcribe the recording in hand, as soon as the model is there.
    pub fn transcribe(self) {
        let (state, inner) = (self.state, self.inner());
        let Some(recording) = state.recording.get_untracked() else { return };
        state.alerts.update(|alerts| alerts.retain(|alert| alert.remedy != Remedy::Transcribe));
        let pipeline = inner.pipeline(Task::SpeechToText).borrow().clone();
        let Some(pipeline) = pipeline.filter(|_| self.loaded_as_chosen()) else {
            state.run.set(Run::new(RunPhase::WaitingForModel));
            self.load(Task::SpeechToText);
            return;
        };
        match pipeline.transcribe(&recording.samples, self.options(&pipeline), move |event| state.apply(event)) {
            Ok(pending) => {
                self.clear_text();
                self.follow(pending);
            }
            Err(failure) => {
                state.run.set(Run::new(RunPhase::Failed));
                state.alert(Task::SpeechToText, failure, Remedy::Nothing);
            }
        }
    }

    /// Stop what is under way. Text that is finished stays.
    pub fn cancel(self) {
        let run = self.state.run.get_untracked();
        match (run.phase, self.inner().run.take()) {
            (RunPhase::Working, Some(canceller)) => canceller.cancel(),
            (RunPhase::WaitingForModel | RunPhase::Reading, _) => self.state.run.set(Run::new(RunPhase::Cancelled)),
            _ => {}
        }
    }

    fn follow(self, pending: Pending<Transcript>) {
        let (state, inner) = (self.state, self.inner());
        let job = pending.canceller.job;
        *inner.run.borrow_mut() = Some(pending.canceller.clone());
        state.run.set(Run { job: Some(job), ..Run::new(RunPhase::Working) });
        spawn_local(async move {
            match pending.result().await {
                Ok(transcript) => self.remember_speed(&transcript),
                // The alert is raised by `State::apply`. A recording that goes on is transcribed when it ends.
                Err(_) => drop(inner.stream.take()),
            }
        });
    }

    fn remember_speed(self, transcript: &Transcript) {
        let rtf = transcript.timings.rtf;
        if rtf > 0.0 {
            let measured = Measured { adapter: transcript.adapter.clone(), backend: transcript.backend, rtf };
            self.state.settings.update(|settings| settings.measured = Some(measured));
        }
    }

    fn clear(self) {
        self.state.recording.set(None);
        self.clear_text();
        self.state.run.set(Run::new(RunPhase::Idle));
    }

    fn clear_text(self) {
        self.state.segments.set(Vec::new());
        self.state.tentative.set(String::new());
        self.state.transcript.set(None);
    }

    fn run_phase(self) -> RunPhase {
        self.state.run.with_untracked(|run| run.phase)
    }

    fn options(self, pipeline: &Pipeline) -> crate::protocol::TranscribeOptions {
        self.state.settings.with_untracked(|settings| settings.transcribe_options(pipeline.info().model.multilingual))
    }

    /// Whether the loaded speech model is the one that the settings ask for.
    fn loaded_as_chosen(self) -> bool {
        let Some(model) = untrack(|| self.state.chosen(Task::SpeechToText)) else { return false };
        let wanted = self.state.settings.with_untracked(|settings| settings.load_request(&model.id));
        self.state
            .slot(Task::SpeechToText)
            .with_untracked(|slot| matches!(slot, Slot::Loaded { request, .. } if *request == wanted))
    }

    // ---- texts

    /// Compare the query with the sentences kept in the comparison, as soon as the model is there.
    pub fn compare(self) {
        let (state, inner) = (self.state, self.inner());
        let pipeline = inner.pipeline(Task::TextEmbedding).borrow().clone();
        let Some(pipeline) = pipeline else {
            state.comparison.update(|comparison| comparison.waiting = true);
            self.load(Task::TextEmbedding);
            return;
        };
        let texts = state.comparison.with_untracked(|comparison| {
            std::iter::once(&comparison.query).chain(&comparison.sentences).cloned().collect()
        });
        match pipeline.embed(texts, None, move |event| state.apply(event)) {
            Ok(pending) => {
                let job = Some(pending.canceller.job);
                state.comparison.update(|comparison| (comparison.job, comparison.waiting) = (job, false));
                // `State::apply` has the result and the failure.
                spawn_local(async move { drop(pending.result().await) });
            }
            Err(failure) => state.alert(Task::TextEmbedding, failure, Remedy::Nothing),
        }
    }

    /// Keep the settings whenever they change.
    pub fn keep_settings(self) {
        let chosen = self.state.settings;
        Effect::new(move || chosen.with(settings::save));
        let fallbacks = Memo::new(move |_| chosen.with(|settings| settings.fallbacks));
        let inner = self.inner();
        Effect::new(move |before: Option<bool>| {
            let allowed = fallbacks.get();
            if before.is_some_and(|before| before != allowed) {
                inner.platform.enable_feature_fallbacks(allowed);
            }
            allowed
        });
    }
}

fn push(inner: &Inner, take: &mut Take) {
    if let Some(stream) = inner.stream.borrow().as_ref()
        && take.samples.len() > take.sent
    {
        stream.push(&take.samples[take.sent..]);
        take.sent = take.samples.len();
    }
}

fn seconds(n_samples: usize) -> f64 {
    n_samples as f64 / f64::from(SAMPLE_RATE_HZ)
}

/// Loudness from 0 (-60 dB or less) to 1 (full scale): even steps for the ear.
fn loudness(block: &[f32]) -> f32 {
    let power = block.iter().map(|sample| sample * sample).sum::<f32>() / block.len().max(1) as f32;
    ((10.0 * power.max(1e-9).log10() + 60.0) / 60.0).clamp(0.0, 1.0)
}

/// `Recording 2026-11-22 14.05`, in the visitor's own time.
fn recording_name() -> String {
    let now = js_sys::Date::new_0();
    let (year, month, day) = (now.get_full_year(), now.get_month() + 1, now.get_date());
    format!("Recording {year}-{month:02}-{day:02} {:02}.{:02}", now.get_hours(), now.get_minutes())
}
