//! What was found out about this machine: backends, features, and the figures that chose a backend.

use super::BackendChoice;
use serde::{Deserialize, Serialize};

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

/// Names for [`TestFeature`](super::Command::TestFeature).
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
