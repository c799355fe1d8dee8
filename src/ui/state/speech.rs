//! What the speech panel knows: the microphone, the recording in hand, its transcription and its words.

use std::sync::Arc;

use leptos::prelude::*;

use crate::audio::capture::Microphone;
use crate::protocol::{Event, FailureKind, JobId, LoadPhase, RunProgress, Segment, Transcript};

/// The microphone's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorder {
    /// Off.
    Off,
    /// The browser is asking the visitor, or opening the device.
    Starting,
    /// On.
    On,
    /// The last samples are being collected.
    Stopping,
}

/// A recording that was made or dropped. It stays until another takes its place.
#[derive(Debug, Clone)]
pub struct Recording {
    /// File name without its ending.
    pub name: String,
    /// 16 kHz, mono.
    pub samples: Arc<Vec<f32>>,
    /// Whether it was made here (and exists nowhere else).
    pub made_here: bool,
}

/// Where the transcription of the recording stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPhase {
    /// Nothing was asked yet.
    Idle,
    /// A dropped file is being decoded.
    Reading,
    /// The recording is kept until the model is ready.
    WaitingForModel,
    /// The engine works on it.
    Working,
    /// The text is complete.
    Done,
    /// The visitor stopped it.
    Cancelled,
    /// It failed; the alerts say why.
    Failed,
}

/// The transcription in hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// Its job, once the engine has it.
    pub job: Option<JobId>,
    /// Where it stands.
    pub phase: RunPhase,
    /// What the engine last said of it.
    pub progress: Option<RunProgress>,
    /// What is being done to bring the model onto another backend, while that goes on.
    pub reload: Option<LoadPhase>,
}

impl Run {
    /// A run in `phase`, not yet with the engine.
    pub fn new(phase: RunPhase) -> Self {
        Self { job: None, phase, progress: None, reload: None }
    }

    /// Whether something is under way that can be cancelled.
    pub fn is_busy(&self) -> bool {
        matches!(self.phase, RunPhase::Reading | RunPhase::WaitingForModel | RunPhase::Working)
    }
}

/// The panel's signals.
#[derive(Debug, Clone, Copy)]
pub struct Speech {
    /// The microphone's part.
    pub recorder: RwSignal<Recorder>,
    /// Loudness of the last block, 0 to 1 on a decibel scale.
    pub level: RwSignal<f32>,
    /// Seconds recorded.
    pub elapsed_s: RwSignal<f64>,
    /// The microphones that the browser names.
    pub microphones: RwSignal<Vec<Microphone>>,
    /// The recording in hand.
    pub recording: RwSignal<Option<Recording>>,
    /// Its transcription.
    pub run: RwSignal<Run>,
    /// Finished segments.
    pub segments: RwSignal<Vec<Segment>>,
    /// The unfinished end of the text.
    pub tentative: RwSignal<String>,
    /// The finished whole.
    pub transcript: RwSignal<Option<Transcript>>,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            recorder: RwSignal::new(Recorder::Off),
            level: RwSignal::default(),
            elapsed_s: RwSignal::default(),
            microphones: RwSignal::default(),
            recording: RwSignal::new(None),
            run: RwSignal::new(Run::new(RunPhase::Idle)),
            segments: RwSignal::default(),
            tentative: RwSignal::default(),
            transcript: RwSignal::default(),
        }
    }
}

impl Speech {
    /// Whether the transcription in hand is this job.
    pub fn owns(&self, job: JobId) -> bool {
        self.run.with_untracked(|run| run.job == Some(job))
    }

    /// Take in what the engine said of the transcription in hand.
    pub fn apply(&self, event: &Event) {
        match event {
            Event::LoadProgress { progress, .. } => self.run.update(|run| run.reload = Some(progress.phase)),
            Event::Moved { .. } => self.run.update(|run| run.reload = None),
            Event::RunProgress { progress, .. } => {
                self.run.update(|run| (run.progress, run.reload) = (Some(*progress), None));
            }
            Event::Tentative { text, .. } => self.tentative.set(text.clone()),
            Event::Segments { segments, .. } => {
                self.segments.update(|all| all.extend(segments.iter().cloned()));
                self.tentative.set(String::new());
            }
            Event::Transcribed { transcript, .. } => self.finish(transcript),
            Event::Failed { failure, .. } => {
                let cancelled = failure.kind == FailureKind::Cancelled;
                self.run.set(Run::new(if cancelled { RunPhase::Cancelled } else { RunPhase::Failed }));
            }
            _ => {}
        }
    }

    fn finish(&self, transcript: &Transcript) {
        // Segments came one by one; replacing them again would make a screen reader say all of them again.
        if self.segments.with_untracked(|segments| *segments != transcript.segments) {
            self.segments.set(transcript.segments.clone());
        }
        self.tentative.set(String::new());
        self.transcript.set(Some(transcript.clone()));
        self.run.set(Run::new(RunPhase::Done));
    }
}
