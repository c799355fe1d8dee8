//! What the visitor does with models: load, cancel, choose, bring one of their own, remove one from this browser.

use js_sys::Array;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Session;
use crate::protocol::{BackendChoice, Failure, FailureKind, LoadRequest, ModelInfo, Source, Task};
use crate::ui::client::with_path;
use crate::ui::files_in::Incoming;
use crate::ui::models;
use crate::ui::platform::Pipeline;
use crate::ui::state::work::{Panel, Phase};
use crate::ui::state::{Remedy, Slot};

impl Session {
    /// Load the chosen model for `task`, unless it is there or on its way already.
    pub fn load(self, task: Task) {
        let Some(request) = self.wanted(task) else {
            return self.state.alert(task, no_model(task), Remedy::Nothing);
        };
        let (state, inner, slot) = (self.state, self.inner(), self.state.slot(task));
        let present = slot.with_untracked(|slot| match slot {
            Slot::Loading { request: present, .. } | Slot::Loaded { request: present, .. } => *present == request,
            Slot::Empty | Slot::Failed { .. } => false,
        });
        if present {
            return;
        }
        self.cancel_load(task);
        self.stop_work(task);
        if let Some(old) = inner.pipeline(task).take() {
            old.dispose();
        }
        state.alerts.update(|alerts| alerts.retain(|alert| alert.remedy != Remedy::Load(task)));
        let on_event = move |event: &_| state.apply(event);
        let files = inner.files.borrow().get(&request.model).filter(|_| request.source == Source::Files).cloned();
        let on_usable = move |pipeline| {
            if task == Task::ImageText {
                self.read_ahead(pipeline);
            }
        };
        let pending = inner.platform.load(request.clone(), files, on_event, on_usable);
        let job = pending.canceller.job;
        slot.set(Slot::Loading { job, request: request.clone(), progress: None });
        inner.load.borrow_mut()[task as usize] = Some(pending.canceller.clone());
        spawn_local(async move {
            match pending.result().await {
                Ok(pipeline) => self.loaded(task, &request, pipeline),
                Err(_) => self.not_loaded(task),
            }
            // A load that failed half-way has kept something too.
            let _ = inner.platform.cached(move |event| state.apply(event)).await;
        });
    }

    /// What the settings ask to load for a task; `None` where there is no model for it.
    fn wanted(self, task: Task) -> Option<LoadRequest> {
        let model = untrack(|| self.state.chosen(task))?;
        let mut request = self.state.settings.with_untracked(|settings| settings.load_request(task, &model.id));
        if self.inner().files.borrow().contains_key(&model.id) {
            request.source = Source::Files;
        }
        Some(request)
    }

    /// Whether a loaded model does not follow the settings.
    pub fn is_stale(self, task: Task) -> bool {
        // Tracked: the form asks again whenever a choice changes.
        self.state.chosen(task);
        self.state.settings.track();
        let wanted = self.wanted(task);
        self.state
            .slot(task)
            .with(|slot| matches!(slot, Slot::Loaded { request, .. } if Some(request) != wanted.as_ref()))
    }

    /// The loaded model of a task, where it is the one that the settings ask for.
    pub(super) fn loaded_as_chosen(self, task: Task) -> Option<Pipeline> {
        let wanted = self.wanted(task)?;
        let is_wanted = self
            .state
            .slot(task)
            .with_untracked(|slot| matches!(slot, Slot::Loaded { request, .. } if *request == wanted));
        self.inner().pipeline(task).borrow().clone().filter(|_| is_wanted)
    }

    fn loaded(self, asked: Task, request: &LoadRequest, pipeline: Pipeline) {
        let (state, inner, info) = (self.state, self.inner(), pipeline.info());
        let wanted = state.slot(asked).with_untracked(|slot| slot.info().is_some_and(|present| present.id == info.id));
        if !wanted {
            // Another load has taken its place meanwhile.
            pipeline.dispose();
            return;
        }
        let task = info.model.task;
        self.note_other(request, &info.model);
        if task == asked {
            *inner.pipeline(task).borrow_mut() = Some(pipeline);
            return self.go_on(task);
        }
        // It does something else than was asked: it goes where it belongs, and the visitor is told where that is.
        state.slot(asked).set(Slot::Empty);
        self.stop_waiting(asked, Phase::Cancelled);
        self.cancel_load(task);
        if let Some(old) = inner.pipeline(task).replace(Some(pipeline)) {
            old.dispose();
        }
        state.settings.update(|settings| settings.choose_model(task, request.model.clone()));
        state.slot(task).set(Slot::Loaded { request: request.clone(), info });
        let failure = Failure {
            kind: FailureKind::Input,
            message: format!("{} is {}.", request.model, models::kind(task)),
            hint: "It is loaded there now; what you had chosen here is chosen again.".into(),
        };
        state.alert(asked, failure, Remedy::Open(task));
        self.go_on(task);
    }

    /// A model that is on no list is offered from now on under the words with which it was asked for.
    fn note_other(self, request: &LoadRequest, model: &ModelInfo) {
        let (id, task) = (request.model.clone(), model.task);
        if self.state.models.with_untracked(|models| models.iter().any(|known| known.id == id)) {
            return;
        }
        self.state.others.update(|others| {
            others.retain(|other| other.id != id);
            others.push(ModelInfo {
                default: false,
                task,
                size_bytes: model.size_bytes,
                ..models::stranger(id.clone(), task)
            });
        });
    }

    /// What waited for this task's model goes on with it.
    fn go_on(self, task: Task) {
        if task == Task::SpeechToText {
            self.speech_is_loaded();
        }
        for panel in Panel::ALL.into_iter().filter(|panel| panel.task() == task) {
            if self.state.work(panel).with_untracked(|work| work.phase == Phase::WaitingForModel) {
                self.run(panel);
            } else if matches!(panel, Panel::Pictures | Panel::Alike | Panel::Match) {
                // Another model has its own view of the pictures that are there.
                self.ask_about(panel);
            }
        }
    }

    /// The model that is worked with goes away.
    fn stop_work(self, task: Task) {
        for panel in Panel::ALL.into_iter().filter(|panel| panel.task() == task) {
            if self.state.work(panel).with_untracked(|work| work.phase == Phase::Working) {
                self.cancel(panel);
            }
        }
    }

    fn not_loaded(self, task: Task) {
        let replaced = self.state.slot(task).with_untracked(Slot::is_loading);
        if !replaced {
            self.stop_waiting(task, Phase::Cancelled);
        }
    }

    fn stop_waiting(self, task: Task, phase: Phase) {
        if task == Task::SpeechToText {
            self.speech_is_not_loaded();
        }
        for panel in Panel::ALL.into_iter().filter(|panel| panel.task() == task) {
            self.state.work(panel).update(|work| {
                if work.phase == Phase::WaitingForModel {
                    work.end(phase);
                }
            });
        }
    }

    /// Choose a model of the list. One that is kept here costs nothing to load; another waits for its first use.
    pub fn choose_model(self, task: Task, model: String) {
        let at_once = untrack(|| self.state.is_cached(&model)) || self.inner().files.borrow().contains_key(&model);
        self.state.settings.update(|settings| settings.choose_model(task, model));
        if at_once {
            self.load(task);
        }
    }

    /// Load a model that is on no list, by its address.
    pub fn load_address(self, task: Task, address: String) {
        self.offer(task, address);
        self.load(task);
    }

    /// Load a model from its files. They are not kept after this visit.
    pub fn load_files(self, task: Task, files: Vec<Incoming>) {
        let missing = models::missing_files(files.iter().map(|file| file.path.as_str()));
        if !missing.is_empty() {
            let failure = Failure {
                kind: FailureKind::Input,
                message: format!("These files are no whole model: {} is missing.", missing.join(" and ")),
                hint: "Choose all files of the model's folder together: config.json, tokenizer.json, model.safetensors and what else is there.".into(),
            };
            return self.state.alert(task, failure, Remedy::Nothing);
        }
        let folder = files.iter().find_map(|file| file.path.split_once('/')).map(|(folder, _)| folder);
        let inner = self.inner();
        let name = models::name_of_files(folder, inner.files.borrow().len());
        let travelling: Array = files.iter().map(|file| with_path(&file.path, &file.file)).collect();
        inner.files.borrow_mut().insert(name.clone(), travelling);
        self.offer(task, name);
        // The same name may stand for other files than before.
        self.state.slot(task).set(Slot::Empty);
        self.load(task);
    }

    /// Put a model on the list for a task, as far as it is known, and choose it.
    fn offer(self, task: Task, id: String) {
        let known = self.state.models.with_untracked(|models| models.iter().any(|model| model.id == id));
        self.state.others.update(|others| {
            if !known && !others.iter().any(|other| other.id == id && other.task == task) {
                others.push(models::stranger(id.clone(), task));
            }
        });
        self.state.settings.update(|settings| settings.choose_model(task, id));
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

    /// Stop loading.
    pub fn cancel_load(self, task: Task) {
        if self.state.slot(task).with_untracked(Slot::is_loading)
            && let Some(canceller) = self.inner().load.borrow_mut()[task as usize].take()
        {
            canceller.cancel();
        }
    }

    /// Remove a model's files from this browser.
    pub fn remove_cached(self, task: Task, model: String) {
        let (state, inner) = (self.state, self.inner());
        spawn_local(async move {
            if let Err(failure) = inner.platform.remove_cached(model, move |event| state.apply(event)).await {
                state.alert(task, failure, Remedy::Nothing);
            }
        });
    }
}

fn no_model(task: Task) -> Failure {
    Failure {
        kind: FailureKind::Input,
        message: format!("No model is chosen: this needs {}.", models::kind(task)),
        hint: "Name one under \"Another model\", or drop its files on the page.".into(),
    }
}
