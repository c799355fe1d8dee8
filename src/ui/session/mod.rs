//! What the visitor does, turned into calls of the [`Platform`], one file a subject. It holds what is no signal: the loaded
//! pipelines, the jobs under way, the open microphone.

mod album;
mod benchmark;
pub mod cost;
mod loads;
mod matching;
pub mod numbers;
pub mod performance;
mod pictures;
pub mod pipelines;
mod sentences;
mod speech;
mod work;
mod writing;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use js_sys::Array;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::benchmark::runner::Stopper;
use super::platform::{Canceller, Pipeline, Platform};
use super::state::work::{Panel, Phase};
use super::state::{Engine, Remedy, State};
use super::{route, settings};
use crate::protocol::Task;

pub use album::{SAMPLES, named, sample_url};
pub use sentences::GAP;
pub use writing::contradiction;

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
    /// The files of models that were dropped or picked, by the names that these models go by.
    files: RefCell<HashMap<String, Array>>,
    /// What stops each panel's jobs.
    work: RefCell<[Vec<Canceller>; Panel::ALL.len()]>,
    speech: speech::Hands,
    /// Stops the benchmark.
    benchmark: RefCell<Stopper>,
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
            files: RefCell::default(),
            work: RefCell::default(),
            speech: speech::Hands::default(),
            benchmark: RefCell::default(),
        });
        Self { state, inner: StoredValue::new_local(inner) }
    }

    fn inner(&self) -> Rc<Inner> {
        self.inner.get_value()
    }

    /// Ask the engine, now that it listens, what this browser can do and what it keeps. The model of the
    /// task that is showing is loaded at once where it is kept; otherwise it is downloaded only when it is used, because the first
    /// visit must not cost anyone a hundred megabytes unasked.
    pub fn greet(self) {
        let state = self.state;
        let inner = self.inner();
        // What was asked before there was an engine could find no model.
        let is_waiting = |panel: &Panel| state.work(*panel).with_untracked(|work| work.phase == Phase::WaitingForModel);
        Panel::ALL.into_iter().filter(is_waiting).for_each(|panel| self.run(panel));
        // A new engine knows nothing of the settings.
        inner.platform.enable_feature_fallbacks(state.settings.with_untracked(|settings| settings.fallbacks));
        spawn_local(async move {
            let known = inner.platform.cached(move |event| state.apply(event)).await.is_ok();
            let task = route::from_address().task();
            let chosen = untrack(|| state.chosen(task));
            if known && chosen.is_some_and(|model| untrack(|| state.is_cached(&model.id))) {
                self.load(task);
            }
            // A probe that fails is a finding too: the badge then says that nothing was found.
            if inner.platform.backends(move |event| state.apply(event)).await.is_err() {
                state.backends.set(Some(Vec::new()));
            }
            self.precompile_at_start().await;
        });
    }

    /// Drop the pipelines that went down with the GPU or the engine.
    pub fn forget_pipelines(self) {
        let inner = self.inner();
        for pipeline in &inner.pipelines {
            pipeline.take();
        }
        inner.speech.forget_stream();
    }

    /// End the engine and its work: the page is being left, and may come back.
    pub fn end_engine(self) {
        self.inner().platform.end();
        self.forget_pipelines();
        self.state.engine_ended();
    }

    /// Start the engine again, after a crash or when the page is back.
    pub fn restart(self) {
        self.state.engine.set(Engine::Starting);
        self.state.alerts.update(|alerts| alerts.retain(|alert| alert.remedy != Remedy::Restart));
        self.inner().platform.restart();
    }

    /// Try what belongs to no backend, once.
    pub fn probe_rest(self) {
        let (state, inner) = (self.state, self.inner());
        if state.features.with_untracked(|features| !features.is_empty()) {
            return;
        }
        spawn_local(async move {
            state.features.set(inner.platform.other_features().await);
        });
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
