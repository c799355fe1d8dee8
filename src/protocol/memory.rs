//! What is in memory now: bytes by purpose, of each loaded model and of the engine as a whole.

use super::{BackendChoice, PipelineId};
use serde::{Deserialize, Serialize};

/// Bytes in backends' memory by purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryBytes {
    /// Weights and constants; of streamed ones those that stay, and the window that the others pass through.
    pub weights: u64,
    /// What outlives a run and changes: caches, positions, inputs and outputs.
    pub states: u64,
    /// Intermediate tensors. Those inside WebNN's graphs are not counted: the browser does not tell.
    pub intermediates: u64,
    /// Parameters of dispatches (uniforms), lists of steps, the threads' scratch.
    pub plans: u64,
    /// Buffers that carry results back.
    pub staging: u64,
    /// All of these.
    pub total: u64,
    /// The most that all of them together have been.
    pub peak: u64,
}

/// What a loaded model holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineMemory {
    /// Which.
    pub pipeline: PipelineId,
    /// Its model's id.
    pub model: String,
    /// Where.
    pub backend: BackendChoice,
    /// How much.
    pub bytes: MemoryBytes,
}

/// What the engine holds. Not in it are compiled pipelines, and what a browser keeps back of writes under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryReport {
    /// Each loaded model.
    pub pipelines: Vec<PipelineMemory>,
    /// All models, those on their way among them, and what is measured or checked just now.
    pub all: MemoryBytes,
    /// The engine's own heap: the size of its wasm memory, which never shrinks. The processor's kernels have memories of their own, which
    /// are counted with the models.
    pub engine_bytes: u64,
}
