//! Loads: from a request to a pipeline, with progress by file and phase, down the ladder where a backend fails; and what this
//! browser keeps of models.

use super::{File, Rung, Worker};
use crate::engine::ladder::{Choice, Wish, name_of};
use crate::engine::load::{Given, LoadOptions, LoadStep, Place, load_into};
use crate::engine::memory::MemoryOptions;
use crate::engine::model::{Model, Outline};
use crate::engine::models::ModelCard;
use crate::engine::weights::{LoadHooks, ModelFiles, Reference};
use crate::engine::{CancelFlag, Error, Result, edge};
use crate::protocol::{
    BackendChoice, CachedModel, Event, Failure, FailureKind, FileProgress, JobId, LoadPhase, LoadProgress, LoadRequest,
    MemoryLevel, ModelInfo, PipelineId, PipelineInfo, Precision, Source,
};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// The download rate is that of the last so many milliseconds.
const RATE_SPAN_MS: f64 = 3000.0;

/// On what a model is, and what was given of what was asked for.
pub(super) struct Terms {
    pub choice: Choice,
    given: Given,
}

/// A model on the rung that took it.
pub(super) struct Placed {
    pub model: Model,
    pub terms: Terms,
}

/// Where a model is to go.
struct Target<'a> {
    place: &'a Place,
    /// Told when a part of it is in the place and can be used; again where another backend has to take over after that.
    on_usable: &'a mut dyn FnMut(&Model, Terms),
}

impl Worker {
    pub(super) async fn load(
        &self,
        job: JobId,
        request: LoadRequest,
        files: Vec<File>,
        cancel: &CancelFlag,
    ) -> Result<PipelineInfo> {
        let asked = Asked::read(request, files)?;
        let id = PipelineId(self.next_pipeline.get());
        self.next_pipeline.set(id.0 + 1);
        let place = Rc::new(Place::default());
        let registered = OnceCell::new();
        // Jobs that wait for the rest hold on to what was registered first.
        let register = |model: &Model, terms: Terms, tried: Vec<Rung>| {
            let info = describe(id, &asked, model, &terms);
            let new = || {
                Rc::new(super::Loaded {
                    asked: asked.clone(),
                    model: place.clone(),
                    choice: terms.choice.clone().into(),
                    info: info.clone().into(),
                    tried: tried.clone().into(),
                    load: cancel.clone(),
                    outcome: OnceCell::new(),
                })
            };
            let loaded: &Rc<super::Loaded> = registered.get_or_init(new);
            *loaded.choice.borrow_mut() = terms.choice.clone();
            *loaded.info.borrow_mut() = info.clone();
            *loaded.tried.borrow_mut() = tried.clone();
            self.models.borrow_mut().insert(id, loaded.clone());
            info
        };
        let mut on_usable = |model: &Model, terms: Terms| {
            if !cancel.is_cancelled() {
                let pipeline = register(model, terms, Vec::new());
                (self.emit)(Event::Usable { job, pipeline });
            }
        };
        let mut tried = Vec::new();
        let target = Target { place: &place, on_usable: &mut on_usable };
        let placed = self.place_into(target, job, &asked, &mut tried, None, cancel).await;
        // Disposed of while its last part came.
        let result = match placed.and_then(|terms| cancel.check().map(|()| terms)) {
            Ok(terms) => match &*place.lock().await {
                Some(model) => Ok(register(model, terms, tried)),
                None => Err(Error::Internal("a model that was just loaded is not there".into())),
            },
            Err(error) => Err(error),
        };
        if let Some(loaded) = registered.get() {
            let _ = loaded.outcome.set(result.as_ref().map(|_| ()).map_err(Error::to_string)); // Set here alone.
        }
        if result.is_err() {
            self.models.borrow_mut().remove(&id);
            *place.lock().await = None;
        }
        result
    }

    /// Brings a model onto a device as [`Worker::place_into`] does, all of it before it is used.
    pub(super) async fn place(
        &self,
        job: JobId,
        asked: &Asked,
        tried: &mut Vec<Rung>,
        after: Option<(Choice, Error)>,
        cancel: &CancelFlag,
    ) -> Result<Placed> {
        let place = Place::default();
        let target = Target { place: &place, on_usable: &mut |_, _| () };
        let terms = self.place_into(target, job, asked, tried, after, cancel).await?;
        let model = place.into_inner();
        let model = model.ok_or_else(|| Error::Internal("a model that was just loaded is not there".into()))?;
        Ok(Placed { model, terms })
    }

    /// Brings a model onto a device: the one that is chosen for it, or after a failure the next; and down the ladder for as long
    /// as backends fail. `tried` are the rungs that it has been on, the last one at the end.
    async fn place_into(
        &self,
        target: Target<'_>,
        job: JobId,
        asked: &Asked,
        tried: &mut Vec<Rung>,
        after: Option<(Choice, Error)>,
        cancel: &CancelFlag,
    ) -> Result<Terms> {
        let request = &asked.request;
        let progress = Rc::new(Progress::new(job, self.emit.clone()));
        progress.step(LoadStep::Phase(LoadPhase::Prepare));
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
        let files = self.files(asked, hooks).await?;
        // A model that was asked for by its backend's name is not loaded elsewhere; one that runs is worth saving anywhere.
        let may_fall = self.fallbacks.get() && (request.backend == BackendChoice::Auto || after.is_some());
        let wish = Wish {
            backend: request.backend,
            precision: request.precision,
            fallbacks: self.fallbacks.get(),
            threads: request.threads.map(|threads| threads as usize),
            model: None,
        };
        let mut choice = match after {
            Some((failed, error)) => self.ladder.next(&failed, &error, tried, &wish).await.ok_or(error)?,
            None if request.backend == BackendChoice::Auto => {
                let outline = forget_damaged(asked, Outline::read(&files).await).await?;
                let name = format!("{} {}", asked.id, outline.fingerprint());
                self.ladder.choose(&Wish { model: Some((&name, outline.piece())), ..wish }).await?
            }
            None => self.ladder.choose(&wish).await?,
        };
        let budget_bytes = request.memory_budget_mb.map(|megabytes| u64::from(megabytes) * 1_000_000);
        let options = LoadOptions {
            memory: MemoryOptions { level: request.memory_level, budget_bytes },
            lanes: request.parallel_components.max(1) as usize,
            batch_size: request.batch_size.clamp(1, LoadRequest::MOST_BATCH) as usize,
        };
        loop {
            tried.push((choice.backend, choice.precision));
            cancel.check()?;
            let mut on_step = |step| progress.step(step);
            let mut on_usable = |model: &Model, given| (target.on_usable)(model, Terms::of(&choice, given));
            let result = load_into(target.place, &choice, &files, &options, cancel, &mut on_step, &mut on_usable).await;
            if result.is_err() {
                // A part of it may be there; its memory is needed where the model goes next.
                *target.place.lock().await = None;
            }
            match result {
                Ok(given) => return Ok(Terms::of(&choice, given)),
                Err(error) if may_fall && error.is_of_backend() => {
                    let next = self.ladder.next(&choice, &error, tried, &wish).await.ok_or(error)?;
                    let message = format!("{} could not take the model. {}.", name_of(choice.backend), next.reason);
                    self.say_fallback(job, message);
                    choice = next;
                }
                Err(error) => return forget_damaged(asked, Err(error)).await,
            }
        }
    }

    /// Tells the page that a backend gave way.
    pub(super) fn say_fallback(&self, job: JobId, message: String) {
        let hint = "Nothing is lost. To have an error instead, switch fallbacks off in the settings.".to_string();
        (self.emit)(Event::Notice { job, failure: Failure { kind: FailureKind::Fallback, message, hint } });
    }

    #[cfg(target_arch = "wasm32")]
    async fn files(&self, asked: &Asked, hooks: LoadHooks) -> Result<ModelFiles> {
        if asked.request.source == Source::Files {
            return ModelFiles::dropped(&asked.files, &asked.id, asked.request.chunk_bytes, hooks);
        }
        let source = crate::engine::weights::WebSource {
            model: asked.id.clone(),
            hub_id: asked.hub_id.clone(),
            source: asked.request.source.clone(),
            app_url: self.app_url.clone(),
            chunk_bytes: asked.request.chunk_bytes,
        };
        ModelFiles::new(source, hooks).await
    }

    #[cfg(not(target_arch = "wasm32"))]
    async fn files(&self, asked: &Asked, hooks: LoadHooks) -> Result<ModelFiles> {
        if !asked.files.is_empty() {
            return Err(Error::Unsupported("outside a browser models are loaded from folders".into()));
        }
        let folder = std::path::Path::new(&self.app_url).join(&asked.id);
        Ok(ModelFiles::folder(folder, hooks).in_chunks(asked.request.chunk_bytes))
    }
}

/// The model that is asked for: one of the list, or whatever a visitor names or drops.
#[derive(Clone)]
pub(super) struct Asked {
    request: LoadRequest,
    /// What came with the request, for [`Source::Files`].
    files: Vec<File>,
    /// What it is called here: its folder's name, `owner/name`, or an address.
    id: String,
    /// `owner/name` on the model hub, also with `@revision`; empty where it is not there.
    hub_id: String,
    card: Option<&'static ModelCard>,
}

impl Asked {
    /// The same model in f32 on a backend, however it was asked for.
    pub(super) fn in_f32_on(&self, backend: BackendChoice) -> Self {
        let request = LoadRequest {
            backend,
            precision: Precision::F32,
            memory_level: MemoryLevel::Share,
            memory_budget_mb: None,
            ..self.request.clone()
        };
        Self { request, ..self.clone() }
    }

    fn read(request: LoadRequest, files: Vec<File>) -> Result<Self> {
        let card = ModelCard::find(&request.model).filter(|_| request.source != Source::Files);
        let (id, hub_id) = match card {
            Some(card) => (card.id.into(), card.hub_id.into()),
            None if request.source == Source::Files => (request.model.clone(), String::new()),
            None => match Reference::parse(&request.model)? {
                Reference::Hub(repository) => (repository.to_string(), repository.to_string()),
                Reference::Address(address) => (address, String::new()),
            },
        };
        Ok(Self { request, files, id, hub_id, card })
    }

    /// What the page shows of it.
    fn info(&self, model: &Model) -> ModelInfo {
        if let Some(card) = self.card {
            return card.info();
        }
        let from = if self.hub_id.is_empty() { "From an address or files of yours." } else { "From the model hub." };
        ModelInfo {
            id: self.id.clone(),
            title: self.id.rsplit('/').next().unwrap_or(&self.id).into(),
            summary: from.into(),
            task: model.task(),
            multilingual: matches!(model, Model::Speech(model) if model.languages().len() > 1),
            size_bytes: 0,
            licence: "see its repository".into(),
            hub_id: self.hub_id.clone(),
            default: false,
        }
    }
}

impl Terms {
    fn of(choice: &Choice, given: Given) -> Self {
        let reason = format!("{}{}", choice.reason, given.note);
        Self { choice: Choice { precision: given.precision, reason, ..choice.clone() }, given }
    }
}

/// What the page is told of a model on its device.
pub(super) fn describe(id: PipelineId, asked: &Asked, model: &Model, terms: &Terms) -> PipelineInfo {
    let Terms { choice, given } = terms;
    PipelineInfo {
        id,
        model: asked.info(model),
        backend: choice.backend,
        precision: choice.precision,
        adapter: choice.adapter.clone(),
        software: choice.software,
        reason: choice.reason.clone(),
        measured: choice.measured.clone(),
        languages: match model {
            Model::Speech(model) => model.languages(),
            _ => Vec::new(),
        },
        mask_token: match model {
            Model::Embedding(model) => model.mask_token().map(str::to_string),
            _ => None,
        },
        memory_bytes: model.memory_bytes(),
        peak_bytes: given.peak_bytes,
        memory_level: given.level,
        batch_size: model.batch_size() as u32,
        components: given.components.iter().map(|name| name.to_string()).collect(),
        timings: given.timings,
        dispatches_per_token: match model {
            Model::Speech(model) if choice.backend == BackendChoice::WebGpu => model.dispatches_per_token(),
            Model::Text(model) if choice.backend == BackendChoice::WebGpu => model.session.n_dispatches(model.t5.step),
            _ => 0,
        },
    }
}

/// Passes a result on; files that turned out to be damaged are not kept, since they would fail every time.
async fn forget_damaged<T>(asked: &Asked, result: Result<T>) -> Result<T> {
    if result.as_ref().is_err_and(|error| error.to_failure().kind == FailureKind::Model) {
        // What the store says to this changes nothing.
        let _ = cached(Some(&asked.id)).await;
    }
    result
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
        let is_urgent = matches!(step, LoadStep::Phase(_));
        let mut now = self.now.borrow_mut();
        match step {
            LoadStep::Phase(phase) => now.phase = phase,
            LoadStep::Pipelines(made, all) => {
                now.pipelines = (made, all);
            }
            LoadStep::Components(components) => now.components = components,
            LoadStep::Uploaded(bytes) => now.uploaded_bytes = bytes,
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
