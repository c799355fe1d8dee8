//! From a model's files to a model that runs: header, graphs, a memory level that fits, pipelines, then the weights as they arrive
//! ([`super::arrive`]).

use super::arrive::{self, Arrival, Arrivals, Standing};
use super::fit::{self, Tried};
use super::graph::{Program, RecordOptions, Recorder};
use super::ladder::Choice;
use super::memory::{self, MemoryOptions};
use super::model::{Component, Files, Model, Recorded};
use super::session::{Device, Session};
use super::weights::{ModelFiles, Weights};
use super::{CancelFlag, Error, Result, edge};
use crate::protocol::{ComponentProgress, KernelLevel, LoadPhase, LoadRequest, LoadTimings, MemoryLevel, Precision};
use async_lock::MutexGuard;
use std::cell::RefCell;

/// What happens while a model is loaded.
#[derive(Debug, Clone, PartialEq)]
pub enum LoadStep {
    /// A phase began.
    Phase(LoadPhase),
    /// The memory level that fits; what may still be refused is asked for at this one.
    Fits(MemoryLevel),
    /// Pipelines made, of how many.
    Pipelines(u32, u32),
    /// Where each part of the model stands.
    Components(Vec<ComponentProgress>),
    /// Bytes of weights that are on the device.
    Uploaded(u64),
}

/// How a model is loaded, beside the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// How it is to lie in the device's memory, and how much of it that may be.
    pub memory: MemoryOptions,
    /// How many chunks of files may be on their way at once.
    pub lanes: usize,
    /// Whether it is loaded for a moment, to be compared with: then its weights are what was asked for and nothing narrower, and nothing
    /// that was made of them is kept.
    pub is_for_comparison: bool,
    /// How many inputs a model that decodes takes at once.
    pub batch_size: usize,
    /// How far a GPU's kernels go.
    pub kernels: KernelLevel,
    /// Whether versions of its kernels that were not tried on this GPU are tried first.
    pub tune: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            memory: MemoryOptions::default(),
            lanes: LoadRequest::DEFAULT_PARALLEL as usize,
            is_for_comparison: false,
            batch_size: 1,
            kernels: KernelLevel::default(),
            tune: false,
        }
    }
}

impl LoadOptions {
    /// Whether its weights may become narrower than was asked for where memory is short.
    pub fn narrows(&self, choice: &Choice) -> bool {
        choice.device.quantizes() && !self.is_for_comparison
    }
}

/// A model that was loaded, and what was given of what was asked for.
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// What was given.
    pub given: Given,
}

/// What was given of what was asked for; of a model that still arrives, so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The parts that are there, the one that is needed first in front.
    pub components: Vec<&'static str>,
    /// Milliseconds by phase.
    pub timings: LoadTimings,
    /// The memory level that fitted.
    pub level: MemoryLevel,
    /// The precision of its weights.
    pub precision: Precision,
    /// Why level or precision are others than those asked for; empty where they are not.
    pub note: String,
    /// Most bytes that its devices' memory and the engine's own heap held together.
    pub peak_bytes: u64,
}

/// Where a model is put, to be shared by those that use it.
pub type Place = async_lock::Mutex<Option<Model>>;

/// Loads a model onto the chosen device.
pub async fn load(
    choice: &Choice,
    files: &ModelFiles,
    options: &LoadOptions,
    cancel: &CancelFlag,
    on_step: &mut dyn FnMut(LoadStep),
) -> Result<Loaded> {
    let place = Place::default();
    let given = load_into(&place, choice, files, options, cancel, on_step, &mut |_, _| ()).await?;
    let model =
        place.into_inner().ok_or_else(|| Error::Internal("a model that was just loaded is not there".into()))?;
    Ok(Loaded { model, given })
}

/// Loads a model into a place. A model of several components is there as soon as the first of them is, and `on_usable` is told; the
/// others are added when they have come, for which the place is locked. After an error a part of it may be in the place.
pub async fn load_into(
    place: &Place,
    choice: &Choice,
    files: &ModelFiles,
    options: &LoadOptions,
    cancel: &CancelFlag,
    on_step: &mut dyn FnMut(LoadStep),
    on_usable: &mut dyn FnMut(&Model, Given),
) -> Result<Given> {
    let start = edge::Instant::now();
    on_step(LoadStep::Phase(LoadPhase::Prepare));
    let mut small = Some(Files::read(files).await?);
    let mut weights = Weights::open(files, options.lanes, cancel).await?;

    // Names, shapes and sizes are checked now, before the weights have crossed the network.
    let fitted = fit(choice, files, options, &weights, &mut small).await?;
    let Fitted { recorded, components, layouts, level, precision, note } = fitted;
    on_step(LoadStep::Fits(level));
    if let Device::Gpu(gpu) = &choice.device
        && options.tune
    {
        on_step(LoadStep::Phase(LoadPhase::Tune));
        let programs: Vec<_> = components.iter().map(|component| &component.program).collect();
        gpu.tune(&programs, cancel, &mut |done, all| on_step(LoadStep::Pipelines(done, all))).await?;
    }
    on_step(LoadStep::Phase(LoadPhase::Download));
    let compile_start = edge::Instant::now();
    let mut arrivals = Vec::with_capacity(components.len());
    for (Component { name, program }, memory) in components.into_iter().zip(&layouts) {
        let key = arrive::key(files, &weights, name, precision, &program, !options.is_for_comparison);
        let on_notice = files.hooks().on_notice.clone();
        arrivals.push(Arrival::new(&choice.device, name, program, memory, key, on_notice).await?);
    }
    let timings = LoadTimings { compile_ms: edge::ms_since(compile_start), ..Default::default() };
    let mut given = Given { components: Vec::new(), timings, level, precision, note, peak_bytes: 0 };

    let download_start = edge::Instant::now();
    let on_step = RefCell::new(on_step);
    let tell = |step| (on_step.borrow_mut())(step);
    let mut on_progress = |standing: &Standing| {
        tell(LoadStep::Components(standing.components.clone()));
        tell(LoadStep::Uploaded(standing.uploaded_bytes()));
    };
    let mut arrivals = Arrivals::begin(&mut weights, arrivals, cancel, &mut on_progress).await?;
    let mut coming = Coming { place, recorded: Some(recorded), software: choice.software, cancel };
    let last = loop {
        let (name, mut session) = arrivals.next(&mut weights, cancel, &mut on_progress).await?;
        session.finish(&mut |made, all| tell(LoadStep::Pipelines(made, all))).await?;
        given.timings.compile_ms = given.timings.compile_ms.max(session.compile_ms());
        given.components.push(name);
        if arrivals.is_complete() {
            break session;
        }
        let usable = coming.add(session, &mut given).await?;
        usable.as_ref().inspect(|model| on_usable(model, given.clone()));
    };
    tell(LoadStep::Phase(LoadPhase::Verify));
    if !arrivals.is_all_kept {
        weights.finish().await?;
    }
    given.timings.download_ms = edge::ms_since(download_start) - given.timings.warm_up_ms;

    tell(LoadStep::Phase(LoadPhase::WarmUp));
    coming.add(last, &mut given).await?;
    given.timings.total_ms = edge::ms_since(start);
    Ok(given)
}

/// A model on its way into a place.
struct Coming<'a> {
    place: &'a Place,
    /// Until its first component is there.
    recorded: Option<Recorded>,
    software: bool,
    cancel: &'a CancelFlag,
}

impl<'a> Coming<'a> {
    /// Puts the next component to those that are in the place, and lets it run once.
    async fn add(&mut self, session: Session, given: &mut Given) -> Result<MutexGuard<'a, Option<Model>>> {
        let mut place = self.place.lock().await;
        let model = match (self.recorded.take(), place.as_mut()) {
            (Some(recorded), _) => place.insert(recorded.on(session)),
            (None, Some(model)) => {
                model.add(session)?;
                model
            }
            (None, None) => return Err(Error::Internal("a model that is being loaded is not in its place".into())),
        };
        let start = edge::Instant::now();
        model.warm_up(self.software, self.cancel).await?;
        given.timings.warm_up_ms += edge::ms_since(start);
        given.peak_bytes = model.peak_bytes() + memory::host_bytes();
        Ok(place)
    }
}

/// A model recorded in the form that fits.
struct Fitted {
    recorded: Recorded,
    components: Vec<Component>,
    /// By component.
    layouts: Vec<MemoryOptions>,
    level: MemoryLevel,
    precision: Precision,
    note: String,
}

/// Records the model at the memory level that was asked for, or at the next one that fits.
async fn fit(
    choice: &Choice,
    files: &ModelFiles,
    options: &LoadOptions,
    weights: &Weights,
    small: &mut Option<Files>,
) -> Result<Fitted> {
    let device = &choice.device;
    let budget_bytes = fit::usable_budget(device, options.memory.budget_bytes);
    let levels = fit::levels(options.memory.level, options.narrows(choice));
    let mut tried = Vec::new();
    for &level in &levels {
        let precision = match device.quantizes() {
            true => fit::precision_at(level, choice.precision),
            false => choice.precision,
        };
        let (recorded, components) = record(choice, precision, options, files, weights, small).await?;
        let programs: Vec<&Program> = components.iter().map(|component| &component.program).collect();
        let laid_out = fit::lay_out(device, &programs, level, budget_bytes);
        match laid_out {
            Ok((layouts, takes)) if fit::is_within(takes.total(), budget_bytes) => {
                let note = fit::note(levels[0], level, choice.precision, precision, &tried, budget_bytes);
                let note = note + &fit::note_of_device(device, &options.memory);
                return Ok(Fitted { recorded, components, layouts, level, precision, note });
            }
            laid_out => tried.push(Tried { level, takes: laid_out.map(|(_, takes)| takes.total()) }),
        }
    }
    let mut smaller = None;
    if options.narrows(choice) && budget_bytes.is_some() {
        for precision in [Precision::Int8, Precision::Int4] {
            let (_, components) = record(choice, precision, options, files, weights, small).await?;
            let programs: Vec<&Program> = components.iter().map(|component| &component.program).collect();
            let takes = fit::lay_out(&choice.device, &programs, MemoryLevel::Stream, budget_bytes);
            let fits = takes.ok().map(|(_, takes)| takes.total()).filter(|bytes| fit::is_within(*bytes, budget_bytes));
            smaller = smaller.or(fits.map(|bytes| (precision, bytes)));
        }
    }
    Err(fit::refusal(&tried, budget_bytes, smaller))
}

/// Records the model with weights of a precision.
async fn record(
    choice: &Choice,
    precision: Precision,
    options: &LoadOptions,
    files: &ModelFiles,
    weights: &Weights,
    small: &mut Option<Files>,
) -> Result<(Recorded, Vec<Component>)> {
    let small = match small.take() {
        Some(small) => small,
        // Recording takes them; they are read again for another try.
        None => Files::read(files).await?,
    };
    let batch_size = if choice.device.decodes_batches() { options.batch_size.max(1) } else { 1 };
    let recorded_as = Choice { precision, ..choice.clone() }.record_options();
    let options = RecordOptions { kernels: options.kernels, ..recorded_as };
    small.record(&Recorder::new(weights.checkpoint().clone(), options), batch_size)
}
