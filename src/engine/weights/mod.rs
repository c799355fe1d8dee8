//! A model's files: where they come from, how they are kept, and the tensors in them.
//!
//! Nothing here knows a model or a backend: tensors are handed on as named bytes while they arrive.

pub mod checkpoint;
pub mod stream;

pub use checkpoint::{Checkpoint, CheckpointDType, TensorEntry};
pub use stream::{TensorPart, TensorStream};
