//! What the page asks of the engine.

use super::{
    BackendChoice, BenchKernel, GenerateOptions, JobId, LoadRequest, PipelineId, Precompile, TranscribeOptions,
};
use serde::{Deserialize, Serialize};

/// Page to engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Probe every backend; answered by [`Event::Backends`](super::Event::Backends).
    ProbeBackends {
        /// The job.
        job: JobId,
    },
    /// Test one feature by name (`webgpu`, `webgpu.f16`, `wasm.simd`, ...); answered by [`Event::Feature`](super::Event::Feature).
    TestFeature {
        /// The job.
        job: JobId,
        /// One of [`FEATURES`](super::FEATURES).
        name: String,
    },
    /// Which models are kept in this browser; answered by [`Event::Cached`](super::Event::Cached).
    ListCached {
        /// The job.
        job: JobId,
    },
    /// Remove a model's files from this browser; answered by [`Event::Cached`](super::Event::Cached).
    RemoveCached {
        /// The job.
        job: JobId,
        /// Model id.
        model: String,
    },
    /// Load a model; progress by [`Event::LoadProgress`](super::Event::LoadProgress), [`Event::Usable`](super::Event::Usable) when a part of it can be used, closed by
    /// [`Event::Loaded`](super::Event::Loaded). With [`Source::Files`](super::Source::Files) the files travel beside this command.
    Load {
        /// The job.
        job: JobId,
        /// What to load and how.
        request: LoadRequest,
    },
    /// Transcribe the samples that travel beside this command (16 kHz, mono). Text comes by [`Event::Tentative`](super::Event::Tentative) and
    /// [`Event::Segments`](super::Event::Segments), closed by [`Event::Transcribed`](super::Event::Transcribed).
    Transcribe {
        /// The job.
        job: JobId,
        /// A loaded Whisper.
        pipeline: PipelineId,
        /// How.
        options: TranscribeOptions,
    },
    /// Begin a recording that is transcribed while it is made. Closed by [`Event::Transcribed`](super::Event::Transcribed) after [`Command::StreamEnd`].
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
    /// Turn texts into unit vectors; closed by [`Event::Embedded`](super::Event::Embedded).
    Embed {
        /// The job.
        job: JobId,
        /// A loaded model that takes texts.
        pipeline: PipelineId,
        /// The texts.
        texts: Vec<String>,
        /// Most texts that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Read a model's last hidden state for each token of texts; closed by [`Event::HiddenStates`](super::Event::HiddenStates).
    HiddenStates {
        /// The job.
        job: JobId,
        /// A loaded encoder of texts.
        pipeline: PipelineId,
        /// The texts.
        texts: Vec<String>,
        /// Most texts that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Find words for the gaps in texts; closed by [`Event::Filled`](super::Event::Filled).
    FillMask {
        /// The job.
        job: JobId,
        /// A loaded model with a head for masked tokens.
        pipeline: PipelineId,
        /// The texts; gaps are written as the model's mask token, see [`PipelineInfo::mask_token`](super::PipelineInfo::mask_token).
        texts: Vec<String>,
        /// Candidates for each gap.
        top_k: u32,
        /// Most texts that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Write a text for each text; news by [`Event::Generating`](super::Event::Generating), closed by [`Event::Generated`](super::Event::Generated).
    Generate {
        /// The job.
        job: JobId,
        /// A loaded text-to-text model.
        pipeline: PipelineId,
        /// The texts.
        texts: Vec<String>,
        /// How.
        options: GenerateOptions,
    },
    /// Name what is on the pictures beside this command; closed by [`Event::Classified`](super::Event::Classified).
    Classify {
        /// The job.
        job: JobId,
        /// A loaded classifier.
        pipeline: PipelineId,
        /// Labels for each picture.
        top_k: u32,
        /// Most pictures that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Turn the pictures beside this command into vectors; closed by [`Event::Embedded`](super::Event::Embedded).
    EmbedPictures {
        /// The job.
        job: JobId,
        /// A loaded model that takes pictures.
        pipeline: PipelineId,
        /// Most pictures that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Compare the pictures beside this command with texts; closed by [`Event::Matched`](super::Event::Matched).
    Match {
        /// The job.
        job: JobId,
        /// A loaded image-text model.
        pipeline: PipelineId,
        /// The texts.
        texts: Vec<String>,
        /// Most pictures that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Find out what a loaded model's precision costs: its answers to built-in samples beside those of the same model in f32, which is
    /// loaded for it on the same backend. For a speech model the clip travels beside this command. Progress by
    /// [`Event::LoadProgress`](super::Event::LoadProgress), closed by [`Event::Quality`](super::Event::Quality).
    MeasureQuality {
        /// The job.
        job: JobId,
        /// A loaded model.
        pipeline: PipelineId,
    },
    /// Measure what the GPU can do at best, once in an engine's life; the models that are loaded rest meanwhile. Answered by
    /// [`Event::Roofline`](super::Event::Roofline).
    MeasureRoofline {
        /// The job.
        job: JobId,
    },
    /// Measure how fast a kernel is by itself on a backend, once its answer was held against its definition; the models that are loaded
    /// rest meanwhile. What a GPU can do is measured before, where it is not known yet. Closed by [`Event::Kernel`](super::Event::Kernel).
    MeasureKernel {
        /// The job.
        job: JobId,
        /// On what.
        backend: BackendChoice,
        /// Which.
        kernel: BenchKernel,
    },
    /// Time the stages of a loaded model, dispatch by dispatch; progress by [`Event::BatchProgress`](super::Event::BatchProgress) in hundredths, closed by
    /// [`Event::Traced`](super::Event::Traced). What the GPU can do is measured before, where it is not known yet.
    Trace {
        /// The job.
        job: JobId,
        /// A model loaded on a GPU.
        pipeline: PipelineId,
    },
    /// The nodes of a loaded model's graphs; answered by [`Event::Nodes`](super::Event::Nodes).
    Nodes {
        /// The job.
        job: JobId,
        /// A model loaded on a GPU or on the processor.
        pipeline: PipelineId,
    },
    /// Hold nodes of a loaded model against their plain definitions; progress by [`Event::BatchProgress`](super::Event::BatchProgress) in hundredths, closed by
    /// [`Event::Inspected`](super::Event::Inspected).
    Inspect {
        /// The job.
        job: JobId,
        /// A model loaded on a GPU or on the processor.
        pipeline: PipelineId,
        /// One of those that [`Event::Nodes`](super::Event::Nodes) tells.
        graph: String,
        /// Numbers of its nodes; `None` for all.
        nodes: Option<Vec<u32>>,
    },
    /// What is in memory now; answered by [`Event::Memory`](super::Event::Memory) at once, whatever else is under way.
    Memory {
        /// The job.
        job: JobId,
    },
    /// What the GPU worked on since the last asking; answered by [`Event::GpuTimes`](super::Event::GpuTimes).
    GpuTimes {
        /// The job.
        job: JobId,
        /// Whether ordinary runs are timed from now on. At first they are not.
        on: bool,
    },
    /// Stop a job (a load too). It closes with [`Event::Failed`](super::Event::Failed) of kind [`FailureKind::Cancelled`](super::FailureKind::Cancelled).
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
    /// [`Event::MeasurementsForgotten`](super::Event::MeasurementsForgotten).
    ForgetMeasurements {
        /// The job.
        job: JobId,
    },
    /// What the tuner found on this GPU, after `forget` is done; answered by [`Event::Tuning`](super::Event::Tuning).
    Tuning {
        /// The job.
        job: JobId,
        /// Whether it is thrown away first.
        forget: bool,
    },
    /// The pipelines that were made in this visit, and those that are listed for models used here before; answered by
    /// [`Event::Pipelines`](super::Event::Pipelines).
    Pipelines {
        /// The job.
        job: JobId,
        /// Whether the list of before is thrown away first.
        forget: bool,
    },
    /// Make listed pipelines now, beside whatever else is under way, so that the next load finds them made; progress by
    /// [`Event::BatchProgress`](super::Event::BatchProgress), closed by [`Event::Pipelines`](super::Event::Pipelines).
    Precompile {
        /// The job.
        job: JobId,
        /// Which.
        which: Precompile,
    },
    /// Whether everything that the shader compiler says of pipelines is noted from now on, for [`Event::Pipelines`](super::Event::Pipelines). Not answered.
    LogCompilation {
        /// Whether.
        on: bool,
    },
}
