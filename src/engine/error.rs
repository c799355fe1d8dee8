//! The engine's one error type: what happened, what was expected, what to do.

use crate::protocol::reference::NoReference;
use crate::protocol::{Failure, FailureKind};

/// What the engine's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// How to name one of several inputs in an error: `text 3 of 12`; `the text` where there is one.
pub(super) fn which(kind: &str, idx: usize, total: usize) -> String {
    if total == 1 { format!("the {kind}") } else { format!("{kind} {} of {total}", idx + 1) }
}

/// Everything that can go wrong in the engine, grouped by who can do something about it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    // ---- the machine
    /// The feature test for a backend failed; the page offers the next rung.
    #[error("{backend} cannot be used here: {reason}")]
    BackendUnavailable {
        /// `webgpu`, `webnn` or `wasm`.
        backend: &'static str,
        /// What the probe found.
        reason: String,
    },
    /// The GPU refused an object or a command.
    #[error("the GPU refused `{label}`: {message}")]
    Gpu {
        /// Label of the buffer, pipeline or plan.
        label: String,
        /// The browser's or driver's message.
        message: String,
    },
    /// The GPU device went away (driver reset, tab asleep, card removed).
    #[error("the GPU was lost: {0}")]
    DeviceLost(String),
    /// An allocation failed or would exceed a limit.
    #[error("not enough memory for `{label}`: {needed_bytes} bytes needed, {limit_bytes} allowed")]
    OutOfMemory {
        /// What was to be allocated.
        label: String,
        /// Bytes asked for.
        needed_bytes: u64,
        /// The limit that stands in the way.
        limit_bytes: u64,
    },
    /// An allocation was refused without figures.
    #[error("{what} has no memory left: {reason}")]
    Exhausted {
        /// Whose memory.
        what: String,
        /// The browser's or driver's message.
        reason: String,
    },
    /// The model takes more than it may.
    #[error("the model does not fit into {budget_mb} MB: it takes {figures}. {hint}")]
    Budget {
        /// What it may take.
        budget_mb: u64,
        /// What it takes, by memory level.
        figures: String,
        /// What would make it fit.
        hint: String,
    },
    /// Weights are to be streamed, and there is no place outside of memory where they could lie meanwhile.
    #[error("weights cannot be streamed here, since they have to be stored outside of memory meanwhile: {reason}")]
    NoStore {
        /// Why not.
        reason: String,
    },
    /// The GPU did not answer.
    #[error("the GPU did not finish its work within {waited_s} s")]
    Stalled {
        /// How long it was waited for.
        waited_s: u64,
    },

    // ---- the network and the store
    /// A file could not be fetched.
    #[error("`{url}` could not be loaded: {reason}")]
    Fetch {
        /// The address asked for.
        url: String,
        /// Status line or network error.
        reason: String,
    },
    /// The browser's storage refused.
    #[error("the browser's storage refused to {action}: {reason}")]
    Storage {
        /// For example `write model.safetensors`.
        action: String,
        /// The browser's message.
        reason: String,
        /// Whether the reason is a full quota.
        full: bool,
    },

    /// The store is full, and what was made of the files gave way to the files.
    #[error(
        "the browser's storage is full, so that the model's own files are kept, and converted copies of weights are not"
    )]
    CopyGone,

    // ---- the model's files
    /// A file is not what its format demands, or shorter than it says.
    #[error("`{file}` is damaged: {reason}")]
    Corrupt {
        /// File name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The checkpoint lacks a tensor that the model needs.
    #[error("the checkpoint has no tensor `{name}`")]
    MissingTensor {
        /// The checkpoint's name.
        name: String,
    },
    /// Something has another shape than the model's configuration says.
    #[error("`{name}` has shape {got:?}, expected {expected:?}")]
    Shape {
        /// Tensor or op.
        name: String,
        /// What the configuration or the op demands.
        expected: Vec<usize>,
        /// What there is.
        got: Vec<usize>,
    },
    /// The model is of a kind that this engine does not run.
    #[error("this model cannot be run: {0}")]
    Unsupported(String),

    // ---- the input
    /// The input cannot be used (empty, too short, not audio).
    #[error("{0}")]
    Input(String),

    // ---- the run
    /// The visitor cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A result that cannot be true (all zeros, not a number); never shown as success.
    #[error("`{what}` gave an impossible result: {reason}")]
    Numerics {
        /// The stage or tensor.
        what: String,
        /// What was seen.
        reason: String,
    },
    /// One of our own invariants broke.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<NoReference> for Error {
    fn from(NoReference(why): NoReference) -> Self {
        Error::Input(why)
    }
}

impl Error {
    /// Whether the backend is at fault: another one may do what this one could not.
    pub fn is_of_backend(&self) -> bool {
        matches!(
            self,
            Error::BackendUnavailable { .. }
                | Error::Gpu { .. }
                | Error::DeviceLost(_)
                | Error::OutOfMemory { .. }
                | Error::Exhausted { .. }
                | Error::Stalled { .. }
                | Error::Numerics { .. }
        )
    }

    /// Whether memory was asked for and refused: less of it may do.
    pub fn is_of_memory(&self) -> bool {
        matches!(self, Error::OutOfMemory { .. } | Error::Exhausted { .. })
    }

    /// Whether the model may load on another backend where this ended its load: that backend's fault, or less room there than the
    /// model needs.
    pub fn may_load_elsewhere(&self) -> bool {
        self.is_of_backend() || matches!(self, Error::Budget { .. } | Error::NoStore { .. })
    }

    /// What the page shows: the kind, the sentence, and what to do next.
    pub fn to_failure(&self) -> Failure {
        let (kind, hint) = match self {
            Error::BackendUnavailable { .. } => (
                FailureKind::Backend,
                "Choose another backend in the settings, or open the page in a current Chrome, Edge, Firefox or Safari.",
            ),
            Error::Gpu { .. } => {
                (FailureKind::Backend, "Reload the page; if it happens again, choose the WASM backend in the settings.")
            }
            Error::DeviceLost(_) => {
                (FailureKind::DeviceLost, "Load the model again; your recording and text are kept.")
            }
            Error::Stalled { .. } => (
                FailureKind::DeviceLost,
                "Load the model again; your recording and text are kept. If it happens again, choose the WASM backend in the settings.",
            ),
            Error::OutOfMemory { .. } | Error::Exhausted { .. } => (
                FailureKind::OutOfMemory,
                "Close other tabs, or choose a smaller model, a smaller precision or a higher memory level.",
            ),
            Error::Budget { .. } => {
                (FailureKind::OutOfMemory, "Raise the memory budget, choose a smaller precision, or a smaller model.")
            }
            Error::NoStore { .. } => (
                FailureKind::Storage,
                "Allow this page to store data, free some disk space, or choose a lower memory level or a smaller model.",
            ),
            Error::Fetch { .. } => (
                FailureKind::Network,
                "Check the connection and the model source in the settings, then load again: what was received is kept.",
            ),
            Error::Storage { full: true, .. } => (
                FailureKind::Storage,
                "The model runs but cannot be kept for the next visit. Free some disk space or remove cached models.",
            ),
            Error::Storage { .. } => (FailureKind::Storage, "The model runs but is not kept for the next visit."),
            Error::CopyGone => (
                FailureKind::Storage,
                "The model runs, and its weights are converted again with each load. Free some disk space or remove cached models to have it load faster.",
            ),
            Error::Corrupt { .. } => (
                FailureKind::Model,
                "Load it again: no damaged copy was kept. If it happens again, choose another source.",
            ),
            Error::MissingTensor { .. } | Error::Shape { .. } => (
                FailureKind::Model,
                "The files do not belong together, and no copy was kept. Choose another model or another source.",
            ),
            Error::Unsupported(_) => (FailureKind::Model, "Choose one of the models in the list."),
            Error::Input(_) => (FailureKind::Input, "Change what was put in, and try again."),
            Error::Cancelled => (FailureKind::Cancelled, ""),
            Error::Numerics { .. } => (
                FailureKind::Backend,
                "This GPU or driver computes wrong results. Choose the WASM backend in the settings.",
            ),
            Error::Internal(_) => (FailureKind::Internal, "This is a bug in Rill. Please report it with these words."),
        };
        Failure { kind, message: self.to_string(), hint: hint.to_string() }
    }
}
