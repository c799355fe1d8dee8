//! The benchmark: a fixed suite of models and inputs, measured on each backend of this browser, kept, compared, shared.
//!
//! `suite` says what is measured and which answers are right, `runner` measures, `record` is what came of it, `store` keeps it in this
//! browser, `share` puts it into an address, `compare` sets runs side by side. Single kernels have their own files beside these.

pub mod browser;
pub mod compare;
pub mod compare_kernels;
pub mod kernels;
pub mod record;
pub mod share;
pub mod statistics;
pub mod suite;

#[cfg(target_arch = "wasm32")]
mod kernel_runner;
#[cfg(target_arch = "wasm32")]
pub mod runner;
#[cfg(target_arch = "wasm32")]
pub mod store;
