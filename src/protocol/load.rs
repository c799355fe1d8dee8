//! Loads: which models there are, what to load and how, how far it is, and what was loaded.

use super::{MeasuredChoice, PipelineId};
use serde::{Deserialize, Serialize};

/// What kind of task a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Recording in, text out.
    SpeechToText,
    /// Text in, unit vector out.
    TextEmbedding,
}

/// A model that the page can offer before anything is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Folder name under the models folder, for example `whisper-tiny.en`.
    pub id: String,
    /// For people, for example `Whisper tiny (English)`.
    pub title: String,
    /// One sentence: what it is good for.
    pub summary: String,
    /// What it does.
    pub task: Task,
    /// Whether it knows other languages than English.
    pub multilingual: bool,
    /// Download size in bytes.
    pub size_bytes: u64,
    /// Licence of the weights.
    pub licence: String,
    /// `owner/name` on the model hub.
    pub hub_id: String,
    /// Whether the page loads it when the visitor has chosen nothing.
    pub default: bool,
}

/// Which backend runs a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    /// The one that a measured piece of the model ran fastest on.
    #[default]
    Auto,
    /// WGSL kernels through WebGPU (natively: Vulkan).
    WebGpu,
    /// The browser's neural-network API.
    WebNn,
    /// The processor.
    Wasm,
}

/// Width of weights and intermediate tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// f32 arithmetic and storage; weights stay as the checkpoint has them.
    #[default]
    F32,
    /// f16 storage and arithmetic where the adapter has `shader-f16`; sums stay f32.
    F16,
    /// Weights of linear maps as int8 in groups of 32 with an f16 scale each; arithmetic in f32. On the processor alone.
    Int8,
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The app's own `models/` folder, then the model hub.
    #[default]
    Auto,
    /// Only the app's own `models/` folder.
    Own,
    /// Only the model hub.
    Hub,
    /// A folder that holds the model folders.
    Url(String),
}

/// What to load and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// A [`ModelInfo::id`].
    pub model: String,
    /// Which backend.
    pub backend: BackendChoice,
    /// Which precision.
    pub precision: Precision,
    /// Where from.
    pub source: Source,
    /// Bytes fetched with one range request.
    pub chunk_bytes: u32,
    /// Threads of the processor; `None` for one on each of its cores.
    pub threads: Option<u32>,
}

impl LoadRequest {
    /// Default size of one range request: large enough for speed, small enough for smooth progress.
    pub const DEFAULT_CHUNK_BYTES: u32 = 4 << 20;

    /// `model` with the defaults for everything else.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            backend: BackendChoice::Auto,
            precision: Precision::F32,
            source: Source::Auto,
            chunk_bytes: Self::DEFAULT_CHUNK_BYTES,
            threads: None,
        }
    }
}

/// What a load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadPhase {
    /// Finding the files and the backend.
    Prepare,
    /// Receiving bytes; each tensor goes to the GPU as soon as it is complete.
    Download,
    /// Checking hashes and shapes.
    Verify,
    /// Making pipelines.
    Compile,
    /// The first, untimed run.
    WarmUp,
}

/// One file of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileProgress {
    /// File name.
    pub name: String,
    /// Bytes here.
    pub received_bytes: u64,
    /// Bytes in all, 0 while unknown.
    pub total_bytes: u64,
    /// Whether they came from this browser's own store.
    pub cached: bool,
}

/// Where a load stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadProgress {
    /// What it is doing now.
    pub phase: LoadPhase,
    /// Every file.
    pub files: Vec<FileProgress>,
    /// Bytes a second over the last seconds; 0 where nothing is being received.
    pub bytes_per_s: f64,
    /// Pipelines made and in all.
    pub pipelines: (u32, u32),
    /// Bytes now in the backend's memory.
    pub uploaded_bytes: u64,
    /// Milliseconds since the load began.
    pub elapsed_ms: f64,
}

/// A model that is ready to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineInfo {
    /// Its name in commands.
    pub id: PipelineId,
    /// The model.
    pub model: ModelInfo,
    /// `webgpu` or `wasm`: what runs it in fact.
    pub backend: BackendChoice,
    /// What was given, after what the adapter allows.
    pub precision: Precision,
    /// The GPU or processor, as its driver names it.
    pub adapter: String,
    /// Whether the adapter computes on the processor.
    pub software: bool,
    /// Why this backend and precision, in one sentence.
    pub reason: String,
    /// What was measured to choose the backend; `None` where there was nothing to choose.
    pub measured: Option<MeasuredChoice>,
    /// Language codes that the model knows (empty for models without languages).
    pub languages: Vec<String>,
    /// Bytes in the backend's memory.
    pub memory_bytes: u64,
    /// Milliseconds by phase.
    pub timings: LoadTimings,
    /// Dispatches of one decoded token (0 where nothing is decoded).
    pub dispatches_per_token: u32,
}

/// Milliseconds of a load by phase.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct LoadTimings {
    /// Receiving or reading the files.
    pub download_ms: f64,
    /// Making pipelines.
    pub compile_ms: f64,
    /// The first, untimed run.
    pub warm_up_ms: f64,
    /// From command to ready.
    pub total_ms: f64,
}

/// A model kept in this browser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CachedModel {
    /// Model id.
    pub model: String,
    /// Whether every file is there, so that it loads without the network.
    pub complete: bool,
    /// Bytes kept.
    pub bytes: u64,
}
