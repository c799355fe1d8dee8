//! All that the page and the engine say to each other.
//!
//! The page sends a [`Command`], the worker answers with [`Event`]s. Every command that carries a [`JobId`] gets
//! exactly one closing event with that id ([`Event::is_closing`]), however it ends. Samples travel beside the command as
//! a transferred `Float32Array` and never through serde; weights never cross the boundary at all.

use serde::{Deserialize, Serialize};

/// Names one thing asked of the engine. The page counts them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub u32);

/// Names a loaded model inside the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PipelineId(pub u32);

/// Page to engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Probe every backend; answered by [`Event::Backends`].
    ProbeBackends {
        /// The job.
        job: JobId,
    },
    /// Test one feature by name (`webgpu`, `webgpu.f16`, `wasm.simd`, ...); answered by [`Event::Feature`].
    TestFeature {
        /// The job.
        job: JobId,
        /// One of [`FEATURES`].
        name: String,
    },
    /// Which models are kept in this browser; answered by [`Event::Cached`].
    ListCached {
        /// The job.
        job: JobId,
    },
    /// Remove a model's files from this browser; answered by [`Event::Cached`].
    RemoveCached {
        /// The job.
        job: JobId,
        /// Model id.
        model: String,
    },
    /// Load a model; progress by [`Event::LoadProgress`], closed by [`Event::Loaded`].
    Load {
        /// The job.
        job: JobId,
        /// What to load and how.
        request: LoadRequest,
    },
    /// Transcribe the samples that travel beside this command (16 kHz, mono). Text comes by [`Event::Tentative`] and
    /// [`Event::Segments`], closed by [`Event::Transcribed`].
    Transcribe {
        /// The job.
        job: JobId,
        /// A loaded Whisper.
        pipeline: PipelineId,
        /// How.
        options: TranscribeOptions,
    },
    /// Begin a recording that is transcribed while it is made. Closed by [`Event::Transcribed`] after [`Command::StreamEnd`].
    StreamStart {
        /// The job.
        job: JobId,
        /// A loaded Whisper.
        pipeline: PipelineId,
        /// How.
        options: TranscribeOptions,
    },
    /// More of that recording: the samples beside this command (16 kHz, mono). Not answered.
    StreamAudio {
        /// The job that [`Command::StreamStart`] began.
        job: JobId,
    },
    /// The recording is complete. The job closes when its text is.
    StreamEnd {
        /// The job that [`Command::StreamStart`] began.
        job: JobId,
    },
    /// Turn texts into unit vectors; closed by [`Event::Embedded`].
    Embed {
        /// The job.
        job: JobId,
        /// A loaded embedding model.
        pipeline: PipelineId,
        /// The texts.
        texts: Vec<String>,
    },
    /// Stop a job (a load too). It closes with [`Event::Failed`] of kind [`FailureKind::Cancelled`].
    Cancel {
        /// The job to stop.
        job: JobId,
    },
    /// Free a loaded model and all its GPU memory. Not answered.
    Dispose {
        /// Which.
        pipeline: PipelineId,
    },
    /// Whether a backend that fails gives way to the next one, at load and in the middle of work (the default), or its
    /// failure is an error. Not answered.
    AllowFallbacks {
        /// Whether.
        allowed: bool,
    },
    /// Forget what was measured to choose backends; the next load with [`BackendChoice::Auto`] measures again. Answered by
    /// [`Event::MeasurementsForgotten`].
    ForgetMeasurements {
        /// The job.
        job: JobId,
    },
}

/// Engine to page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The worker listens. Nothing is sent before this.
    Ready {
        /// The models this engine knows.
        models: Vec<ModelInfo>,
    },
    /// Answer to [`Command::ProbeBackends`].
    Backends {
        /// The job.
        job: JobId,
        /// In the order of the ladder.
        backends: Vec<BackendReport>,
    },
    /// Answer to [`Command::TestFeature`].
    Feature {
        /// The job.
        job: JobId,
        /// The finding.
        report: FeatureReport,
    },
    /// Answer to [`Command::ListCached`] and [`Command::RemoveCached`].
    Cached {
        /// The job.
        job: JobId,
        /// What is kept.
        models: Vec<CachedModel>,
    },
    /// A load went on.
    LoadProgress {
        /// The job.
        job: JobId,
        /// Where it stands, whole.
        progress: LoadProgress,
    },
    /// A load is done.
    Loaded {
        /// The job.
        job: JobId,
        /// The model, ready to run.
        pipeline: PipelineInfo,
    },
    /// A run entered a stage or went on in it.
    RunProgress {
        /// The job.
        job: JobId,
        /// Where it stands.
        progress: RunProgress,
    },
    /// The text of the window in hand so far; the next event of this kind or [`Event::Segments`] replaces it.
    Tentative {
        /// The job.
        job: JobId,
        /// All of it, not only what is new.
        text: String,
        /// The tokens behind it that are new since the last event, timestamps included.
        new_tokens: Vec<u32>,
    },
    /// Finished stretches, in order, each sent once. They replace the tentative text.
    Segments {
        /// The job.
        job: JobId,
        /// The new ones.
        segments: Vec<Segment>,
    },
    /// A transcription is done.
    Transcribed {
        /// The job.
        job: JobId,
        /// All of it, as one value.
        transcript: Transcript,
    },
    /// Answer to [`Command::Embed`].
    Embedded {
        /// The job.
        job: JobId,
        /// One unit vector for each text.
        embeddings: Vec<Vec<f32>>,
        /// Milliseconds from command to answer.
        total_ms: f64,
    },
    /// A loaded model went on to another backend in the middle of this job, which goes on there. [`Event::LoadProgress`] of
    /// the same job came before it.
    Moved {
        /// The job.
        job: JobId,
        /// The pipeline as it is now; its id is the same as before.
        pipeline: PipelineInfo,
        /// What happened, in one sentence.
        reason: String,
    },
    /// Answer to [`Command::ForgetMeasurements`].
    MeasurementsForgotten {
        /// The job.
        job: JobId,
    },
    /// A job ended without a result.
    Failed {
        /// The job.
        job: JobId,
        /// What happened and what to do.
        failure: Failure,
    },
    /// Something worth showing that ends nothing (storage is full, a fallback was taken). Never silent.
    Notice {
        /// The job it belongs to.
        job: JobId,
        /// What happened and what to do.
        failure: Failure,
    },
    /// The GPU went away. Loaded pipelines are gone; jobs in hand close with [`Event::Failed`].
    DeviceLost {
        /// The browser's words.
        reason: String,
    },
}

impl Event {
    /// The job this event belongs to.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Event::Ready { .. } | Event::DeviceLost { .. } => None,
            Event::Backends { job, .. }
            | Event::Feature { job, .. }
            | Event::Cached { job, .. }
            | Event::LoadProgress { job, .. }
            | Event::Loaded { job, .. }
            | Event::RunProgress { job, .. }
            | Event::Tentative { job, .. }
            | Event::Segments { job, .. }
            | Event::Transcribed { job, .. }
            | Event::Embedded { job, .. }
            | Event::Moved { job, .. }
            | Event::MeasurementsForgotten { job }
            | Event::Failed { job, .. }
            | Event::Notice { job, .. } => Some(*job),
        }
    }

    /// Whether this event closes its job.
    pub fn is_closing(&self) -> bool {
        matches!(
            self,
            Event::Backends { .. }
                | Event::Feature { .. }
                | Event::Cached { .. }
                | Event::Loaded { .. }
                | Event::Transcribed { .. }
                | Event::Embedded { .. }
                | Event::MeasurementsForgotten { .. }
                | Event::Failed { .. }
        )
    }
}

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

/// The figures that decided where a model runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredChoice {
    /// The work that the estimates are for, for example `30 s of speech with 40 tokens`.
    pub work: String,
    /// Whether they were measured at an earlier load in this browser.
    pub remembered: bool,
    /// One for each backend that works here, the fastest first.
    pub measurements: Vec<Measurement>,
}

/// How a backend did with a piece of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Which.
    pub backend: BackendChoice,
    /// On what.
    pub adapter: String,
    /// Milliseconds that [`MeasuredChoice::work`] would take, from the piece that was run; `None` where that failed.
    pub estimate_ms: Option<f64>,
    /// Milliseconds that measuring took, compilation included.
    pub spent_ms: f64,
    /// What else there is to say: that it was stopped early, or why it failed. Empty where there is nothing.
    pub note: String,
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

/// What to do with speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpeechTask {
    /// Write it down in its own language.
    #[default]
    Transcribe,
    /// Write it down in English.
    Translate,
}

/// How to transcribe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TranscribeOptions {
    /// Language code (`en`, `de`, ...); `None` detects it.
    pub language: Option<String>,
    /// Transcribe or translate.
    pub task: SpeechTask,
    /// Whether the model writes timestamps. Recordings over 30 s always use them.
    pub timestamps: bool,
    /// Most tokens for one 30 s window.
    pub max_tokens: Option<u32>,
    /// Text that the speech is about or follows, for spelling and style.
    pub prompt: Option<String>,
    /// Whether a window is conditioned on the text before it, as the reference does.
    pub condition_on_previous_text: bool,
    /// Sampling temperatures tried in turn until one passes the reference's thresholds.
    pub temperatures: Vec<f32>,
}

impl Default for TranscribeOptions {
    fn default() -> Self {
        Self {
            language: None,
            task: SpeechTask::Transcribe,
            timestamps: true,
            max_tokens: None,
            prompt: None,
            condition_on_previous_text: true,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
        }
    }
}

/// The stage a run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStage {
    /// Another job is running.
    Queued,
    /// Log-mel features.
    Mel,
    /// The encoder.
    Encode,
    /// Tokens.
    Decode,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunProgress {
    /// The stage.
    pub stage: RunStage,
    /// Share of the stage that is done, 0 to 1, where it is known.
    pub stage_done: Option<f32>,
    /// Seconds of audio whose text is final.
    pub done_s: f64,
    /// Seconds of audio in all, so far.
    pub total_s: f64,
}

/// A finished stretch of text with its times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Seconds from the start of the recording.
    pub start: f64,
    /// Seconds from the start of the recording.
    pub end: f64,
    /// The words, with the model's own leading space.
    pub text: String,
    /// The tokens, timestamps included.
    pub tokens: Vec<u32>,
    /// Mean log-probability of the window's tokens.
    pub avg_logprob: f32,
    /// Probability that the window holds no speech.
    pub no_speech_prob: f32,
    /// The temperature that was accepted.
    pub temperature: f32,
}

/// A whole transcription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The words.
    pub text: String,
    /// Language code, given or detected.
    pub language: String,
    /// Every token of every segment.
    pub tokens: Vec<u32>,
    /// The stretches.
    pub segments: Vec<Segment>,
    /// What it took.
    pub timings: Timings,
    /// What ran it.
    pub backend: BackendChoice,
    /// What ran it, as its driver names it.
    pub adapter: String,
}

/// What a transcription took.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// Length of the recording in seconds.
    pub audio_s: f64,
    /// Log-mel features.
    pub mel_ms: f64,
    /// The encoder and the cross-attention keys and values.
    pub encode_ms: f64,
    /// Prompts and tokens.
    pub decode_ms: f64,
    /// From command to text. Of a live recording: from its end to its text.
    pub total_ms: f64,
    /// From command to the first token.
    pub first_token_ms: f64,
    /// Decoded tokens a second of `decode_ms`.
    pub tokens_per_s: f64,
    /// Seconds of work for a second of audio.
    pub rtf: f64,
}

/// What a backend's probe found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackendReport {
    /// Which.
    pub backend: BackendChoice,
    /// Whether a checked computation succeeded on it.
    pub available: bool,
    /// In one sentence: why or why not.
    pub reason: String,
    /// The adapter, where there is one.
    pub adapter: String,
    /// Whether the adapter computes on the processor.
    pub software: bool,
    /// Its features, each probed.
    pub features: Vec<FeatureReport>,
    /// Milliseconds that the probe took.
    pub probe_ms: f64,
}

/// Names for [`Command::TestFeature`].
pub const FEATURES: &[&str] = &[
    "webgpu",
    "webgpu.hardware",
    "webgpu.limits",
    "webgpu.f16",
    "webgpu.subgroups",
    "webgpu.timestamps",
    "webnn",
    "webnn.cpu",
    "webnn.gpu",
    "webnn.npu",
    "wasm",
    "wasm.simd",
    "wasm.relaxed-simd",
    "wasm.threads",
    "storage",
    "microphone",
];

/// What a feature test found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureReport {
    /// One of [`FEATURES`].
    pub name: String,
    /// Whether it works.
    pub supported: bool,
    /// In one sentence: what was tried and what came of it.
    pub reason: String,
    /// Milliseconds that trying took.
    pub probe_ms: f64,
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

/// Who can do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// No usable backend, or it refused.
    Backend,
    /// The GPU went away.
    DeviceLost,
    /// A backend failed and another one took its place: nothing is lost.
    Fallback,
    /// Memory.
    OutOfMemory,
    /// A download.
    Network,
    /// The browser's storage.
    Storage,
    /// The model's files.
    Model,
    /// What was put in.
    Input,
    /// The microphone.
    Microphone,
    /// The visitor stopped it.
    Cancelled,
    /// A bug of ours.
    Internal,
}

/// What happened and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Who can do something about it.
    pub kind: FailureKind,
    /// What happened, what was expected.
    pub message: String,
    /// What to do; empty where there is nothing.
    pub hint: String,
}
