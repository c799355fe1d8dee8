//! Loads: from a request to a pipeline, with progress by file and phase, down the ladder where a backend fails; and what this
//! browser keeps of models.

use super::attempts::Attempt;
use super::progress::Progress;
use super::{File, Rung, Worker};
use crate::engine::ladder::{Choice, Wish};
use crate::engine::load::{Given, LoadOptions, LoadStep, Place, load_into};
use crate::engine::memory::MemoryOptions;
use crate::engine::model::{Model, Outline};
use crate::engine::models::ModelCard;
use crate::engine::weights::{LoadHooks, ModelFiles};
use crate::engine::{CancelFlag, Error, Result};
use crate::protocol::reference::Reference;
use crate::protocol::{
    BackendChoice, CachedModel, Event, FailureKind, JobId, LoadPhase, LoadRequest, MemoryLevel, ModelInfo, PipelineId,
    PipelineInfo, Precision, Source,
};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

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
        let asked = Asked::read(request.within_limits(), files)?;
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
                    ledgers: RefCell::default(),
                    tried: tried.clone().into(),
                    load: cancel.clone(),
                    outcome: OnceCell::new(),
                })
            };
            let loaded: &Rc<super::Loaded> = registered.get_or_init(new);
            *loaded.choice.borrow_mut() = terms.choice.clone();
            *loaded.info.borrow_mut() = info.clone();
            *loaded.ledgers.borrow_mut() = model.ledgers();
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
        after: Option<(Attempt, Error)>,
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
        after: Option<(Attempt, Error)>,
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
        let first = |choice| Attempt { choice, level: request.memory_level };
        let mut attempt = match after {
            Some((failed, error)) => match self.next_attempt(&failed, &error, tried, asked, &wish).await {
                Some(next) => next,
                None => return Err(error),
            },
            None if request.backend == BackendChoice::Auto => {
                let outline = forget_damaged(asked, Outline::read(&files).await).await?;
                let name = format!("{} {}", asked.id, outline.fingerprint());
                first(self.ladder.choose(&Wish { model: Some((&name, outline.piece())), ..wish }).await?)
            }
            None => first(self.ladder.choose(&wish).await?),
        };
        loop {
            let choice = attempt.choice.clone();
            tried.push((choice.backend, choice.precision));
            cancel.check()?;
            let options = asked.load_options(attempt.level);
            let how = format!("{:?} {options:?}", choice.precision);
            self.ladder.begin_pipelines(&choice.device, &asked.id, &how).await;
            // Until a level fits, none can be refused.
            let fits = Cell::new(None);
            let mut on_step = |step| match step {
                LoadStep::Fits(level) => fits.set(Some(level)),
                step => progress.step(step),
            };
            let mut on_usable = |model: &Model, given| (target.on_usable)(model, Terms::of(&choice, given));
            let result = load_into(target.place, &choice, &files, &options, cancel, &mut on_step, &mut on_usable).await;
            if result.is_err() {
                // A part of it may be there; its memory is needed where the model goes next.
                *target.place.lock().await = None;
            }
            let error = match result {
                Ok(given) => {
                    if options.tune {
                        self.ladder.keep_tuning(&choice.device).await;
                    }
                    // Of a visitor's own files nothing outlives the visit, and what is compared is not what is loaded next time.
                    if request.source != Source::Files
                        && !options.is_for_comparison
                        && let Some(model) = &*target.place.lock().await
                    {
                        self.ladder.keep_pipelines(&choice.device, &asked.id, &how, model).await;
                    }
                    return Ok(Terms::of(&choice, given));
                }
                Err(error) => error,
            };
            let less = match fits.get() {
                Some(level) => self.with_less_memory(&choice, level, &error, asked).await,
                None => None,
            };
            let next = match less {
                None if may_fall => self.on_next_rung(&choice, &error, tried, asked, &wish).await,
                less => less,
            };
            let Some(next) = next else { return forget_damaged(asked, Err(error)).await };
            self.say_next(job, &choice, &next);
            attempt = next;
        }
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
    /// What the model holds that this one is to be compared with; `None` where it is loaded for its own sake.
    beside_bytes: Option<u64>,
}

impl Asked {
    /// The same model in f32 on a backend, to be compared with the one that is loaded at `level` and holds `held_bytes`: within what is
    /// left of the budget, and streamed where that one is.
    pub(super) fn in_f32_on(&self, backend: BackendChoice, level: MemoryLevel, held_bytes: u64) -> Self {
        let memory_level = if level == MemoryLevel::Stream { level } else { MemoryLevel::Share };
        let request = LoadRequest { backend, precision: Precision::F32, memory_level, ..self.request.clone() };
        Self { request, beside_bytes: Some(held_bytes), ..self.clone() }
    }

    /// The budget that was asked for, if any.
    pub(super) fn budget_bytes(&self) -> Option<u64> {
        self.request.memory_budget_mb.map(|megabytes| u64::from(megabytes) * 1_000_000)
    }

    /// How it is loaded at a memory level.
    pub(super) fn load_options(&self, level: MemoryLevel) -> LoadOptions {
        let held = self.beside_bytes.unwrap_or(0);
        let budget_bytes = self.budget_bytes().map(|budget| budget.saturating_sub(held));
        LoadOptions {
            memory: MemoryOptions { level, budget_bytes },
            lanes: self.request.parallel_components as usize,
            is_for_comparison: self.beside_bytes.is_some(),
            batch_size: self.request.batch_size.clamp(1, LoadRequest::MOST_BATCH) as usize,
            kernels: self.request.kernel_level,
            tune: self.request.tune,
        }
    }

    /// The memory level that was asked for.
    pub(super) fn level(&self) -> MemoryLevel {
        self.request.memory_level
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
        Ok(Self { request, files, id, hub_id, card, beside_bytes: None })
    }

    /// What the page shows of it.
    fn info(&self, model: &Model) -> ModelInfo {
        if let Some(card) = self.card {
            return card.info();
        }
        let from = if self.hub_id.is_empty() { "From an address or files of yours." } else { "From the model hub." };
        ModelInfo {
            id: self.id.clone(),
            title: Reference::parse(&self.id).map_or_else(|_| self.id.clone(), |reference| reference.title()),
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
    crate::engine::backing::remove_what_was_left_behind(&cache).await?;
    cache.list().await
}

/// Natively nothing is kept: the files are where they are.
#[cfg(not(target_arch = "wasm32"))]
pub(super) async fn cached(_remove: Option<&str>) -> Result<Vec<CachedModel>> {
    Ok(Vec::new())
}
