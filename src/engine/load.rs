//! From a model's files to a model that runs: header, graphs, a memory level that fits, pipelines, then the weights as they arrive
//! ([`super::arrive`]).

use super::arrive::{self, Arrival};
use super::embed::{self, EmbeddingModel};
use super::fit::{self, Tried};
use super::graph::{Program, Recorder};
use super::image_text::{self, ImageTextModel};
use super::ladder::Choice;
use super::measure::Representative;
use super::memory::{self, MemoryOptions};
use super::models::{bert_config, clip, vit, whisper};
use super::session::{Session, Watch};
use super::speech;
use super::transcribe::SpeechModel;
use super::vision::{self, VisionModel};
use super::weights::{ModelFiles, Weights};
use super::{CancelFlag, Error, Result, edge};
use crate::protocol::{ComponentProgress, LoadPhase, LoadRequest, LoadTimings, MemoryLevel, Precision};
use serde_json::Value;

/// A model that is loaded and ready.
pub enum Model {
    /// Speech to text.
    Speech(Box<SpeechModel>),
    /// Text to vectors.
    Embedding(Box<EmbeddingModel>),
    /// Pictures to labels or vectors.
    Vision(Box<VisionModel>),
    /// Pictures and texts to vectors of one space.
    ImageText(Box<ImageTextModel>),
}

impl Model {
    /// Bytes in its devices' memory.
    pub fn memory_bytes(&self) -> u64 {
        match self {
            Model::Speech(model) => model.session.memory_bytes(),
            Model::Embedding(model) => model.session.memory_bytes(),
            Model::Vision(model) => model.session.memory_bytes(),
            Model::ImageText(model) => model.memory_bytes(),
        }
    }

    /// The most that its devices' memory held.
    fn peak_bytes(&self) -> u64 {
        match self {
            Model::Speech(model) => model.session.memory().peak,
            Model::Embedding(model) => model.session.memory().peak,
            Model::Vision(model) => model.session.memory().peak,
            Model::ImageText(model) => model.text_session.memory().peak + model.picture_session.memory().peak,
        }
    }

    /// The first, untimed run: drivers finish pipelines only when they are used. What comes out must be numbers.
    async fn warm_up(&mut self, software: bool, cancel: &CancelFlag) -> Result<()> {
        let mut watch = Watch { cancel, on_progress: &mut |_| () };
        match self {
            Model::Speech(model) => model.warm_up(software, &mut watch).await,
            Model::Embedding(model) => model.warm_up(&mut watch).await,
            Model::Vision(model) => model.warm_up(&mut watch).await,
            Model::ImageText(model) => model.warm_up(&mut watch).await,
        }
    }
}

/// What happens while a model is loaded.
#[derive(Debug, Clone, PartialEq)]
pub enum LoadStep {
    /// A phase began.
    Phase(LoadPhase),
    /// Pipelines made, of how many.
    Pipelines(u32, u32),
    /// Where each part of the model stands.
    Components(Vec<ComponentProgress>),
    /// Bytes of weights that are on the device.
    Uploaded(u64),
}

/// The small files of a model, read and understood; the header of its weights decides the rest.
enum Files {
    Speech(Box<speech::Files>),
    Embedding(embed::Files),
    Vision(Box<vision::Files>),
    ImageText(Box<image_text::Files>),
}

/// A recorded model without its devices.
enum Recorded {
    Speech(Box<speech::Recorded>),
    Embedding(embed::Recorded),
    Vision(Box<vision::Recorded>),
    ImageText(Box<image_text::Recorded>),
}

/// A part of a model that has a session of its own, and can be used without the others.
#[derive(Debug)]
pub struct Component {
    /// For people: `text`, `pictures`.
    pub name: &'static str,
    /// Its graphs.
    pub program: Program,
}

impl Component {
    /// All of a model that is one part.
    pub fn whole(recorder: &Recorder) -> Vec<Self> {
        vec![Self { name: "model", program: recorder.finish() }]
    }
}

/// A model's configuration: enough to know what a piece of it costs, before anything large is fetched.
#[derive(Debug)]
pub enum Outline {
    /// Speech to text.
    Whisper(whisper::Config),
    /// Text to vectors.
    Bert(bert_config::Config),
    /// Pictures to labels or vectors.
    Vit(vit::Config),
    /// Pictures and texts to vectors of one space.
    Clip(clip::Config),
}

impl Outline {
    /// Reads `config.json`.
    pub async fn read(files: &ModelFiles) -> Result<Self> {
        let config = files.read_required("config.json").await?;
        match architecture(&config)?.as_str() {
            known if bert_config::MODEL_TYPES.contains(&known) => {
                Ok(Outline::Bert(bert_config::Config::from_json(&config)?))
            }
            vit if vit::Config::MODEL_TYPES.contains(&vit) => Ok(Outline::Vit(vit::Config::from_json(&config)?)),
            "clip" => Ok(Outline::Clip(clip::Config::from_json(&config)?)),
            _ => Ok(Outline::Whisper(whisper::Config::from_json(&config)?)),
        }
    }

    /// What of it is measured.
    pub fn piece(&self) -> &dyn Representative {
        match self {
            Outline::Whisper(config) => config,
            Outline::Bert(config) => config,
            Outline::Vit(config) => config,
            Outline::Clip(config) => config,
        }
    }

    /// Tells models of other shapes apart.
    pub fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

/// Every `model_type` that is known here.
fn known_architectures() -> impl Iterator<Item = &'static str> {
    ["whisper", "clip"].into_iter().chain(bert_config::MODEL_TYPES.iter().copied()).chain(vit::Config::MODEL_TYPES)
}

/// The known architecture that `config.json` names.
fn architecture(config: &[u8]) -> Result<String> {
    match parse("config.json", config)?["model_type"].as_str() {
        Some(known) if known_architectures().any(|name| name == known) => Ok(known.into()),
        Some(other) => {
            let known = known_architectures().collect::<Vec<_>>().join(", ");
            Err(Error::Unsupported(format!("its architecture is `{other}`; known are {known}")))
        }
        None => Err(Error::Corrupt { file: "config.json".into(), reason: "it names no `model_type`".into() }),
    }
}

/// How a model is loaded, beside the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// How it is to lie in the device's memory, and how much of it that may be.
    pub memory: MemoryOptions,
    /// How many chunks of files may be on their way at once.
    pub lanes: usize,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { memory: MemoryOptions::default(), lanes: LoadRequest::DEFAULT_PARALLEL as usize }
    }
}

/// A model that was loaded, and what was given of what was asked for.
pub struct Loaded {
    /// The model.
    pub model: Model,
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

/// Loads a model onto the chosen device.
pub async fn load(
    choice: &Choice,
    files: &ModelFiles,
    options: &LoadOptions,
    cancel: &CancelFlag,
    on_step: &mut dyn FnMut(LoadStep),
) -> Result<Loaded> {
    let start = edge::Instant::now();
    on_step(LoadStep::Phase(LoadPhase::Prepare));
    let mut small = Some(Files::read(files).await?);
    let mut weights = Weights::open(files, options.lanes, cancel).await?;
    on_step(LoadStep::Phase(LoadPhase::Download));

    // Names, shapes and sizes are checked now, before the weights have crossed the network.
    let fitted = fit(choice, files, options, &weights, &mut small).await?;
    let Fitted { recorded, components, layouts, level, precision, note } = fitted;
    let compile_start = edge::Instant::now();
    let mut arrivals = Vec::with_capacity(components.len());
    for (Component { name, program }, memory) in components.into_iter().zip(&layouts) {
        let mut on_pipeline = |made, all| on_step(LoadStep::Pipelines(made, all));
        let key = arrive::key(files, &weights, name, precision, &program);
        arrivals.push(Arrival::new(&choice.device, name, program, memory, key, &mut on_pipeline).await?);
    }
    let mut timings = LoadTimings { compile_ms: edge::ms_since(compile_start), ..Default::default() };

    let download_start = edge::Instant::now();
    let mut on_progress = |components: Vec<ComponentProgress>, uploaded: u64| {
        on_step(LoadStep::Components(components));
        on_step(LoadStep::Uploaded(uploaded));
    };
    let is_checked = arrive::receive(&mut weights, &mut arrivals, cancel, &mut on_progress).await?;
    on_step(LoadStep::Phase(LoadPhase::Verify));
    if !is_checked {
        weights.finish().await?;
    }
    timings.download_ms = edge::ms_since(download_start);

    on_step(LoadStep::Phase(LoadPhase::WarmUp));
    let warm_up_start = edge::Instant::now();
    let mut model = recorded.on(arrivals.into_iter().map(Arrival::into_session).collect())?;
    model.warm_up(choice.software, cancel).await?;
    timings.warm_up_ms = edge::ms_since(warm_up_start);
    timings.total_ms = edge::ms_since(start);
    let peak_bytes = model.peak_bytes() + memory::host_bytes();
    Ok(Loaded { model, timings, level, precision, note, peak_bytes })
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
    let MemoryOptions { level: asked, budget_bytes } = options.memory;
    let mut tried = Vec::new();
    for level in fit::LEVELS.into_iter().filter(|level| *level >= asked) {
        let precision = match choice.device.quantizes() {
            true => fit::precision_at(level, choice.precision),
            false => choice.precision,
        };
        let (recorded, components) = record(choice, precision, files, weights, small).await?;
        let programs: Vec<&Program> = components.iter().map(|component| &component.program).collect();
        let laid_out = fit::lay_out(&choice.device, &programs, level, budget_bytes);
        match laid_out {
            Ok((layouts, takes)) if fit::is_within(takes.total(), budget_bytes) => {
                let note = fit::note(asked, level, choice.precision, precision, &tried, budget_bytes);
                return Ok(Fitted { recorded, components, layouts, level, precision, note });
            }
            laid_out => tried.push(Tried { level, takes: laid_out.map(|(_, takes)| takes.total()) }),
        }
    }
    let mut smaller = None;
    if choice.device.quantizes() && budget_bytes.is_some() {
        for precision in [Precision::Int8, Precision::Int4] {
            let (_, components) = record(choice, precision, files, weights, small).await?;
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
    files: &ModelFiles,
    weights: &Weights,
    small: &mut Option<Files>,
) -> Result<(Recorded, Vec<Component>)> {
    let small = match small.take() {
        Some(small) => small,
        // Recording takes them; they are read again for another try.
        None => Files::read(files).await?,
    };
    let options = Choice { precision, ..choice.clone() }.record_options();
    small.record(&Recorder::new(weights.checkpoint().clone(), options))
}

impl Files {
    async fn read(files: &ModelFiles) -> Result<Self> {
        let config = files.read_required("config.json").await?;
        Ok(match architecture(&config)?.as_str() {
            known if bert_config::MODEL_TYPES.contains(&known) => {
                Files::Embedding(embed::Files::read(files, &config).await?)
            }
            vit if vit::Config::MODEL_TYPES.contains(&vit) => {
                Files::Vision(Box::new(vision::Files::read(files, &config).await?))
            }
            "clip" => Files::ImageText(Box::new(image_text::Files::read(files, &config).await?)),
            _ => Files::Speech(Box::new(speech::Files::read(files, &config).await?)),
        })
    }

    fn record(self, recorder: &Recorder) -> Result<(Recorded, Vec<Component>)> {
        Ok(match self {
            Files::Speech(files) => {
                let (recorded, components) = files.record(recorder)?;
                (Recorded::Speech(Box::new(recorded)), components)
            }
            Files::Embedding(files) => {
                let (recorded, components) = files.record(recorder)?;
                (Recorded::Embedding(recorded), components)
            }
            Files::Vision(files) => {
                let (recorded, components) = files.record(recorder)?;
                (Recorded::Vision(Box::new(recorded)), components)
            }
            Files::ImageText(files) => {
                let (recorded, components) = files.record(recorder)?;
                (Recorded::ImageText(Box::new(recorded)), components)
            }
        })
    }
}

impl Recorded {
    /// The model over the sessions of its components, in their order.
    fn on(self, sessions: Vec<Session>) -> Result<Model> {
        let mut sessions = sessions.into_iter();
        let mut next = || sessions.next().ok_or_else(|| Error::Internal("a component has no session".into()));
        Ok(match self {
            Recorded::Speech(recorded) => Model::Speech(Box::new(recorded.on(next()?))),
            Recorded::Embedding(recorded) => Model::Embedding(Box::new(recorded.on(next()?))),
            Recorded::Vision(recorded) => Model::Vision(Box::new(recorded.on(next()?))),
            Recorded::ImageText(recorded) => Model::ImageText(Box::new(recorded.on(next()?, next()?))),
        })
    }
}

/// A file of a repository as JSON.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::Corrupt { file: file.into(), reason: format!("it is no JSON ({e})") })
}
