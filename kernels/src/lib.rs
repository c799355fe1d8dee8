//! Rill's kernels for the processor.
//!
//! A plan is a list of [`Step`]s over one block of memory: which [`Kernel`], with which parameters, on which operands. A [`Team`] of
//! threads runs it: each step is cut into tasks that any thread may take, and a barrier stands between two steps. In a browser the
//! crate becomes a small wasm module of its own (`module.rs`), built with and without relaxed SIMD and threads; natively it is an
//! ordinary library, so the same kernels are tested against the same definitions on both sides.
//!
//! What a plan's memory looks like and who fills it is the business of the engine (`engine/cpu`).
#![cfg_attr(target_arch = "wasm32", no_std)]

mod activation;
pub mod attention;
pub mod attention_cached;
pub mod attention_combine;
pub mod attention_cross;
pub mod class_mean;
pub mod conv1d;
pub mod decode;
mod distance_bias;
pub mod embed;
pub mod gated;
pub mod gather;
mod gemm;
#[cfg(not(target_arch = "wasm32"))]
pub mod host;
pub mod kernel;
mod lanes;
pub mod layer_norm;
pub mod layer_scale;
pub mod linear;
mod linear_map;
mod linear_matmul;
mod linear_matvec;
#[cfg(test)]
mod linear_tests;
mod linear_weight;
pub mod log_mel;
mod math;
mod max_parts;
pub mod mel_scale;
pub mod memory;
pub mod picture_tokens;
pub mod pool;
pub mod quantize;
pub mod row_at;
mod sample_cutoff;
pub mod sample_pick;
pub mod sample_scan;
pub mod scale;
mod simd;
pub mod sot_stats;
pub mod step;
pub mod store_rows;
pub mod team;
pub mod top_tokens;
#[cfg(test)]
mod trial;

pub use kernel::Kernel;
pub use memory::{Memory, Operand};
pub use step::{Call, Step};
pub use team::Team;

/// Bytes that each thread has to itself while it runs a task.
pub const SCRATCH_BYTES: usize = 1 << 20;
