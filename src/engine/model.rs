//! The families of models: how a repository is told to be of one, and what each brings to the loader. What a family's files
//! mean, what it records and how it runs is in its own file.

use super::embed::{self, EmbeddingModel};
use super::generate::{self, TextModel};
use super::graph::{Program, Recorder};
use super::image_text::{self, ImageTextModel};
use super::measure::Representative;
use super::memory::Ledger;
use super::models::{bert_config, clip, t5, vit, whisper};
use super::session::{Session, Watch};
use super::speech;
use super::transcribe::SpeechModel;
use super::vision::{self, VisionModel};
use super::weights::ModelFiles;
use super::{CancelFlag, Error, Result};
use crate::protocol::Task;
use serde_json::Value;
use std::rc::Rc;

/// A model that is loaded and ready.
pub enum Model {
    /// Speech to text.
    Speech(Box<SpeechModel>),
    /// Text to vectors.
    Embedding(Box<EmbeddingModel>),
    /// Text to text.
    Text(Box<TextModel>),
    /// Pictures to labels or vectors.
    Vision(Box<VisionModel>),
    /// Pictures and texts compared.
    ImageText(Box<ImageTextModel>),
}

impl Model {
    /// What it does.
    pub fn task(&self) -> Task {
        match self {
            Model::Speech(_) => Task::SpeechToText,
            Model::Embedding(model) if model.mask_token().is_some() => Task::FillMask,
            Model::Embedding(_) => Task::TextEmbedding,
            Model::Text(_) => Task::TextToText,
            Model::Vision(model) if model.has_labels() => Task::ImageClassification,
            Model::Vision(_) => Task::ImageFeatures,
            Model::ImageText(_) => Task::ImageText,
        }
    }

    /// How many inputs it decodes at once: windows of speech, texts that it answers. 1 for models that decode nothing.
    pub fn batch_size(&self) -> usize {
        match self {
            Model::Speech(model) => model.batch_size(),
            Model::Text(model) => model.batch_size(),
            _ => 1,
        }
    }

    /// The error of a model that is asked for what it does not do; `wanted` says what a model does that does.
    pub fn refuses(&self, wanted: &str) -> Error {
        let does = match self.task() {
            Task::SpeechToText => "turns speech into text",
            Task::TextEmbedding => "turns texts into vectors",
            Task::FillMask => "fills gaps in texts",
            Task::TextToText => "writes text from text",
            Task::ImageClassification => "names what is on pictures",
            Task::ImageFeatures => "turns pictures into vectors",
            Task::ImageText => "compares pictures with texts",
        };
        Error::Input(format!("this model {does}; choose one that {wanted}"))
    }

    /// Its graphs on devices, a session for each component that is there.
    pub(super) fn sessions(&self) -> Vec<&Session> {
        match self {
            Model::Speech(model) => vec![&model.session],
            Model::Embedding(model) => vec![&model.session],
            Model::Text(model) => vec![&model.session],
            Model::Vision(model) => vec![&model.session],
            Model::ImageText(model) => model.sessions().collect(),
        }
    }

    /// Bytes in its devices' memory.
    pub fn memory_bytes(&self) -> u64 {
        self.sessions().into_iter().map(Session::memory_bytes).sum()
    }

    /// The books of its sessions.
    pub fn ledgers(&self) -> Vec<Rc<Ledger>> {
        self.sessions().into_iter().filter_map(Session::ledger).collect()
    }

    /// The most that its devices' memory held.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.sessions().into_iter().map(|session| session.memory().peak).sum()
    }

    /// Takes the session of a component that came later than the first.
    pub(super) fn add(&mut self, session: Session) -> Result<()> {
        match self {
            Model::ImageText(model) if model.picture_session.is_none() => model.add_pictures(session),
            _ => return Err(Error::Internal("a component came that the model does not have".into())),
        }
        Ok(())
    }

    /// The first, untimed run of the component that came last: drivers finish pipelines only when they are used. What comes out must
    /// be numbers.
    pub(super) async fn warm_up(&mut self, software: bool, cancel: &CancelFlag) -> Result<()> {
        let mut watch = Watch { cancel, on_progress: &mut |_| () };
        match self {
            Model::Speech(model) => model.warm_up(software, &mut watch).await,
            Model::Embedding(model) => model.warm_up(&mut watch).await,
            Model::Text(model) => model.warm_up(&mut watch).await,
            Model::Vision(model) => model.warm_up(&mut watch).await,
            Model::ImageText(model) if model.picture_session.is_none() => model.warm_up_texts(&mut watch).await,
            Model::ImageText(model) => model.warm_up_pictures(&mut watch).await,
        }
    }
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
    /// Text to text.
    T5(t5::Config),
    /// Pictures to labels or vectors.
    Vit(vit::Config),
    /// Pictures and texts compared.
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
            "t5" => Ok(Outline::T5(t5::Config::from_json(&config)?)),
            "clip" => Ok(Outline::Clip(clip::Config::from_json(&config)?)),
            known if vit::Config::MODEL_TYPES.contains(&known) => Ok(Outline::Vit(vit::Config::from_json(&config)?)),
            _ => Ok(Outline::Whisper(whisper::Config::from_json(&config)?)),
        }
    }

    /// What of it is measured.
    pub fn piece(&self) -> &dyn Representative {
        match self {
            Outline::Whisper(config) => config,
            Outline::Bert(config) => config,
            Outline::T5(config) => config,
            Outline::Vit(config) => config,
            Outline::Clip(config) => config,
        }
    }

    /// Tells models of other shapes apart.
    pub fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

/// The known architecture that `config.json` names.
fn architecture(config: &[u8]) -> Result<String> {
    let known = || {
        let several = bert_config::MODEL_TYPES.iter().chain(&vit::Config::MODEL_TYPES).copied();
        ["whisper", "t5", "clip"].into_iter().chain(several)
    };
    match parse("config.json", config)?["model_type"].as_str() {
        Some(named) if known().any(|name| name == named) => Ok(named.into()),
        Some(other) => {
            let known: Vec<&str> = known().collect();
            Err(Error::Unsupported(format!("its architecture is `{other}`; known are {}", known.join(", "))))
        }
        None => Err(Error::Corrupt { file: "config.json".into(), reason: "it names no `model_type`".into() }),
    }
}

/// The small files of a model, read and understood; the header of its weights decides the rest.
pub(super) enum Files {
    Speech(Box<speech::Files>),
    Embedding(embed::Files),
    Text(Box<generate::Files>),
    Vision(Box<vision::Files>),
    ImageText(Box<image_text::Files>),
}

/// A recorded model without its devices.
pub(super) enum Recorded {
    Speech(Box<speech::Recorded>),
    Embedding(embed::Recorded),
    Text(Box<generate::Recorded>),
    Vision(Box<vision::Recorded>),
    ImageText(Box<image_text::Recorded>),
}

impl Files {
    pub(super) async fn read(files: &ModelFiles) -> Result<Self> {
        let config = files.read_required("config.json").await?;
        Ok(match architecture(&config)?.as_str() {
            known if bert_config::MODEL_TYPES.contains(&known) => {
                Files::Embedding(embed::Files::read(files, &config).await?)
            }
            "t5" => Files::Text(Box::new(generate::Files::read(files, &config).await?)),
            "clip" => Files::ImageText(Box::new(image_text::Files::read(files, &config).await?)),
            known if vit::Config::MODEL_TYPES.contains(&known) => {
                Files::Vision(Box::new(vision::Files::read(files, &config).await?))
            }
            _ => Files::Speech(Box::new(speech::Files::read(files, &config).await?)),
        })
    }

    /// Records its graphs; models that decode take `batch_size` inputs at once, the others follow what a run asks for.
    pub(super) fn record(self, recorder: &Recorder, batch_size: usize) -> Result<(Recorded, Vec<Component>)> {
        Ok(match self {
            Files::Speech(files) => {
                let (recorded, components) = files.record(recorder, batch_size)?;
                (Recorded::Speech(Box::new(recorded)), components)
            }
            Files::Embedding(files) => {
                let (recorded, components) = files.record(recorder)?;
                (Recorded::Embedding(recorded), components)
            }
            Files::Text(files) => {
                let (recorded, components) = files.record(recorder, batch_size)?;
                (Recorded::Text(Box::new(recorded)), components)
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
    /// The model over the session of its first component; [`Model::add`] takes the others.
    pub(super) fn on(self, session: Session) -> Model {
        match self {
            Recorded::Speech(recorded) => Model::Speech(Box::new(recorded.on(session))),
            Recorded::Embedding(recorded) => Model::Embedding(Box::new(recorded.on(session))),
            Recorded::Text(recorded) => Model::Text(Box::new(recorded.on(session))),
            Recorded::Vision(recorded) => Model::Vision(Box::new(recorded.on(session))),
            Recorded::ImageText(recorded) => Model::ImageText(Box::new(recorded.on(session))),
        }
    }
}

/// A file of a repository as JSON.
pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::Corrupt { file: file.into(), reason: format!("it is no JSON ({e})") })
}
