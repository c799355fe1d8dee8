//! What the page knows, as signals by panel, each in its own file. [`State::apply`] is the only door for what the engine
//! tells; answers in pieces come back to `session`, which asked for them, as does what the visitor does.

pub mod benchmark;
pub mod pictures;
pub mod sentences;
pub mod speech;
pub mod work;
pub mod writing;

use leptos::prelude::*;

use super::models;
use super::settings::Settings;
use crate::protocol::{
    BackendReport, CachedModel, Event, Failure, FailureKind, FeatureReport, JobId, LoadProgress, LoadRequest,
    ModelInfo, PipelineInfo, Roofline, Task,
};
use benchmark::Benchmarks;
use pictures::{Album, Matching};
use sentences::Sentences;
use speech::Speech;
use work::{Panel, Work, Works};
use writing::Writing;

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

/// What a button in an alert does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// There is no button.
    Nothing,
    /// Load this task's model again.
    Load(Task),
    /// Transcribe the kept recording again.
    Transcribe,
    /// Ask the model again.
    Run(Panel),
    /// Go where this task's models are used.
    Open(Task),
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
    /// What the GPU can do, once it was measured.
    pub roofline: RwSignal<Option<Roofline>>,
    /// What the tests of features without a backend found, once they were asked for.
    pub features: RwSignal<Vec<FeatureReport>>,
    /// The place for each task's model.
    slots: [RwSignal<Slot>; Task::ALL.len()],
    /// Models that are on no list: by their address, or from files.
    pub others: RwSignal<Vec<ModelInfo>>,
    /// Speech to text.
    pub speech: Speech,
    /// Sentences ranked, searched, filled.
    pub sentences: Sentences,
    /// Text to text.
    pub writing: Writing,
    /// Pictures that are named, or compared with each other.
    pub album: Album,
    /// The picture that others are compared with.
    pub like: RwSignal<Option<u32>>,
    /// Pictures against texts.
    pub matching: Matching,
    /// The benchmark and its runs.
    pub benchmarks: Benchmarks,
    /// Where the panels' work stands.
    works: Works,
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
            roofline: RwSignal::default(),
            features: RwSignal::default(),
            slots: Task::ALL.map(|_| RwSignal::new(Slot::Empty)),
            others: RwSignal::default(),
            speech: Speech::default(),
            sentences: Sentences::default(),
            writing: Writing::default(),
            album: Album::default(),
            like: RwSignal::default(),
            matching: Matching::default(),
            benchmarks: Benchmarks::default(),
            works: Works::default(),
            alerts: RwSignal::default(),
            settings: RwSignal::new(settings),
        }
    }

    /// The place for this task's model.
    pub fn slot(&self, task: Task) -> RwSignal<Slot> {
        self.slots[task as usize]
    }

    /// Where this panel's work stands.
    pub fn work(&self, panel: Panel) -> RwSignal<Work> {
        self.works.of(panel)
    }

    /// The models that can be chosen for this task: those on the list, then those that were named here.
    pub fn offered(&self, task: Task) -> Vec<ModelInfo> {
        let of_task = |models: &Vec<ModelInfo>| models.iter().filter(|model| model.task == task).cloned().collect();
        let mut offered: Vec<ModelInfo> = self.models.with(of_task);
        // The default first; a sort that keeps the order of the others.
        offered.sort_by_key(|model| !model.default);
        let mut others: Vec<ModelInfo> = self.others.with(of_task);
        // What was named on an earlier visit can be chosen again; before the list is there, nothing tells it from what is on the list.
        if let Some(address) =
            self.settings.with(|settings| settings.model(task).filter(|id| models::is_address(id)).cloned())
            && self.models.with(|models| !models.is_empty())
            && !offered.iter().chain(&others).any(|model| model.id == address)
        {
            others.push(models::stranger(address, task));
        }
        offered.extend(others);
        offered
    }

    /// The model that this task uses: the visitor's choice, else the first that is offered.
    pub fn chosen(&self, task: Task) -> Option<ModelInfo> {
        let offered = self.offered(task);
        let choice = self.settings.with(|settings| settings.model(task).cloned());
        let chosen = offered.iter().find(|model| choice.as_ref() == Some(&model.id));
        chosen.or(offered.first()).cloned()
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
                } else {
                    self.tell(*job, event);
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
            Event::Failed { job, failure } => self.fail(*job, failure),
            Event::Notice { job, failure } => {
                if let Some((task, _)) = self.owner(*job) {
                    self.alert(task, failure.clone(), Remedy::Nothing);
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
                self.tell(*job, event);
            }
            Event::DeviceLost { reason } => {
                let lost =
                    Task::ALL.into_iter().find(|task| self.slot(*task).with_untracked(|slot| *slot != Slot::Empty));
                self.forget_pipelines();
                let failure = Failure {
                    kind: FailureKind::DeviceLost,
                    message: format!("The GPU went away: {reason}"),
                    hint: "Load the model again; what you made and what was written are kept.".into(),
                };
                self.alert(None, failure, Remedy::Load(lost.unwrap_or(Task::SpeechToText)));
            }
            _ => {
                if let Some(job) = event.job() {
                    self.tell(job, event);
                }
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

    /// The engine ends, since the page is being left; its models go with it.
    pub fn engine_ended(&self) {
        self.engine.set(Engine::Starting);
        self.forget_pipelines();
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

    /// Let the panel whose job it is know.
    fn tell(&self, job: JobId, event: &Event) {
        if self.speech.owns(job) {
            self.speech.apply(event);
        } else if let Some(panel) = self.works.owner(job) {
            self.work(panel).update(|work| work.apply(event));
        }
    }

    /// The task that a job is about, and what can be done when it fails.
    fn owner(&self, job: JobId) -> Option<(Task, Remedy)> {
        if let Some(task) = self.loading_task(job) {
            Some((task, Remedy::Load(task)))
        } else if self.speech.owns(job) {
            Some((Task::SpeechToText, Remedy::Transcribe))
        } else {
            self.works.owner(job).map(|panel| (panel.task(), Remedy::Run(panel)))
        }
    }

    fn fail(&self, job: JobId, failure: &Failure) {
        let Some((task, remedy)) = self.owner(job) else { return };
        let cancelled = failure.kind == FailureKind::Cancelled;
        if self.loading_task(job).is_some() {
            self.slot(task).update(|slot| {
                *slot = match slot {
                    Slot::Loading { request, .. } if !cancelled => Slot::Failed { request: request.clone() },
                    _ => Slot::Empty,
                }
            });
        } else {
            self.tell(job, &Event::Failed { job, failure: failure.clone() });
        }
        if !cancelled {
            self.alert(task, failure.clone(), remedy);
        }
    }
}
