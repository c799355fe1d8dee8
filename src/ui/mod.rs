//! The page: panels over one [`State`](state::State), one `Session` and one `Client`.
//!
//! Reading order: `client` holds the worker, `platform` is the API over it, `state` is what the page knows, `session`
//! is what the visitor does, `js_api` is the same platform for programs; then one file for each panel. What needs no
//! browser ([`format`], [`export`], [`capability`], [`charts`], [`chronicle`], [`debug_report`], [`findings`], [`settings`],
//! [`jobs`], [`models`], [`numbers`], [`passages`], [`vectors`]) compiles natively and is tested there.

pub mod benchmark;
pub mod capability;
pub mod charts;
pub mod chronicle;
pub mod debug_report;
pub mod export;
pub mod findings;
pub mod format;
pub mod jobs;
pub mod models;
pub mod monitor;
pub mod numbers;
pub mod passages;
pub mod settings;
pub mod vectors;

#[cfg(target_arch = "wasm32")]
mod alerts;
#[cfg(target_arch = "wasm32")]
mod alike;
#[cfg(target_arch = "wasm32")]
mod app;
#[cfg(target_arch = "wasm32")]
mod bars;
#[cfg(target_arch = "wasm32")]
mod benchmark_panel;
#[cfg(target_arch = "wasm32")]
mod camera;
#[cfg(target_arch = "wasm32")]
pub mod client;
#[cfg(target_arch = "wasm32")]
mod clock;
#[cfg(target_arch = "wasm32")]
mod compare_panel;
#[cfg(target_arch = "wasm32")]
mod fault_report;
#[cfg(target_arch = "wasm32")]
mod fields;
#[cfg(target_arch = "wasm32")]
mod figures_table;
#[cfg(target_arch = "wasm32")]
mod files_in;
#[cfg(target_arch = "wasm32")]
mod folders;
#[cfg(target_arch = "wasm32")]
mod gpu_measured;
#[cfg(target_arch = "wasm32")]
mod help;
#[cfg(target_arch = "wasm32")]
mod here;
#[cfg(target_arch = "wasm32")]
mod icons;
#[cfg(target_arch = "wasm32")]
mod js_api;
#[cfg(target_arch = "wasm32")]
mod js_measuring;
#[cfg(target_arch = "wasm32")]
mod js_options;
#[cfg(target_arch = "wasm32")]
mod js_runs;
#[cfg(target_arch = "wasm32")]
mod js_values;
#[cfg(target_arch = "wasm32")]
mod kernel_table;
#[cfg(target_arch = "wasm32")]
mod ladder_panel;
#[cfg(target_arch = "wasm32")]
mod later;
#[cfg(target_arch = "wasm32")]
mod leaving;
#[cfg(target_arch = "wasm32")]
mod loader;
#[cfg(target_arch = "wasm32")]
mod matching;
#[cfg(target_arch = "wasm32")]
mod memory_now;
#[cfg(target_arch = "wasm32")]
mod model_picker;
#[cfg(target_arch = "wasm32")]
mod monitor_panel;
#[cfg(target_arch = "wasm32")]
mod numbers_panel;
#[cfg(target_arch = "wasm32")]
mod other_model;
#[cfg(target_arch = "wasm32")]
mod pictures;
#[cfg(target_arch = "wasm32")]
mod pipelines_panel;
#[cfg(target_arch = "wasm32")]
pub mod platform;
#[cfg(target_arch = "wasm32")]
mod precision_cost;
#[cfg(target_arch = "wasm32")]
mod recorder;
#[cfg(target_arch = "wasm32")]
mod route;
#[cfg(target_arch = "wasm32")]
mod save;
#[cfg(target_arch = "wasm32")]
mod sentences;
#[cfg(target_arch = "wasm32")]
pub mod session;
#[cfg(target_arch = "wasm32")]
mod settings_panel;
#[cfg(target_arch = "wasm32")]
mod shortcuts;
#[cfg(target_arch = "wasm32")]
mod stage_table;
#[cfg(target_arch = "wasm32")]
pub mod state;
#[cfg(target_arch = "wasm32")]
mod timings;
#[cfg(target_arch = "wasm32")]
mod top_bar;
#[cfg(target_arch = "wasm32")]
mod transcript;
#[cfg(target_arch = "wasm32")]
mod tray;
#[cfg(target_arch = "wasm32")]
mod tuned_kernels;
#[cfg(target_arch = "wasm32")]
mod work_status;
#[cfg(target_arch = "wasm32")]
mod write;

#[cfg(target_arch = "wasm32")]
pub use app::mount;
