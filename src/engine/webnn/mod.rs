//! The browser's neural-network API (W3C WebNN) as a device: graphs lowered to primitives, built once with fixed shapes, replayed.
//!
//! [`api`] is the seam: above it (`limits`, `plan`, `session`) nothing knows a browser and the tests run natively, below it stand the
//! browser's objects (`browser`, over the hand-made `bindings`).

pub mod api;
#[cfg(target_arch = "wasm32")]
mod bindings;
#[cfg(target_arch = "wasm32")]
mod browser;
mod context;
pub mod limits;
mod plan;
mod session;

pub use context::{Context, DeviceType};
pub use session::WebNnSession;
