//! What the GPU worked on in ordinary runs, and when.

use super::{PipelineEntry, TimedBy};
use serde::{Deserialize, Serialize};

/// What joins the names of graphs that were timed together.
pub const TOGETHER: &str = " + ";

/// A stretch of the GPU's time that a graph took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuSpan {
    /// The graph. Where this side's clock times a submit of several they are named together, joined by [`TOGETHER`].
    pub graph: String,
    /// Runs that begin in it: several where a graph was repeated, none where a long one goes on in a further submit.
    pub times: u32,
    /// When it began, in milliseconds since 1970: the page's clock and its time origin.
    pub start_ms: f64,
    /// How long it took, in microseconds.
    pub us: f64,
    /// By which clock. By this side's it goes from the submit, or the end of the one before, until the end was heard of.
    pub timed_by: TimedBy,
}

/// What the GPU worked on since the last asking.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GpuTimes {
    /// In the order of submission.
    pub spans: Vec<GpuSpan>,
    /// Pipelines that were made since then, in that order.
    pub pipelines: Vec<PipelineEntry>,
    /// Graphs that ran and were not timed: too many were under way.
    pub n_dropped: u32,
    /// By which clock times are taken now; `None` where none are: no GPU is open, or nobody asked.
    pub timed_by: Option<TimedBy>,
    /// How far a span may lie from where it is said to, in microseconds; `None` without timestamps.
    pub uncertainty_us: Option<f64>,
}
