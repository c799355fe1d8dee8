//! What the visitor does with sound: record, stop, open a recording, transcribe it, cancel.

use std::cell::RefCell;
use std::sync::Arc;

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::audio::{SAMPLE_RATE_HZ, capture, capture::Capture, files};
use crate::protocol::{Failure, FailureKind, Task, Transcript};
use crate::ui::platform::{Canceller, Pending, Pipeline, Stream};
use crate::ui::settings::Measured;
use crate::ui::state::Remedy;
use crate::ui::state::speech::{Recorder, Recording, Run, RunPhase};

/// Samples sent to the engine at a time while a recording is made: a quarter of a second.
const PUSH_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 4;

/// What is no signal: the open microphone, the recording that is being made, its way to the engine.
#[derive(Default)]
pub(super) struct Hands {
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

impl Hands {
    /// The engine is gone, and with it the other end of the stream.
    pub(super) fn forget_stream(&self) {
        self.stream.take();
    }

    fn push(&self, take: &mut Take) {
        if let Some(stream) = self.stream.borrow().as_ref()
            && take.samples.len() > take.sent
        {
            stream.push(&take.samples[take.sent..]);
            take.sent = take.samples.len();
        }
    }
}

impl Session {
    /// The speech model is there: what waited for it goes on.
    pub(super) fn speech_is_loaded(self) {
        if self.state.speech.recorder.get_untracked() == Recorder::On {
            self.start_stream();
        } else if self.run_phase() == RunPhase::WaitingForModel {
            self.transcribe();
        }
    }

    /// The speech model does not come.
    pub(super) fn speech_is_not_loaded(self) {
        if self.run_phase() == RunPhase::WaitingForModel {
            self.state.speech.run.set(Run::new(RunPhase::Cancelled));
        }
    }

    /// The large button: record, or stop.
    pub fn record_or_stop(self) {
        match self.state.speech.recorder.get_untracked() {
            Recorder::Off if !self.state.speech.run.with_untracked(Run::is_busy) => self.record(),
            Recorder::On => self.stop(),
            _ => {}
        }
    }

    fn record(self) {
        let (state, inner) = (self.state, self.inner());
        state.speech.recorder.set(Recorder::Starting);
        state.alerts.update(|alerts| alerts.retain(|alert| alert.failure.kind != FailureKind::Microphone));
        self.load(Task::SpeechToText);
        // The first words may come before the browser says that the microphone is on: they belong to the recording.
        self.inner().speech.take.take();
        state.speech.elapsed_s.set(0.0);
        let device = state.settings.with_untracked(|settings| settings.microphone.clone());
        spawn_local(async move {
            match Capture::start(device.as_deref(), move |block| self.hear(block), move || self.microphone_ended())
                .await
            {
                Ok(capture) => {
                    // Only now that a new recording exists may the old one and its text go.
                    self.clear();
                    *inner.speech.capture.borrow_mut() = Some(capture);
                    state.speech.recorder.set(Recorder::On);
                    self.start_stream();
                    state.speech.microphones.set(capture::microphones().await);
                }
                Err(failure) => {
                    state.speech.recorder.set(Recorder::Off);
                    state.alert(Task::SpeechToText, failure, Remedy::Nothing);
                }
            }
        });
    }

    fn hear(self, block: &[f32]) {
        let inner = self.inner();
        let mut take = inner.speech.take.borrow_mut();
        take.samples.extend_from_slice(block);
        self.state.speech.level.set(loudness(block));
        self.state.speech.elapsed_s.set(seconds(take.samples.len()));
        if take.samples.len() - take.sent >= PUSH_SAMPLES {
            inner.speech.push(&mut take);
        }
    }

    fn microphone_ended(self) {
        if self.state.speech.recorder.get_untracked() == Recorder::On {
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
        let Some(pipeline) = self.loaded_as_chosen(Task::SpeechToText) else { return };
        match pipeline.stream(self.options(&pipeline), move |event| state.apply(event)) {
            Ok((stream, pending)) => {
                *inner.speech.stream.borrow_mut() = Some(stream);
                inner.speech.push(&mut inner.speech.take.borrow_mut());
                self.follow_transcript(pending);
            }
            Err(failure) => state.alert(Task::SpeechToText, failure, Remedy::Nothing),
        }
    }

    /// Turn the microphone off, keep the recording, and let its text be finished.
    pub fn stop(self) {
        let (state, inner) = (self.state, self.inner());
        state.speech.recorder.set(Recorder::Stopping);
        spawn_local(async move {
            let capture = inner.speech.capture.borrow_mut().take();
            if let Some(capture) = capture {
                // The last blocks still come in through `hear`.
                capture.stop().await;
            }
            state.speech.level.set(0.0);
            state.speech.recorder.set(Recorder::Off);
            let mut take = inner.speech.take.take();
            let too_short = files::check_length(take.samples.len());
            let stream = inner.speech.stream.take();
            if too_short.is_ok()
                && let Some(stream) = &stream
            {
                stream.push(&take.samples[take.sent..]);
                stream.end();
            }
            let samples = Arc::new(std::mem::take(&mut take.samples));
            state.speech.recording.set(Some(Recording { name: recording_name(), samples, made_here: true }));
            match too_short {
                Err(failure) => {
                    self.cancel_speech();
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
        if state.speech.run.with_untracked(Run::is_busy) || state.speech.recorder.get_untracked() != Recorder::Off {
            return;
        }
        self.load(Task::SpeechToText);
        let before = state.speech.run.get_untracked();
        state.speech.run.set(Run::new(RunPhase::Reading));
        spawn_local(async move {
            match files::decode(&file).await {
                // Cancelled while the browser was decoding.
                Ok(_) if self.run_phase() != RunPhase::Reading => {}
                Ok(samples) => {
                    self.clear();
                    let name = file.name();
                    let name = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem).to_string();
                    state.speech.recording.set(Some(Recording { name, samples: Arc::new(samples), made_here: false }));
                    self.transcribe();
                }
                Err(mut failure) => {
                    failure.message = format!("{}: {}", file.name(), failure.message);
                    state.speech.run.set(before);
                    state.alert(Task::SpeechToText, failure, Remedy::Nothing);
                }
            }
        });
    }

    /// Transcribe the recording in hand, as soon as the model is there.
    pub fn transcribe(self) {
        let state = self.state;
        let Some(recording) = state.speech.recording.get_untracked() else { return };
        state.alerts.update(|alerts| alerts.retain(|alert| alert.remedy != Remedy::Transcribe));
        let Some(pipeline) = self.loaded_as_chosen(Task::SpeechToText) else {
            state.speech.run.set(Run::new(RunPhase::WaitingForModel));
            self.load(Task::SpeechToText);
            return;
        };
        match pipeline.transcribe(&recording.samples, self.options(&pipeline), move |event| state.apply(event)) {
            Ok(pending) => {
                self.clear_text();
                self.follow_transcript(pending);
            }
            Err(failure) => {
                state.speech.run.set(Run::new(RunPhase::Failed));
                state.alert(Task::SpeechToText, failure, Remedy::Nothing);
            }
        }
    }

    /// Stop transcribing. Text that is finished stays.
    pub fn cancel_speech(self) {
        let run = self.state.speech.run.get_untracked();
        match (run.phase, self.inner().speech.run.take()) {
            (RunPhase::Working, Some(canceller)) => canceller.cancel(),
            (RunPhase::WaitingForModel | RunPhase::Reading, _) => {
                self.state.speech.run.set(Run::new(RunPhase::Cancelled))
            }
            _ => {}
        }
    }

    fn follow_transcript(self, pending: Pending<Transcript>) {
        let (state, inner) = (self.state, self.inner());
        let job = pending.canceller.job;
        *inner.speech.run.borrow_mut() = Some(pending.canceller.clone());
        state.speech.run.set(Run { job: Some(job), ..Run::new(RunPhase::Working) });
        spawn_local(async move {
            match pending.result().await {
                Ok(transcript) => self.remember_speed(&transcript),
                // The alert is raised by `State::apply`. A recording that goes on is transcribed when it ends.
                Err(_) => drop(inner.speech.stream.take()),
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
        self.state.speech.recording.set(None);
        self.clear_text();
        self.state.speech.run.set(Run::new(RunPhase::Idle));
    }

    fn clear_text(self) {
        self.state.speech.segments.set(Vec::new());
        self.state.speech.tentative.set(String::new());
        self.state.speech.transcript.set(None);
    }

    fn run_phase(self) -> RunPhase {
        self.state.speech.run.with_untracked(|run| run.phase)
    }

    fn options(self, pipeline: &Pipeline) -> crate::protocol::TranscribeOptions {
        self.state.settings.with_untracked(|settings| settings.transcribe_options(pipeline.info().model.multilingual))
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
