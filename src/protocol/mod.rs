//! All that the page and the engine say to each other.
//!
//! The page sends a [`Command`], the worker answers with [`Event`]s. Every command that carries a [`JobId`] gets
//! exactly one closing event with that id ([`Event::is_closing`]), however it ends. Samples, pictures and dropped files travel
//! beside the command and never through serde; weights never cross the boundary at all.

mod command;
mod event;
mod failure;
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

pub use command::*;
pub use event::*;
pub use failure::*;
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
