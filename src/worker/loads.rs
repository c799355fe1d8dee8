//! Loads: from a request to a pipeline, with progress by file and phase; and what this browser keeps of models.

use super::{Loaded, Worker};
use crate::engine::load::{LoadStep, Model, load};
use crate::engine::models::ModelCard;
use crate::engine::weights::{LoadHooks, ModelFiles};
use crate::engine::{CancelFlag, Error, Result, edge};
use crate::protocol::{
    BackendChoice, CachedModel, Event, FailureKind, FileProgress, JobId, LoadPhase, LoadProgress, LoadRequest,
    PipelineId, PipelineInfo,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// The download rate is that of the last so many milliseconds.
const RATE_SPAN_MS: f64 = 3000.0;

impl Worker {
    pub(super) async fn load(&self, job: JobId, request: &LoadRequest, cancel: &CancelFlag) -> Result<PipelineInfo> {
        let card = ModelCard::find(&request.model)
            .ok_or_else(|| Error::Unsupported(format!("there is no model called `{}`", request.model)))?;
        let progress = Rc::new(Progress::new(job, self.emit.clone()));
        progress.step(LoadStep::Phase(LoadPhase::Prepare));
        let choice = self.ladder.choose(request.backend, request.precision).await?;
        let hooks = LoadHooks {
            cancel: cancel.clone(),
            on_progress: Rc::new({
                let progress = progress.clone();
                move |file| progress.file(file)
            }),
            on_notice: Rc::new({
                let emit = self.emit.clone();
                move |error: Error| emit(Event::Notice { job, failure: error.to_failure() })
            }),
        };
        let files = self.files(card, request, hooks).await?;
        let loaded = load(&choice, &files, cancel, &mut |step| progress.step(step)).await;
        if loaded.as_ref().is_err_and(|error| error.to_failure().kind == FailureKind::Model) {
            // Kept, the same files would fail every time. What the store says to this changes nothing.
            let _ = cached(Some(card.id)).await;
        }
        let (model, timings) = loaded?;
        let id = PipelineId(self.next_pipeline.get());
        self.next_pipeline.set(id.0 + 1);
        let info = PipelineInfo {
            id,
            model: card.info(),
            backend: choice.backend,
            precision: choice.precision,
            adapter: choice.adapter.clone(),
            software: choice.software,
            reason: choice.reason.clone(),
            languages: match &model {
                Model::Speech(model) => model.languages(),
                Model::Embedding(_) => Vec::new(),
            },
            memory_bytes: model.session().memory_bytes(),
            timings,
            dispatches_per_token: match &model {
                Model::Speech(model) if choice.backend == BackendChoice::WebGpu => model.dispatches_per_token(),
                _ => 0,
            },
        };
        self.models.borrow_mut().insert(id, Rc::new(Loaded { model: async_lock::Mutex::new(model), choice }));
        Ok(info)
    }

    #[cfg(target_arch = "wasm32")]
    async fn files(&self, card: &ModelCard, request: &LoadRequest, hooks: LoadHooks) -> Result<ModelFiles> {
        let source = crate::engine::weights::WebSource {
            model: card.id.into(),
            hub_id: card.hub_id.into(),
            source: request.source.clone(),
            app_url: self.app_url.clone(),
            chunk_bytes: request.chunk_bytes,
        };
        ModelFiles::new(source, hooks).await
    }

    #[cfg(not(target_arch = "wasm32"))]
    async fn files(&self, card: &ModelCard, _request: &LoadRequest, hooks: LoadHooks) -> Result<ModelFiles> {
        Ok(ModelFiles::folder(std::path::Path::new(&self.app_url).join(card.id), hooks))
    }
}

/// What this browser keeps, after `remove` is gone from it.
#[cfg(target_arch = "wasm32")]
pub(super) async fn cached(remove: Option<&str>) -> Result<Vec<CachedModel>> {
    let cache = crate::engine::weights::ModelCache::open().await?;
    if let Some(model) = remove {
        cache.remove(model).await?;
    }
    cache.list().await
}

/// Natively nothing is kept: the files are where they are.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn cached(_remove: Option<&str>) -> Result<Vec<CachedModel>> {
    Ok(Vec::new())
}

/// Puts the news of a load together and sends them whole.
struct Progress {
    job: JobId,
    emit: super::Emit,
    start: edge::Instant,
    now: RefCell<LoadProgress>,
    /// When how many bytes from the network were here.
    received: RefCell<VecDeque<(f64, u64)>>,
    sent_ms: Cell<f64>,
}

impl Progress {
    fn new(job: JobId, emit: super::Emit) -> Self {
        let now = LoadProgress {
            phase: LoadPhase::Prepare,
            files: Vec::new(),
            bytes_per_s: 0.0,
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

    fn file(&self, file: FileProgress) {
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

    fn step(&self, step: LoadStep) {
        let mut now = self.now.borrow_mut();
        match step {
            LoadStep::Phase(phase) => now.phase = phase,
            LoadStep::Pipelines(made, all) => {
                now.pipelines = (made, all);
            }
            LoadStep::Uploaded(bytes) => now.uploaded_bytes = bytes,
        }
        drop(now);
        self.send(matches!(step, LoadStep::Phase(_)));
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
        (self.emit)(Event::LoadProgress { job: self.job, progress: now.clone() });
    }
}
