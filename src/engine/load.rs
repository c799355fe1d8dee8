//! From a model's files to a model that runs: header, graphs, pipelines, then the weights as they arrive.

use super::embed::EmbeddingModel;
use super::graph::{Program, Recorder};
use super::ladder::Choice;
use super::measure::Representative;
use super::models::bert::{self, Bert};
use super::models::whisper::{self, Whisper};
use super::ops::decode_state::DecodeState;
use super::session::{Session, Watch};
use super::text::{Tokenizer, WhisperTokens};
use super::transcribe::SpeechModel;
use super::upload::Uploader;
use super::weights::{Checkpoint, FileStream, ModelFiles, TensorStream};
use super::{CancelFlag, Error, Result, edge};
use crate::protocol::{LoadPhase, LoadTimings};
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
    /// Its graphs on a device.
    pub fn session(&self) -> &Session {
        match self {
            Model::Speech(model) => &model.session,
            Model::Embedding(model) => &model.session,
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

/// A recorded model without its device.
enum Recorded {
    Whisper(Box<Whisper>, Tokenizer, Box<WhisperTokens>),
    Bert(Bert, Tokenizer, Option<usize>),
}

/// The small files, read and understood; the header decides the rest.
enum Kind {
    Whisper(whisper::Config, Tokenizer, WhisperTokens),
    Bert(bert::Config, Tokenizer, Option<usize>),
}

/// A model's configuration: enough to know what a piece of it costs, before anything large is fetched.
#[derive(Debug)]
pub enum Outline {
    /// Speech to text.
    Whisper(whisper::Config),
    /// Text to vectors.
    Bert(bert::Config),
}

impl Outline {
    /// Reads `config.json`.
    pub async fn read(files: &ModelFiles) -> Result<Self> {
        let config = files.read_required("config.json").await?;
        match architecture(&config)?.as_str() {
            "bert" => Ok(Outline::Bert(bert::Config::from_json(&config)?)),
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
        Some(known @ ("whisper" | "bert")) => Ok(known.into()),
        Some(other) => {
            Err(Error::Unsupported(format!("its architecture is `{other}`; known are `whisper` and `bert`")))
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
    let kind = Kind::read(files).await?;
    let mut stream = files.open(WEIGHTS).await?;
    on_step(LoadStep::Phase(LoadPhase::Download));
    let mut tensors = TensorStream::new(WEIGHTS, stream.total_bytes());
    let checkpoint = header(&mut stream, &mut tensors, cancel).await?;

    // Names and shapes are checked now, before the weights have crossed the network.
    let (program, recorded) = kind.record(checkpoint, choice)?;
    let mut uploader = Uploader::new(&program);
    let compile_start = edge::Instant::now();
    let mut on_pipeline = |made, all| on_step(LoadStep::Pipelines(made, all));
    let mut session = Session::compile(&choice.device, program, &mut on_pipeline).await?;
    let mut timings = LoadTimings { compile_ms: edge::ms_since(compile_start), ..Default::default() };

    let download_start = edge::Instant::now();
    let mut uploaded = 0;
    loop {
        while let Some(part) = tensors.next_part() {
            uploader.part(&part, &mut session)?;
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
    uploader.finish()?;
    timings.download_ms = edge::ms_since(download_start);

    on_step(LoadStep::Phase(LoadPhase::WarmUp));
    let warm_up_start = edge::Instant::now();
    let mut model = recorded.on(session);
    warm_up(&mut model, choice.software, cancel).await?;
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

impl Kind {
    async fn read(files: &ModelFiles) -> Result<Self> {
        let config = files.read_required("config.json").await?;
        let architecture = architecture(&config)?;
        let tokenizer = Tokenizer::from_json(&files.read_required("tokenizer.json").await?)?;
        if architecture == "bert" {
            let sentence = match files.read("sentence_bert_config.json").await? {
                Some(bytes) => parse("sentence_bert_config.json", &bytes)?,
                None => Value::Null,
            };
            let max_tokens = sentence["max_seq_length"].as_u64().map(|n| n as usize);
            return Ok(Kind::Bert(bert::Config::from_json(&config)?, tokenizer, max_tokens));
        }
        let generation = match files.read("generation_config.json").await? {
            Some(bytes) => parse("generation_config.json", &bytes)?,
            None => Value::Null,
        };
        let tokens = WhisperTokens::new(&tokenizer, &generation)?;
        Ok(Kind::Whisper(whisper::Config::from_json(&config)?, tokenizer, tokens))
    }

    fn record(self, checkpoint: Rc<Checkpoint>, choice: &Choice) -> Result<(Program, Recorded)> {
        let recorder = Recorder::new(checkpoint, choice.record_options());
        let recorded = match self {
            Kind::Whisper(config, tokenizer, tokens) => {
                let whisper = Whisper::record(&recorder, config, &tokens)?;
                Recorded::Whisper(Box::new(whisper), tokenizer, Box::new(tokens))
            }
            Kind::Bert(config, tokenizer, max_tokens) => {
                Recorded::Bert(Bert::record(&recorder, config)?, tokenizer, max_tokens)
            }
        };
        Ok((recorder.finish(), recorded))
    }
}

impl Recorded {
    fn on(self, session: Session) -> Model {
        match self {
            Recorded::Whisper(whisper, tokenizer, tokens) => {
                Model::Speech(Box::new(SpeechModel::new(session, *whisper, tokenizer, *tokens)))
            }
            Recorded::Bert(bert, tokenizer, max_tokens) => {
                Model::Embedding(Box::new(EmbeddingModel::new(session, bert, tokenizer, max_tokens)))
            }
        }
    }
}

fn parse(file: &str, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::Corrupt { file: file.into(), reason: format!("it is no JSON ({e})") })
}

/// The first, untimed run: drivers finish pipelines only when they are used. What comes out must be numbers.
async fn warm_up(model: &mut Model, software: bool, cancel: &CancelFlag) -> Result<()> {
    let mut watch = Watch { cancel, on_progress: &mut |_| () };
    match model {
        Model::Speech(model) => {
            let whisper = model.whisper.clone();
            // Before the prompt, so that what the decoder does not need is let go first.
            model.session.prepare(whisper.mel).await?;
            model.session.prepare(whisper.encoder).await?;
            if !software {
                // On a processor this alone would take as long as the first recording.
                model.session.run_watched(whisper.mel, &mut watch).await?;
                model.session.run_watched(whisper.encoder, &mut watch).await?;
            }
            let begin = DecodeState { n_rows: 1, sample_begin: 1, limit: 3, ..bytemuck::Zeroable::zeroed() };
            model.session.write(whisper.state, 0, bytemuck::bytes_of(&begin))?;
            let runs: Vec<_> =
                whisper.prompts.first().map(|&(_, graph)| (graph, 1)).into_iter().chain([(whisper.step, 1)]).collect();
            let bytes = model.session.submit(&runs, &[whisper.logits], &mut watch).await?.wait().await?.remove(0);
            check_logits(&bytemuck::pod_collect_to_vec(&bytes))
        }
        Model::Embedding(model) => model.embed(&["warm up".to_string()], &mut watch).await.map(|_| ()),
    }
}

/// Logits that are all the same, or no numbers, come from a GPU that does not compute.
fn check_logits(logits: &[f32]) -> Result<()> {
    let what = || "logits of the first run".to_string();
    if let Some(bad) = logits.iter().find(|l| !l.is_finite()) {
        return Err(Error::Numerics { what: what(), reason: format!("one is {bad}") });
    }
    if logits.windows(2).all(|pair| pair[0] == pair[1]) {
        return Err(Error::Numerics { what: what(), reason: "all are the same".into() });
    }
    Ok(())
}
