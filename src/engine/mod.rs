//! The engine: models recorded as graphs, compiled once for a backend, replayed.

pub mod arena;
pub mod backing;
mod cancel;
pub mod check;
pub mod cpu;
pub mod decode;
pub mod edge;
pub mod embed;
pub mod error;

pub mod gpu;
pub mod graph;
pub mod image;
pub mod ladder;
pub mod load;
pub mod lowering;
pub mod measure;
pub mod memory;
pub mod models;
pub mod nn;
pub mod op;
pub mod ops;
pub mod plain;
pub mod probes;
pub mod remember;
pub mod session;
pub mod shaders;
pub mod speech;
pub mod tensor;
pub mod text;
pub mod transcribe;
pub mod upload;
pub mod wasm_features;
pub mod webnn;
pub mod weight_form;
pub mod weights;
pub mod window;
pub mod word_errors;

pub use cancel::CancelFlag;
pub use error::{Error, Result};
