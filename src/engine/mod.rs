//! The engine: models recorded as graphs, compiled once for a backend, replayed.

pub mod error;
pub mod text;
pub mod weights;

pub use error::{Error, Result};
