//! All that the page and the engine say to each other.
//!
//! The page sends a [`Command`], the worker answers with [`Event`]s. Every command that carries a [`JobId`] gets
//! exactly one closing event with that id ([`Event::is_closing`]), however it ends. Samples, pictures and dropped files travel
//! beside the command and never through serde; weights never cross the boundary at all.

mod gpu_times;
mod hidden;
mod inspection;
mod kernels;
mod load;
mod memory;
pub(crate) mod performance;
mod picture;
mod pipelines;
mod probe;
mod quality;
pub mod reference;
mod run;
mod text;
mod tuning;

pub use gpu_times::*;
pub use hidden::*;
pub use inspection::*;
pub use kernels::*;
pub use load::*;
pub use memory::*;
pub use performance::*;
pub use picture::*;
pub use pipelines::*;
pub use probe::*;
pub use quality::*;
pub use run::*;
pub use text::*;
pub use tuning::*;

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
    /// Load a model; progress by [`Event::LoadProgress`], [`Event::Usable`] when a part of it can be used, closed by
    /// [`Event::Loaded`]. With [`Source::Files`] the files travel beside this command.
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
        /// A loaded model that takes texts.
        pipeline: PipelineId,
        /// The texts.
        texts: Vec<String>,
        /// Most texts that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Read a model's last hidden state for each token of texts; closed by [`Event::HiddenStates`].
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
    /// Find words for the gaps in texts; closed by [`Event::Filled`].
    FillMask {
        /// The job.
        job: JobId,
        /// A loaded model with a head for masked tokens.
        pipeline: PipelineId,
        /// The texts; gaps are written as the model's mask token, see [`PipelineInfo::mask_token`].
        texts: Vec<String>,
        /// Candidates for each gap.
        top_k: u32,
        /// Most texts that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Write a text for each text; news by [`Event::Generating`], closed by [`Event::Generated`].
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
    /// Name what is on the pictures beside this command; closed by [`Event::Classified`].
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
    /// Turn the pictures beside this command into vectors; closed by [`Event::Embedded`].
    EmbedPictures {
        /// The job.
        job: JobId,
        /// A loaded model that takes pictures.
        pipeline: PipelineId,
        /// Most pictures that are computed at once; `None` for what suits the device.
        batch_size: Option<u32>,
    },
    /// Compare the pictures beside this command with texts; closed by [`Event::Matched`].
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
    /// [`Event::LoadProgress`], closed by [`Event::Quality`].
    MeasureQuality {
        /// The job.
        job: JobId,
        /// A loaded model.
        pipeline: PipelineId,
    },
    /// Measure what the GPU can do at best, once in an engine's life; the models that are loaded rest meanwhile. Answered by
    /// [`Event::Roofline`].
    MeasureRoofline {
        /// The job.
        job: JobId,
    },
    /// Measure how fast a kernel is by itself on a backend, once its answer was held against its definition; the models that are loaded
    /// rest meanwhile. What a GPU can do is measured before, where it is not known yet. Closed by [`Event::Kernel`].
    MeasureKernel {
        /// The job.
        job: JobId,
        /// On what.
        backend: BackendChoice,
        /// Which.
        kernel: BenchKernel,
    },
    /// Time the stages of a loaded model, dispatch by dispatch; progress by [`Event::BatchProgress`] in hundredths, closed by
    /// [`Event::Traced`]. What the GPU can do is measured before, where it is not known yet.
    Trace {
        /// The job.
        job: JobId,
        /// A model loaded on a GPU.
        pipeline: PipelineId,
    },
    /// The nodes of a loaded model's graphs; answered by [`Event::Nodes`].
    Nodes {
        /// The job.
        job: JobId,
        /// A model loaded on a GPU or on the processor.
        pipeline: PipelineId,
    },
    /// Hold nodes of a loaded model against their plain definitions; progress by [`Event::BatchProgress`] in hundredths, closed by
    /// [`Event::Inspected`].
    Inspect {
        /// The job.
        job: JobId,
        /// A model loaded on a GPU or on the processor.
        pipeline: PipelineId,
        /// One of those that [`Event::Nodes`] tells.
        graph: String,
        /// Numbers of its nodes; `None` for all.
        nodes: Option<Vec<u32>>,
    },
    /// What is in memory now; answered by [`Event::Memory`] at once, whatever else is under way.
    Memory {
        /// The job.
        job: JobId,
    },
    /// What the GPU worked on since the last asking; answered by [`Event::GpuTimes`].
    GpuTimes {
        /// The job.
        job: JobId,
        /// Whether ordinary runs are timed from now on. At first they are not.
        on: bool,
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
    /// What the tuner found on this GPU, after `forget` is done; answered by [`Event::Tuning`].
    Tuning {
        /// The job.
        job: JobId,
        /// Whether it is thrown away first.
        forget: bool,
    },
    /// The pipelines that were made in this visit, and those that are listed for models used here before; answered by
    /// [`Event::Pipelines`].
    Pipelines {
        /// The job.
        job: JobId,
        /// Whether the list of before is thrown away first.
        forget: bool,
    },
    /// Make listed pipelines now, beside whatever else is under way, so that the next load finds them made; progress by
    /// [`Event::BatchProgress`], closed by [`Event::Pipelines`].
    Precompile {
        /// The job.
        job: JobId,
        /// Which.
        which: Precompile,
    },
    /// Whether everything that the shader compiler says of pipelines is noted from now on, for [`Event::Pipelines`]. Not answered.
    LogCompilation {
        /// Whether.
        on: bool,
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
    /// Answer to [`Command::Tuning`].
    Tuning {
        /// The job.
        job: JobId,
        /// What was found.
        tuning: Tuning,
    },
    /// Answer to [`Command::Pipelines`] and [`Command::Precompile`].
    Pipelines {
        /// The job.
        job: JobId,
        /// What there is.
        manifest: PipelineManifest,
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
    /// A part of a model can be used while the rest still arrives: commands for it are welcome, those that need the rest wait.
    Usable {
        /// The job of the load.
        job: JobId,
        /// The model; its `components` say which part.
        pipeline: PipelineInfo,
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
    /// A run over many inputs went on.
    BatchProgress {
        /// The job.
        job: JobId,
        /// Inputs that are done.
        done: u32,
        /// Inputs in all.
        total: u32,
    },
    /// Answer to [`Command::Embed`] and [`Command::EmbedPictures`].
    Embedded {
        /// The job.
        job: JobId,
        /// One vector for each input, in order; of length 1 unless the model's own are not.
        embeddings: Vec<Vec<f32>>,
        /// How many inputs were longer than the model takes, and were cut.
        n_cut: u32,
        /// Milliseconds from command to answer.
        total_ms: f64,
    },
    /// Answer to [`Command::HiddenStates`].
    HiddenStates {
        /// The job.
        job: JobId,
        /// One for each text, in order.
        states: Vec<HiddenState>,
        /// How many texts were longer than the model takes, and were cut.
        n_cut: u32,
        /// Milliseconds from command to answer.
        total_ms: f64,
    },
    /// Answer to [`Command::FillMask`].
    Filled {
        /// The job.
        job: JobId,
        /// For each text the candidates of its gaps, the most probable of each gap first.
        results: Vec<Vec<MaskCandidate>>,
        /// Milliseconds from command to answer.
        total_ms: f64,
    },
    /// A text grew.
    Generating {
        /// The job.
        job: JobId,
        /// Which of the texts.
        index: u32,
        /// All of it so far.
        text: String,
        /// The tokens behind it that are new since the last event.
        new_tokens: Vec<u32>,
    },
    /// Answer to [`Command::Generate`].
    Generated {
        /// The job.
        job: JobId,
        /// One for each text, in order.
        outputs: Vec<Generation>,
        /// What it took.
        timings: GenerateTimings,
    },
    /// Answer to [`Command::Classify`].
    Classified {
        /// The job.
        job: JobId,
        /// The labels of each picture, the most probable first.
        results: Vec<Vec<LabelScore>>,
        /// Milliseconds from command to answer.
        total_ms: f64,
    },
    /// Answer to [`Command::Match`].
    Matched {
        /// The job.
        job: JobId,
        /// How well they fit.
        matches: Matches,
        /// Milliseconds from command to answer.
        total_ms: f64,
    },
    /// Answer to [`Command::MeasureQuality`].
    Quality {
        /// The job.
        job: JobId,
        /// What it costs.
        report: QualityReport,
    },
    /// Answer to [`Command::MeasureRoofline`].
    Roofline {
        /// The job.
        job: JobId,
        /// What it can do.
        roofline: Roofline,
    },
    /// Answer to [`Command::MeasureKernel`].
    Kernel {
        /// The job.
        job: JobId,
        /// How fast it is.
        figure: KernelFigure,
    },
    /// Answer to [`Command::Trace`].
    Traced {
        /// The job.
        job: JobId,
        /// Where the time goes.
        trace: PipelineTrace,
    },
    /// Answer to [`Command::Nodes`].
    Nodes {
        /// The job.
        job: JobId,
        /// In the order in which they run.
        graphs: Vec<GraphNodes>,
    },
    /// Answer to [`Command::Inspect`].
    Inspected {
        /// The job.
        job: JobId,
        /// What was found.
        inspection: Inspection,
    },
    /// Answer to [`Command::Memory`].
    Memory {
        /// The job.
        job: JobId,
        /// What is there.
        report: MemoryReport,
    },
    /// Answer to [`Command::GpuTimes`].
    GpuTimes {
        /// The job.
        job: JobId,
        /// What it did.
        times: GpuTimes,
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
            | Event::Usable { job, .. }
            | Event::Loaded { job, .. }
            | Event::BatchProgress { job, .. }
            | Event::HiddenStates { job, .. }
            | Event::Filled { job, .. }
            | Event::Generating { job, .. }
            | Event::Generated { job, .. }
            | Event::Classified { job, .. }
            | Event::Matched { job, .. }
            | Event::Quality { job, .. }
            | Event::Roofline { job, .. }
            | Event::Kernel { job, .. }
            | Event::Traced { job, .. }
            | Event::Nodes { job, .. }
            | Event::Inspected { job, .. }
            | Event::Memory { job, .. }
            | Event::GpuTimes { job, .. }
            | Event::Tuning { job, .. }
            | Event::Pipelines { job, .. }
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
                | Event::HiddenStates { .. }
                | Event::Filled { .. }
                | Event::Generated { .. }
                | Event::Classified { .. }
                | Event::Matched { .. }
                | Event::Quality { .. }
                | Event::Roofline { .. }
                | Event::Kernel { .. }
                | Event::Traced { .. }
                | Event::Nodes { .. }
                | Event::Inspected { .. }
                | Event::Memory { .. }
                | Event::GpuTimes { .. }
                | Event::Tuning { .. }
                | Event::Pipelines { .. }
                | Event::MeasurementsForgotten { .. }
                | Event::Failed { .. }
        )
    }
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
