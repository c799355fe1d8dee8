//! What the engine says to the page.

use super::{
    BackendReport, CachedModel, Failure, FeatureReport, GenerateTimings, Generation, GpuTimes, GraphNodes, HiddenState,
    Inspection, JobId, KernelFigure, LabelScore, LoadProgress, MaskCandidate, Matches, MemoryReport, ModelInfo,
    PipelineInfo, PipelineManifest, PipelineTrace, QualityReport, Roofline, RunProgress, Segment, Transcript, Tuning,
};
use serde::{Deserialize, Serialize};

/// Engine to page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The worker listens. Nothing is sent before this.
    Ready {
        /// The models this engine knows.
        models: Vec<ModelInfo>,
    },
    /// Answer to [`Command::ProbeBackends`](super::Command::ProbeBackends).
    Backends {
        /// The job.
        job: JobId,
        /// In the order of the ladder.
        backends: Vec<BackendReport>,
    },
    /// Answer to [`Command::TestFeature`](super::Command::TestFeature).
    Feature {
        /// The job.
        job: JobId,
        /// The finding.
        report: FeatureReport,
    },
    /// Answer to [`Command::Tuning`](super::Command::Tuning).
    Tuning {
        /// The job.
        job: JobId,
        /// What was found.
        tuning: Tuning,
    },
    /// Answer to [`Command::Pipelines`](super::Command::Pipelines) and [`Command::Precompile`](super::Command::Precompile).
    Pipelines {
        /// The job.
        job: JobId,
        /// What there is.
        manifest: PipelineManifest,
    },
    /// Answer to [`Command::ListCached`](super::Command::ListCached) and [`Command::RemoveCached`](super::Command::RemoveCached).
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
    /// Answer to [`Command::Embed`](super::Command::Embed) and [`Command::EmbedPictures`](super::Command::EmbedPictures).
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
    /// Answer to [`Command::HiddenStates`](super::Command::HiddenStates).
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
    /// Answer to [`Command::FillMask`](super::Command::FillMask).
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
    /// Answer to [`Command::Generate`](super::Command::Generate).
    Generated {
        /// The job.
        job: JobId,
        /// One for each text, in order.
        outputs: Vec<Generation>,
        /// What it took.
        timings: GenerateTimings,
    },
    /// Answer to [`Command::Classify`](super::Command::Classify).
    Classified {
        /// The job.
        job: JobId,
        /// The labels of each picture, the most probable first.
        results: Vec<Vec<LabelScore>>,
        /// Milliseconds from command to answer.
        total_ms: f64,
    },
    /// Answer to [`Command::Match`](super::Command::Match).
    Matched {
        /// The job.
        job: JobId,
        /// How well they fit.
        matches: Matches,
        /// Milliseconds from command to answer.
        total_ms: f64,
    },
    /// Answer to [`Command::MeasureQuality`](super::Command::MeasureQuality).
    Quality {
        /// The job.
        job: JobId,
        /// What it costs.
        report: QualityReport,
    },
    /// Answer to [`Command::MeasureRoofline`](super::Command::MeasureRoofline).
    Roofline {
        /// The job.
        job: JobId,
        /// What it can do.
        roofline: Roofline,
    },
    /// Answer to [`Command::MeasureKernel`](super::Command::MeasureKernel).
    Kernel {
        /// The job.
        job: JobId,
        /// How fast it is.
        figure: KernelFigure,
    },
    /// Answer to [`Command::Trace`](super::Command::Trace).
    Traced {
        /// The job.
        job: JobId,
        /// Where the time goes.
        trace: PipelineTrace,
    },
    /// Answer to [`Command::Nodes`](super::Command::Nodes).
    Nodes {
        /// The job.
        job: JobId,
        /// In the order in which they run.
        graphs: Vec<GraphNodes>,
    },
    /// Answer to [`Command::Inspect`](super::Command::Inspect).
    Inspected {
        /// The job.
        job: JobId,
        /// What was found.
        inspection: Inspection,
    },
    /// Answer to [`Command::Memory`](super::Command::Memory).
    Memory {
        /// The job.
        job: JobId,
        /// What is there.
        report: MemoryReport,
    },
    /// Answer to [`Command::GpuTimes`](super::Command::GpuTimes).
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
    /// Answer to [`Command::ForgetMeasurements`](super::Command::ForgetMeasurements).
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
