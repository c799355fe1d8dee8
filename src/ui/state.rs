//! What the page knows, as signals by panel. [`State::apply`] is the only door for what the engine says; what the
//! visitor does comes in through `session`.

use std::sync::Arc;

use leptos::prelude::*;

use super::settings::Settings;
use crate::audio::capture::Microphone;
use crate::protocol::{
    BackendReport, CachedModel, Event, Failure, FailureKind, FeatureReport, JobId, LoadPhase, LoadProgress,
    LoadRequest, ModelInfo, PipelineInfo, RunProgress, Segment, Task, Transcript,
};

/// The engine's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Its worker is being started.
    Starting,
    /// It listens.
    Ready,
    /// It stopped for ever.
    Crashed,
}

/// The place for one task's model.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// Nothing is loaded.
    Empty,
    /// A load is under way.
    Loading {
        /// The load's job.
        job: JobId,
        /// What is being loaded.
        request: LoadRequest,
        /// Where it stands, once the engine has said so.
        progress: Option<LoadProgress>,
    },
    /// Ready to run.
    Loaded {
        /// What was asked for.
        request: LoadRequest,
        /// What was given.
        info: PipelineInfo,
    },
    /// The last load failed; the alerts say why.
    Failed {
        /// What was asked for.
        request: LoadRequest,
    },
}

impl Slot {
    /// The loaded model.
    pub fn info(&self) -> Option<&PipelineInfo> {
        if let Slot::Loaded { info, .. } = self { Some(info) } else { None }
    }

    /// Whether a load is under way.
    pub fn is_loading(&self) -> bool {
        matches!(self, Slot::Loading { .. })
    }
}

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

/// What a button in an alert does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// There is no button.
    Nothing,
    /// Load this task's model again.
    Load(Task),
    /// Transcribe the kept recording again.
    Transcribe,
    /// Start the engine again.
    Restart,
}

/// Something that went wrong, until it is dismissed or mended.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Tells alerts apart.
    pub id: u32,
    /// What happened and what to do.
    pub failure: Failure,
    /// The button.
    pub remedy: Remedy,
    /// The task that it is about; `None` where it is about all.
    pub task: Option<Task>,
}

/// The texts that are being compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// The job, while the engine works on it.
    pub job: Option<JobId>,
    /// What the sentences are compared with.
    pub query: String,
    /// Sentences with their similarity to the query (-1 to 1), the most similar first.
    pub ranked: Vec<(String, f32)>,
    /// The sentences asked about, in the visitor's order.
    pub sentences: Vec<String>,
    /// Milliseconds that the engine took.
    pub total_ms: f64,
    /// Whether it waits for the model.
    pub waiting: bool,
}

/// All signals. A copy is a handle to the same ones.
#[derive(Debug, Clone, Copy)]
pub struct State {
    /// The engine's life.
    pub engine: RwSignal<Engine>,
    /// The models on offer.
    pub models: RwSignal<Vec<ModelInfo>>,
    /// The models kept in this browser.
    pub cached: RwSignal<Vec<CachedModel>>,
    /// What the probes found; `None` until they are through.
    pub backends: RwSignal<Option<Vec<BackendReport>>>,
    /// What the tests of features without a backend found, once they were asked for.
    pub features: RwSignal<Vec<FeatureReport>>,
    /// The place for each task's model.
    slots: [RwSignal<Slot>; Task::ALL.len()],
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
    /// The text panel's results.
    pub comparison: RwSignal<Comparison>,
    /// What went wrong.
    pub alerts: RwSignal<Vec<Alert>>,
    /// The visitor's choices.
    pub settings: RwSignal<Settings>,
}

impl State {
    /// A page on which nothing has happened yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            engine: RwSignal::new(Engine::Starting),
            models: RwSignal::default(),
            cached: RwSignal::default(),
            backends: RwSignal::default(),
            features: RwSignal::default(),
            slots: Task::ALL.map(|_| RwSignal::new(Slot::Empty)),
            recorder: RwSignal::new(Recorder::Off),
            level: RwSignal::default(),
            elapsed_s: RwSignal::default(),
            microphones: RwSignal::default(),
            recording: RwSignal::new(None),
            run: RwSignal::new(Run::new(RunPhase::Idle)),
            segments: RwSignal::default(),
            tentative: RwSignal::default(),
            transcript: RwSignal::default(),
            comparison: RwSignal::default(),
            alerts: RwSignal::default(),
            settings: RwSignal::new(settings),
        }
    }

    /// The place for this task's model.
    pub fn slot(&self, task: Task) -> RwSignal<Slot> {
        self.slots[task as usize]
    }

    /// The model that this task uses: the visitor's choice, else the engine's default, else the first for the task.
    pub fn chosen(&self, task: Task) -> Option<ModelInfo> {
        let choice = match task {
            Task::SpeechToText => self.settings.with(|settings| settings.speech_model.clone()),
            _ => None,
        };
        self.models.with(|models| {
            let of_task = || models.iter().filter(|model| model.task == task);
            let chosen = of_task().find(|model| choice.as_ref() == Some(&model.id));
            chosen.or_else(|| of_task().find(|model| model.default)).or_else(|| of_task().next()).cloned()
        })
    }

    /// Whether a model loads without the network.
    pub fn is_cached(&self, model: &str) -> bool {
        self.cached.with(|cached| cached.iter().any(|kept| kept.model == model && kept.complete))
    }

    /// Say what went wrong with a task (`None`: with all), and offer a remedy. The same words are not said twice at once.
    pub fn alert(&self, task: impl Into<Option<Task>>, failure: Failure, remedy: Remedy) {
        let task = task.into();
        self.alerts.update(|alerts| {
            // A lost GPU is said once: the job in hand that it ended says it again.
            let is_lost = |failure: &Failure| failure.kind == FailureKind::DeviceLost;
            if is_lost(&failure) && alerts.iter().any(|alert| is_lost(&alert.failure)) {
                return;
            }
            alerts.retain(|alert| alert.failure != failure);
            let id = alerts.iter().map(|alert| alert.id).max().unwrap_or(0) + 1;
            alerts.push(Alert { id, failure, remedy, task });
        });
    }

    /// Forget an alert.
    pub fn dismiss(&self, id: u32) {
        self.alerts.update(|alerts| alerts.retain(|alert| alert.id != id));
    }

    /// Take in what the engine said. Events of jobs that this page no longer follows change nothing.
    pub fn apply(&self, event: &Event) {
        match event {
            Event::Ready { models } => {
                self.models.set(models.clone());
                self.engine.set(Engine::Ready);
            }
            Event::Backends { backends, .. } => self.backends.set(Some(backends.clone())),
            Event::Feature { .. } => {}
            Event::Cached { models, .. } => self.cached.set(models.clone()),
            Event::LoadProgress { job, progress: news } => {
                if let Some(task) = self.loading_task(*job) {
                    self.slot(task).update(|slot| {
                        if let Slot::Loading { progress, .. } = slot {
                            *progress = Some(news.clone());
                        }
                    });
                } else if self.is_run(*job) {
                    self.run.update(|run| run.reload = Some(news.phase));
                }
            }
            Event::Loaded { job, pipeline } => {
                if let Some(task) = self.loading_task(*job) {
                    self.slot(task).update(|slot| {
                        if let Slot::Loading { request, .. } = slot {
                            *slot = Slot::Loaded { request: request.clone(), info: pipeline.clone() };
                        }
                    });
                }
            }
            Event::RunProgress { job, progress } => {
                if self.is_run(*job) {
                    self.run.update(|run| (run.progress, run.reload) = (Some(*progress), None));
                }
            }
            Event::Tentative { job, text, .. } => {
                if self.is_run(*job) {
                    self.tentative.set(text.clone());
                }
            }
            Event::Segments { job, segments } => {
                if self.is_run(*job) {
                    self.segments.update(|all| all.extend(segments.iter().cloned()));
                    self.tentative.set(String::new());
                }
            }
            Event::Transcribed { job, transcript } => {
                if self.is_run(*job) {
                    self.finish_transcript(transcript);
                }
            }
            Event::Embedded { job, embeddings, total_ms, .. } => self.rank(*job, embeddings, *total_ms),
            Event::Failed { job, failure } => self.fail(*job, failure),
            Event::Notice { job, failure } => {
                if let Some(task) = self.loading_task(*job) {
                    self.alert(task, failure.clone(), Remedy::Nothing);
                } else if self.comparison.with_untracked(|comparison| comparison.job == Some(*job)) {
                    self.alert(Task::TextEmbedding, failure.clone(), Remedy::Nothing);
                } else if self.is_run(*job) {
                    self.alert(Task::SpeechToText, failure.clone(), Remedy::Nothing);
                }
            }
            Event::Moved { job, pipeline, .. } => {
                for slot in self.slots {
                    slot.update(|slot| {
                        if let Slot::Loaded { info, .. } = slot
                            && info.id == pipeline.id
                        {
                            *info = pipeline.clone();
                        }
                    });
                }
                if self.is_run(*job) {
                    self.run.update(|run| run.reload = None);
                }
            }
            Event::MeasurementsForgotten { .. }
            | Event::Usable { .. }
            | Event::BatchProgress { .. }
            | Event::Filled { .. }
            | Event::Generating { .. }
            | Event::Generated { .. }
            | Event::Classified { .. }
            | Event::Matched { .. } => {}
            Event::DeviceLost { reason } => {
                self.forget_pipelines();
                let failure = Failure {
                    kind: FailureKind::DeviceLost,
                    message: format!("The GPU went away: {reason}"),
                    hint: "Load the model again; your recording and text are kept.".into(),
                };
                self.alert(None, failure, Remedy::Load(Task::SpeechToText));
            }
        }
    }

    /// The engine stopped for ever: its models are gone, the visitor's recording and text are not.
    pub fn crash(&self, failure: Failure) {
        self.engine.set(Engine::Crashed);
        self.forget_pipelines();
        // Every job said the same on its way out; one alert with the remedy replaces them.
        self.alert(None, failure, Remedy::Restart);
    }

    fn forget_pipelines(&self) {
        for slot in self.slots {
            slot.set(Slot::Empty);
        }
    }

    fn loading_task(&self, job: JobId) -> Option<Task> {
        Task::ALL.into_iter().find(|task| {
            self.slot(*task)
                .with_untracked(|slot| matches!(slot, Slot::Loading { job: loading, .. } if *loading == job))
        })
    }

    fn is_run(&self, job: JobId) -> bool {
        self.run.with_untracked(|run| run.job == Some(job))
    }

    fn finish_transcript(&self, transcript: &Transcript) {
        // Segments came one by one; replacing them again would make a screen reader say all of them again.
        if self.segments.with_untracked(|segments| *segments != transcript.segments) {
            self.segments.set(transcript.segments.clone());
        }
        self.tentative.set(String::new());
        self.transcript.set(Some(transcript.clone()));
        self.run.set(Run::new(RunPhase::Done));
    }

    fn fail(&self, job: JobId, failure: &Failure) {
        let cancelled = failure.kind == FailureKind::Cancelled;
        let (task, remedy) = if let Some(task) = self.loading_task(job) {
            self.slot(task).update(|slot| {
                *slot = match slot {
                    Slot::Loading { request, .. } if !cancelled => Slot::Failed { request: request.clone() },
                    _ => Slot::Empty,
                }
            });
            (task, Remedy::Load(task))
        } else if self.is_run(job) {
            self.run.set(Run::new(if cancelled { RunPhase::Cancelled } else { RunPhase::Failed }));
            (Task::SpeechToText, Remedy::Transcribe)
        } else if self.comparison.with_untracked(|comparison| comparison.job == Some(job)) {
            self.comparison.update(|comparison| comparison.job = None);
            (Task::TextEmbedding, Remedy::Nothing)
        } else {
            return;
        };
        if !cancelled {
            self.alert(task, failure.clone(), remedy);
        }
    }

    /// The first vector is the query's, the others the sentences'. All have length 1, so a dot product is the cosine.
    fn rank(&self, job: JobId, embeddings: &[Vec<f32>], total_ms: f64) {
        self.comparison.update(|comparison| {
            let Some((query, sentences)) = embeddings.split_first() else { return };
            if comparison.job != Some(job) {
                return;
            }
            let cosine = |vector: &Vec<f32>| query.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
            let scores = sentences.iter().map(cosine);
            comparison.ranked = comparison.sentences.iter().cloned().zip(scores).collect();
            comparison.ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
            comparison.total_ms = total_ms;
            comparison.job = None;
        });
    }
}
