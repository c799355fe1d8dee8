//! Loads: which models there are, what to load and how, how far it is, and what was loaded.

use super::{KernelLevel, MeasuredChoice, PipelineId};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// What kind of task a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Recording in, text out.
    SpeechToText,
    /// Text in, unit vector out.
    TextEmbedding,
    /// Text with a gap in, words for the gap out.
    FillMask,
    /// Text in, text out.
    TextToText,
    /// Picture in, labels out.
    ImageClassification,
    /// Picture in, vector out.
    ImageFeatures,
    /// Pictures and texts in, how well each fits each out.
    ImageText,
}

impl Task {
    /// Every task.
    pub const ALL: [Task; 7] = [
        Task::SpeechToText,
        Task::TextEmbedding,
        Task::FillMask,
        Task::TextToText,
        Task::ImageClassification,
        Task::ImageFeatures,
        Task::ImageText,
    ];
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
    /// Weights of linear maps as int8 in groups of 32 with an f16 scale each; arithmetic in f32.
    Int8,
    /// The same with four bits.
    Int4,
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
    /// The files that travel beside the command: dropped on the page, or picked.
    Files,
}

/// What to load and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// A [`ModelInfo::id`], `owner/name` of a repository on the model hub, the address of a folder, or a name for dropped files.
    pub model: String,
    /// Which backend.
    pub backend: BackendChoice,
    /// Which precision.
    pub precision: Precision,
    /// Where from.
    pub source: Source,
    /// Bytes fetched with one range request, within [`LoadRequest::CHUNK_BYTES`].
    pub chunk_bytes: u32,
    /// Threads of the processor; `None` for one on each of its cores.
    pub threads: Option<u32>,
    /// How memory is spent, 0 to 3: see [`MemoryLevel`].
    pub memory_level: MemoryLevel,
    /// Most MB (10^6 bytes) that the model may take on its device; `None` for as much as the device gives.
    pub memory_budget_mb: Option<u32>,
    /// How many byte ranges are received at once: at most [`LoadRequest::MOST_PARALLEL`], and no more than
    /// [`LoadRequest::MOST_BYTES_AT_ONCE`] together.
    pub parallel_components: u32,
    /// How many inputs a model that decodes takes at once: windows of a long recording, texts to answer; 1 to
    /// [`LoadRequest::MOST_BATCH`]. Each costs memory for its keys and values. On WebNN it is always 1.
    pub batch_size: u32,
    /// How far a GPU's kernels go, 0 to 3.
    pub kernel_level: KernelLevel,
    /// Whether the versions of its kernels that were not tried on this GPU are tried now, which takes some seconds, once.
    pub tune: bool,
}

/// How memory is spent: the higher, the less of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum MemoryLevel {
    /// Every intermediate tensor keeps a buffer of its own.
    KeepAll,
    /// Intermediate tensors that do not live at the same time share buffers.
    #[default]
    Share,
    /// As [`MemoryLevel::Share`], with weights in int8 where nothing smaller is asked for.
    Quantize,
    /// Weights pass layer by layer through a small window of memory: a model larger than the budget runs, slowly.
    Stream,
}

impl From<MemoryLevel> for u8 {
    fn from(level: MemoryLevel) -> u8 {
        level as u8
    }
}

impl TryFrom<u8> for MemoryLevel {
    type Error = String;

    fn try_from(level: u8) -> Result<Self, String> {
        [Self::KeepAll, Self::Share, Self::Quantize, Self::Stream]
            .into_iter()
            .find(|known| *known as u8 == level)
            .ok_or_else(|| format!("there is no memory level {level}; the levels are 0 to 3"))
    }
}

impl LoadRequest {
    /// Bytes of one range request, the least and the most: smaller ones are more work for the server than for the line, larger ones only
    /// take memory.
    pub const CHUNK_BYTES: RangeInclusive<u32> = 64 << 10..=16 << 20;

    /// Most byte ranges received at once: browsers open no more connections to a server.
    pub const MOST_PARALLEL: u32 = 6;

    /// Most bytes received at once, by all ranges together: so much of a load the engine's own heap may hold.
    pub const MOST_BYTES_AT_ONCE: u32 = 32 << 20;

    /// The same with ranges of sizes and in numbers that a load keeps to, whatever was asked for.
    pub fn within_limits(self) -> Self {
        let chunk_bytes = self.chunk_bytes.clamp(*Self::CHUNK_BYTES.start(), *Self::CHUNK_BYTES.end());
        let parallel_components = Self::parallel(chunk_bytes, self.parallel_components);
        Self { chunk_bytes, parallel_components, ..self }
    }

    /// How many of `asked` ranges of so many bytes are received at once.
    pub fn parallel(chunk_bytes: u32, asked: u32) -> u32 {
        asked.min(Self::MOST_PARALLEL).min(Self::MOST_BYTES_AT_ONCE / chunk_bytes.max(1)).max(1)
    }

    /// Byte ranges received at once: browsers open at most six connections to a server.
    pub const DEFAULT_PARALLEL: u32 = 3;

    /// Most inputs that are decoded at once.
    pub const MOST_BATCH: u32 = 32;

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
            memory_level: MemoryLevel::default(),
            memory_budget_mb: None,
            parallel_components: Self::DEFAULT_PARALLEL,
            batch_size: 1,
            kernel_level: KernelLevel::default(),
            tune: false,
        }
    }
}

/// What a load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadPhase {
    /// Finding the files and the backend.
    Prepare,
    /// Trying versions of kernels.
    Tune,
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
    /// Bytes here, from wherever they came.
    pub received_bytes: u64,
    /// Those of them that came over the network, in this load.
    pub fetched_bytes: u64,
    /// Bytes that are neither here nor in this browser's own store.
    pub to_fetch_bytes: u64,
    /// Bytes in all, 0 while unknown.
    pub total_bytes: u64,
    /// Whether they came from this browser's own store.
    pub cached: bool,
}

/// A part of a model that is loaded by itself, such as one tower of CLIP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentProgress {
    /// For people: `text`, `pictures`.
    pub name: String,
    /// Bytes of its weights here.
    pub received_bytes: u64,
    /// Bytes of its weights in all.
    pub total_bytes: u64,
    /// Whether it can be used.
    pub ready: bool,
}

/// Where a load stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadProgress {
    /// What it is doing now.
    pub phase: LoadPhase,
    /// Every file.
    pub files: Vec<FileProgress>,
    /// Every part of the model, the one that is needed first in front; empty until the header is known.
    pub components: Vec<ComponentProgress>,
    /// Bytes a second over the network, in the last seconds; 0 where nothing is being received.
    pub bytes_per_s: f64,
    /// Seconds until the last byte that has to cross the network, at this rate; `None` where nothing is known of it.
    pub time_left_s: Option<f64>,
    /// Pipelines made and in all.
    pub pipelines: (u32, u32),
    /// Bytes of weights that were written to the backend's memory so far, in the form in which it holds them; those that are streamed
    /// are not among them.
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
    /// How a gap is written in a text, where the model fills gaps.
    pub mask_token: Option<String>,
    /// Bytes in the backend's memory at the end of the load; [`Command::Memory`](super::Command::Memory) asks for those of now.
    pub memory_bytes: u64,
    /// Most bytes that the load held at once: the backend's memory and the engine's own.
    pub peak_bytes: u64,
    /// What was given of the memory level that was asked for.
    pub memory_level: MemoryLevel,
    /// How many inputs are decoded at once; 1 for a model that decodes nothing.
    pub batch_size: u32,
    /// The parts of the model that can be used by now.
    pub components: Vec<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_asks_for_more_at_once_than_a_load_may_hold() {
        let given = |chunk_bytes, parallel_components| {
            let asked = LoadRequest { chunk_bytes, parallel_components, ..LoadRequest::new("m") };
            let LoadRequest { chunk_bytes, parallel_components, .. } = asked.within_limits();
            (chunk_bytes, parallel_components)
        };
        assert_eq!(given(LoadRequest::DEFAULT_CHUNK_BYTES, LoadRequest::DEFAULT_PARALLEL), (4 << 20, 3));
        assert_eq!(given(u32::MAX, u32::MAX), (16 << 20, 2));
        assert_eq!(given(4 << 20, 100), (4 << 20, 6));
        assert_eq!(given(0, 0), (64 << 10, 1));
        assert_eq!(LoadRequest::parallel(64 << 20, 6), 1, "what an earlier version kept in larger pieces");
    }
}
