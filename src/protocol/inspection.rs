//! The numbers inside a loaded model: what a device computed at a graph's nodes, beside what their plain definitions make of the same inputs.

use super::PipelineId;
use serde::{Deserialize, Serialize};

/// A graph of a model whose nodes can be looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GraphNodes {
    /// Its name: `encoder`, `step`.
    pub graph: String,
    /// In the order in which they run; a node's number is its place here.
    pub nodes: Vec<NodeInfo>,
}

/// One use of an op.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// The op.
    pub op: String,
    /// The shape of its output, outermost size first; empty where it only writes states.
    pub shape: Vec<u32>,
    /// The element type of its output: `f32`, `f16` or `u32`; empty where it only writes states.
    pub dtype: String,
    /// The states that it writes, by their labels.
    pub states: Vec<String>,
}

/// What is in a tensor. Figures are of its finite elements, and `None` where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TensorStatistics {
    /// The least.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// Elements that are not a number.
    pub n_nan: u32,
    /// Elements that are infinite.
    pub n_infinite: u32,
}

/// Where a device and the definition are farthest apart, among the elements that are finite on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The element, by its index in each dimension.
    pub place: Vec<u32>,
    /// The device's value.
    pub device: f64,
    /// The definition's value.
    pub definition: f64,
    /// How far apart they are.
    pub absolute: f64,
    /// The same over the largest magnitude among the definition's finite values; `None` where all of those are 0 and the device's is not.
    pub relative: Option<f64>,
}

/// One tensor that a node computed, as the device has it and as the node's definition makes it of the inputs that the device had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorCheck {
    /// The node's number in its graph.
    pub node: u32,
    /// The op.
    pub op: String,
    /// The label of the state that it is, `output` where it is none.
    pub tensor: String,
    /// Sizes, outermost first.
    pub shape: Vec<u32>,
    /// Element type: `f32`, `f16` or `u32`.
    pub dtype: String,
    /// What the device computed.
    pub device: TensorStatistics,
    /// What the definition makes of it.
    pub definition: TensorStatistics,
    /// Elements that are NaN or infinite on one side and something else on the other.
    pub n_unlike: u32,
    /// The largest difference; `None` where no element is finite on both sides.
    pub difference: Option<Difference>,
}

/// Nodes of a graph held against their definitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// The model's pipeline.
    pub pipeline: PipelineId,
    /// The model's id.
    pub model: String,
    /// The graph.
    pub graph: String,
    /// The tensors of its chosen nodes, in the order in which they run.
    pub checks: Vec<TensorCheck>,
}
