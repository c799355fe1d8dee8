//! A model's files: where they come from, how they are kept, and the tensors in them.
//!
//! Reading order: [`files`] is the one interface, [`checkpoint`] a file's header, [`stream`] its tensors; the rest is
//! how files get here. Nothing here knows a model or a backend: tensors are handed on as named bytes while they arrive.

#[cfg(target_arch = "wasm32")]
pub mod cache;
pub mod checkpoint;
#[cfg(target_arch = "wasm32")]
mod chunk_files;
pub mod chunks;
pub mod copies;
#[cfg(target_arch = "wasm32")]
mod download;
mod dropped;
#[cfg(target_arch = "wasm32")]
mod fetch;
pub mod files;
pub mod list;
#[cfg(not(target_arch = "wasm32"))]
mod native;
pub mod parcels;
mod position_grid;
#[cfg(target_arch = "wasm32")]
mod source;
pub mod stream;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(target_arch = "wasm32")]
pub use cache::ModelCache;
pub use checkpoint::{Checkpoint, CheckpointDType, TensorEntry};
pub use files::{ChunkFile, FileStream, LoadHooks, ModelFiles};
pub use parcels::{Parcel, Weights};
pub use position_grid::PositionGrid;
#[cfg(target_arch = "wasm32")]
pub use source::WebSource;
pub use stream::{TensorPart, TensorStream};
