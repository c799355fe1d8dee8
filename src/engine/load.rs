//! From a model's files to a model that runs: header, graphs, pipelines, then the weights as they arrive.

use super::embed::{self, EmbeddingModel};
use super::graph::{Program, Recorder};
use super::ladder::Choice;
use super::measure::Representative;
use super::models::{bert_config, whisper};
use super::session::{Session, Watch};
use super::speech;
use super::transcribe::SpeechModel;
use super::upload::Uploader;
use super::weights::{Checkpoint, FileStream, ModelFiles, TensorStream};
use super::{CancelFlag, Error, Result, edge};
use crate::protocol::{LoadPhase, LoadTimings, Task};
use serde_json::Value;
use std::rc::Rc;

/// The file with the weights.
const WEIGHTS: &str = "model.safetensors";

/// A model that is loaded and ready.
pub enum Model {
    /// Speech to text.
    Speech(Box<SpeechModel>),
    /// Text to vectors.
    Embedding(Box<EmbeddingModel>),
}

impl Model {
    /// Bytes in its devices' memory.
    pub fn memory_bytes(&self) -> u64 {
        match self {
            Model::Speech(model) => model.session.memory_bytes(),
            Model::Embedding(model) => model.session.memory_bytes(),
        }
    }

    /// What it does.
    pub fn task(&self) -> Task {
        match self {
            Model::Speech(_) => Task::SpeechToText,
            Model::Embedding(model) if model.mask_token().is_some() => Task::FillMask,
            Model::Embedding(_) => Task::TextEmbedding,
        }
    }

    /// The first, untimed run: drivers finish pipelines only when they are used. What comes out must be numbers.
    async fn warm_up(&mut self, software: bool, cancel: &CancelFlag) -> Result<()> {
        let mut watch = Watch { cancel, on_progress: &mut |_| () };
        match self {
            Model::Speech(model) => model.warm_up(software, &mut watch).await,
            Model::Embedding(model) => model.warm_up(&mut watch).await,
        }
    }
}

/// What happens while a model is loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LoadStep {
    /// A phase began.
    Phase(LoadPhase),
    /// Pipelines made, of how many.
    Pipelines(u32, u32),
    /// Bytes of weights that are on the device.
    Uploaded(u64),
}

/// The small files of a model, read and understood; the header of its weights decides the rest.
enum Files {
    Speech(Box<speech::Files>),
    Embedding(embed::Files),
}

/// A recorded model without its devices.
enum Recorded {
    Speech(Box<speech::Recorded>),
    Embedding(embed::Recorded),
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
}

impl Outline {
    /// Reads `config.json`.
    pub async fn read(files: &ModelFiles) -> Result<Self> {
        let config = files.read_required("config.json").await?;
        match architecture(&config)?.as_str() {
            known if bert_config::MODEL_TYPES.contains(&known) => {
                Ok(Outline::Bert(bert_config::Config::from_json(&config)?))
            }
            _ => Ok(Outline::Whisper(whisper::Config::from_json(&config)?)),
        }
    }

    /// What of it is measured.
    pub fn piece(&self) -> &dyn Representative {
        match self {
            Outline::Whisper(config) => config,
            Outline::Bert(config) => config,
        }
    }

    /// Tells models of other shapes apart.
    pub fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

/// The known architecture that `config.json` names.
fn architecture(config: &[u8]) -> Result<String> {
    match parse("config.json", config)?["model_type"].as_str() {
        Some(known) if known == "whisper" || bert_config::MODEL_TYPES.contains(&known) => Ok(known.into()),
        Some(other) => {
            let known = bert_config::MODEL_TYPES.join(", ");
            Err(Error::Unsupported(format!("its architecture is `{other}`; known are whisper, {known}")))
        }
        None => Err(Error::Corrupt { file: "config.json".into(), reason: "it names no `model_type`".into() }),
    }
}

/// Loads a model onto the chosen device.
pub async fn load(
    choice: &Choice,
    files: &ModelFiles,
    cancel: &CancelFlag,
    on_step: &mut dyn FnMut(LoadStep),
) -> Result<(Model, LoadTimings)> {
    let start = edge::Instant::now();
    on_step(LoadStep::Phase(LoadPhase::Prepare));
    let small = Files::read(files).await?;
    let mut stream = files.open(WEIGHTS).await?;
    on_step(LoadStep::Phase(LoadPhase::Download));
    let mut tensors = TensorStream::new(WEIGHTS, stream.total_bytes());
    let checkpoint = header(&mut stream, &mut tensors, cancel).await?;

    // Names and shapes are checked now, before the weights have crossed the network.
    let (recorded, components) = small.record(&Recorder::new(checkpoint, choice.record_options()))?;
    let compile_start = edge::Instant::now();
    let mut parts = Vec::with_capacity(components.len());
    for Component { program, .. } in components {
        let mut on_pipeline = |made, all| on_step(LoadStep::Pipelines(made, all));
        let uploader = Uploader::new(&program);
        parts.push((uploader, Session::compile(&choice.device, program, &mut on_pipeline).await?));
    }
    let mut timings = LoadTimings { compile_ms: edge::ms_since(compile_start), ..Default::default() };

    let download_start = edge::Instant::now();
    let mut uploaded = 0;
    loop {
        while let Some(part) = tensors.next_part() {
            for (uploader, session) in &mut parts {
                uploader.part(&part, session)?;
            }
            uploaded += part.bytes.len() as u64;
        }
        on_step(LoadStep::Uploaded(uploaded));
        cancel.check()?;
        match stream.next_chunk().await? {
            Some(chunk) => tensors.push(chunk)?,
            None => break,
        }
    }
    on_step(LoadStep::Phase(LoadPhase::Verify));
    tensors.finish()?;
    let mut sessions = Vec::with_capacity(parts.len());
    for (uploader, session) in parts {
        uploader.finish()?;
        sessions.push(session);
    }
    timings.download_ms = edge::ms_since(download_start);

    on_step(LoadStep::Phase(LoadPhase::WarmUp));
    let warm_up_start = edge::Instant::now();
    let mut model = recorded.on(sessions)?;
    model.warm_up(choice.software, cancel).await?;
    timings.warm_up_ms = edge::ms_since(warm_up_start);
    timings.total_ms = edge::ms_since(start);
    Ok((model, timings))
}

/// Receives the file as far as its header.
async fn header(stream: &mut FileStream, tensors: &mut TensorStream, cancel: &CancelFlag) -> Result<Rc<Checkpoint>> {
    loop {
        cancel.check()?;
        if let Some(checkpoint) = tensors.checkpoint() {
            return Ok(checkpoint.clone());
        }
        match stream.next_chunk().await? {
            Some(chunk) => tensors.push(chunk)?,
            None => tensors.finish()?,
        }
    }
}

impl Files {
    async fn read(files: &ModelFiles) -> Result<Self> {
        let config = files.read_required("config.json").await?;
        Ok(match architecture(&config)?.as_str() {
            known if bert_config::MODEL_TYPES.contains(&known) => {
                Files::Embedding(embed::Files::read(files, &config).await?)
            }
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
        })
    }
}

/// A file of a repository as JSON.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::Corrupt { file: file.into(), reason: format!("it is no JSON ({e})") })
}
