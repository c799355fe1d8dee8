//! The engine: models recorded as graphs, compiled once for a backend, replayed.

pub mod error;

pub use error::{Error, Result};
