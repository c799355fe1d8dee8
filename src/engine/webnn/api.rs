//! What a session needs of a WebNN implementation: tensors, graphs, dispatches, and room for weights until graphs are built.
//!
//! `browser` implements it over the browser's objects; the tests implement it with an interpreter that runs natively. Dispatches,
//! writes and reads of one context happen in the order of calling, as the specification says.

use crate::engine::Result;
use crate::engine::lowering::{Element, Lowering, Operand, OperandType};
use std::pin::Pin;

/// A result that comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// An `MLTensor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorId(pub u32);

/// Bytes of a weight that wait for the graphs they go into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BufferId(pub u32);

/// An `MLGraph`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BuiltId(pub u32);

/// A weight as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// Its bytes.
    pub buffer: BufferId,
    /// Of what type they are. f16 is widened where f32 is wanted.
    pub stored: Element,
}

/// A graph to build.
#[derive(Debug)]
pub struct GraphSpec<'a> {
    /// For error messages.
    pub label: &'a str,
    /// Its primitives; what `outputs` do not need is left out.
    pub lowering: &'a Lowering,
    /// Operands that are constants of the graph.
    pub weights: Vec<(Operand, Weight)>,
    /// What comes out. Inputs are the needed operands that come from outside and are no weights.
    pub outputs: &'a [Operand],
}

/// A WebNN implementation with one context.
pub trait Api: std::fmt::Debug {
    /// A tensor that can be written, read, and bound.
    fn create_tensor<'a>(&'a self, ty: &OperandType) -> Later<'a, TensorId>;
    /// Overwrites a whole tensor.
    fn write_tensor(&self, tensor: TensorId, bytes: &[u8]) -> Result<()>;
    /// Overwrites a whole f32 tensor with a weight.
    fn write_weight(&self, tensor: TensorId, weight: Weight) -> Result<()>;
    /// A tensor's bytes.
    fn read_tensor(&self, tensor: TensorId) -> Later<'_, Vec<u8>>;
    /// Frees a tensor.
    fn destroy_tensor(&self, tensor: TensorId);

    /// Room for a weight, outside of the program's own memory.
    fn create_buffer(&self, n_bytes: usize) -> Result<BufferId>;
    /// Writes part of a weight.
    fn write_buffer(&self, buffer: BufferId, offset: usize, bytes: &[u8]) -> Result<()>;
    /// Frees a weight.
    fn destroy_buffer(&self, buffer: BufferId);

    /// Builds a graph.
    fn build<'a>(&'a self, graph: &'a GraphSpec<'a>) -> Later<'a, BuiltId>;
    /// Runs a graph once what was asked for before is done.
    fn dispatch(&self, graph: BuiltId, inputs: &[(Operand, TensorId)], outputs: &[(Operand, TensorId)]) -> Result<()>;
    /// Frees a graph.
    fn destroy_graph(&self, graph: BuiltId);

    /// Why the context is gone, once it is.
    fn lost(&self) -> Option<String>;
    /// Gives the context up: everything made in it is freed.
    fn destroy(&self);
}
