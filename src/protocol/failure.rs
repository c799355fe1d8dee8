//! What went wrong, as people are told.

use serde::{Deserialize, Serialize};

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
